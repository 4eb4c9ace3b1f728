"""Home: which database this is, in words that a copy of it does not share.

PostgreSQL: the cluster's system identifier, which a physical replica shares and a restored dump
does not, and the database's own number. SQLite: this machine, the file's path and its inode.
"""

import socket
from hashlib import sha256
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.db import is_sqlite

MACHINE_ID = Path("/etc/machine-id")
CONTAINERS = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io")
"""In a container neither its name nor its machine id outlives the next start; its volume does."""


def home(session: Session) -> str:
    """Return where the session's database lives."""
    return _file(session) if is_sqlite(session) else _server(session)


def _server(session: Session) -> str:
    oid = session.scalar(text("SELECT oid FROM pg_database WHERE datname = current_database()"))
    may = "SELECT has_function_privilege('pg_control_system()', 'execute')"
    if not session.scalar(text(may)):
        return f"postgresql:{oid}"
    cluster = session.scalar(text("SELECT system_identifier FROM pg_control_system()"))
    return f"postgresql:{cluster}/{oid}"


def _file(session: Session) -> str:
    path = Path(str(session.get_bind().engine.url.database)).resolve()
    # The path is hashed because it may be longer than the column; nobody has to read it.
    where = sha256(f"{_machine()}\n{path}".encode()).hexdigest()[:32]
    return f"sqlite:{where}/{path.stat().st_ino}"


def _machine() -> str:
    if any(Path(mark).exists() for mark in CONTAINERS):
        return "container"
    if MACHINE_ID.exists() and (known := MACHINE_ID.read_text().strip()):
        return known
    return socket.gethostname()
