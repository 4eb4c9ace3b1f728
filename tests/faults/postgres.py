"""A private PostgreSQL for tests that take it down: nobody else's database is disturbed.

    with cluster(tmp_path) as database:
        open_engine(database.url)
        database.restart_immediately()

It keeps its promises as a production server does (fsync on). PostgreSQL refuses to run as root, so
root runs it as the user `postgres`, in a folder of its own that this user can reach. Its log is
left in `tmp_path`.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import free_port

PATIENCE = 300
"""Seconds until pg_ctl gives up; a start takes less than one."""
USER = "postgres"


class Cluster:
    """One server, its data folder and its port; the port stays the same over restarts."""

    def __init__(self, binaries: Path, folder: Path, port: int) -> None:
        self.port = port
        self.url = f"postgresql://{USER}@127.0.0.1:{port}/postgres"
        self.log = folder / "log"
        self._binaries = binaries
        self._folder = folder
        self._data = folder / "data"

    def create(self) -> None:
        """Make the empty cluster."""
        initdb = [str(self._binaries / "initdb"), "-D", str(self._data), "-U", USER]
        _call([*initdb, "-A", "trust", "-E", "UTF8", "--no-locale"], self._folder)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1"
        self._control("start", "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` is orderly, `immediate` is as good as a crash. Nothing if it is down."""
        if (self._data / "postmaster.pid").exists():
            self._control("stop", "-m", mode)

    def restart_immediately(self) -> None:
        """Crash it, start it and wait until it has recovered and answers."""
        self._control("restart", "-m", "immediate")

    def _control(self, *arguments: str) -> None:
        control = [str(self._binaries / "pg_ctl"), "-D", str(self._data), "-l", str(self.log)]
        _call([*control, "-w", "-t", str(PATIENCE), *arguments], self._folder)


@contextmanager
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A running server of this test's own; skips the test where PostgreSQL is not installed."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's server programs are not installed")
    # Not tmp_path: only its owner may enter it, and a socket's name must be short.
    folder = Path(tempfile.mkdtemp(prefix="echelonx-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, USER, USER)
    server = Cluster(binaries, folder, free_port())
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop("immediate")
        if server.log.exists():
            shutil.copyfile(server.log, tmp_path / "postgres.log")
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    """Return the folder of the newest server programs."""
    found = Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")
    newest = max(found, key=lambda path: int(path.parts[-3]), default=None)
    if newest is not None:
        return newest.parent
    on_path = shutil.which("pg_ctl")
    return Path(on_path).parent if on_path else None


def _call(command: list[str], folder: Path) -> None:
    # The server inherits what it writes to, so a pipe would never close; pg_ctl says little.
    with (folder / "said").open("w") as said:
        identity = _identity()
        code = subprocess.call(command, cwd=folder, stdout=said, stderr=said, **identity)
    assert code == 0, f"{Path(command[0]).name}: {(folder / 'said').read_text()[-2000:]}"


def _identity() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    group = pwd.getpwnam(USER).pw_gid
    return {"user": USER, "group": group, "extra_groups": []}
