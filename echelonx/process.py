"""Process: its name in the log, and the right to send from a SQLite file.

The protocol of communications/ is safe with any number of processes. On SQLite one sends all the
same: then a dead process's rows are known to be dead at the next start, and are not waited for.
"""

import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import make_url

from core.clock import ticking
from core.errors import ConflictError

HOST_LENGTH = 40
"""A claim's name is this process's and a number, in 80 characters."""


class AlreadySendingError(ConflictError):
    """Another process sends for this database."""

    code = "already_sending"


def process_name() -> str:
    """Return `host:pid:start`, which no other process ever has: pids are used again."""
    host = socket.gethostname().partition(".")[0][:HOST_LENGTH]
    return f"{host}:{os.getpid()}:{_started()}"


def _started() -> int:
    """Return this process's start in clock ticks since boot; where /proc is absent, seconds."""
    try:
        stat = Path("/proc/self/stat").read_text()
    except OSError:
        return int(ticking())
    return int(stat.rpartition(")")[2].split()[19])


class SendingRight:
    """The right to send; on SQLite one process holds it, by a lock the system drops if it dies."""

    def __init__(self, database_url: str, name: str) -> None:
        """Take the right. Raises AlreadySendingError naming who has it."""
        self.path = lock_path(database_url)
        self._handle: int | None = None
        if self.path is not None:
            self._handle = _locked(self.path, name)

    @property
    def exclusive(self) -> bool:
        """Whether everybody who held it before is known to be gone."""
        return self._handle is not None

    def release(self) -> None:
        """Give it back; safe to call twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def lock_path(database_url: str) -> Path | None:
    """Return `<db>.lock` beside a SQLite file; None for other databases."""
    url = make_url(database_url)
    if not url.drivername.startswith("sqlite") or url.database in (None, "", ":memory:"):
        return None
    return Path(f"{url.database}.lock").absolute()


def _locked(path: Path, name: str) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
        os.close(handle)
        raise AlreadySendingError(
            f"{holder} already sends for this database; a SQLite file has one sender",
            remedy="use that one, stop it first, or move to PostgreSQL for several workers",
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{name}\n".encode(), 0)
    return handle


def is_gone(name: str) -> bool:
    """Say whether a process of this host is certainly dead; for others nobody can tell."""
    host, pid, started = name.split(":")
    if host != process_name().split(":")[0]:
        return False
    try:
        stat = Path(f"/proc/{int(pid)}/stat").read_text()
    except FileNotFoundError:
        return Path("/proc/self").exists()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[19] != started
