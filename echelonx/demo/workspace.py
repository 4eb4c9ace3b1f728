"""Workspace: the demo's directory, and what must be the same when the demo is run again in it."""

import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from shlex import quote
from typing import Any

from sqlalchemy import make_url

from core.errors import ConflictError, NotFoundError
from core.secret import KEY_FILE
from core.settings import Settings
from echelonx.server import free_port

STATE = "demo.json"
PORT = 8000
SEED = 4471
PUMP_SECONDS = 1.0


class Workspace:
    """One directory; `state` is kept in `demo.json`."""

    def __init__(self, directory: Path) -> None:
        """Open or make the directory. Raises ConflictError for one that is somebody else's."""
        self.directory = directory
        self.fresh = not self._state.exists()
        if self.fresh and directory.exists() and any(directory.iterdir()):
            raise ConflictError(
                f"{directory} is not empty and not a demo's", remedy="give another with --dir"
            )
        directory.mkdir(parents=True, exist_ok=True)
        self.state: dict[str, Any] = {} if self.fresh else json.loads(self._state.read_text())

    @property
    def _state(self) -> Path:
        return self.directory / STATE

    @property
    def provider_log(self) -> Path:
        """The simulators' file of accepted messages."""
        return self.directory / "provider-log.jsonl"

    @property
    def rejects(self) -> Path:
        """The rows of the file of people that could not be used."""
        return self.directory / "rejects.csv"

    def keep(self, **values: Any) -> None:
        """Remember values, whole or not at all."""
        self.state |= values
        draft = self._state.with_suffix(".new")
        draft.write_text(json.dumps(self.state, indent=1))
        draft.replace(self._state)

    def choose(self, *, seed: int | None, port: int | None) -> None:
        """Settle seed and port for good: both are in messages that were sent.

        Raises ConflictError for another seed than the one it was made with.
        """
        made_with = self.state.get("seed")
        if made_with is not None and seed not in (None, made_with):
            raise ConflictError(
                f"{self.directory} was made with seed {made_with}",
                field="seed",
                remedy="echelonx demo --clean, then start anew",
            )
        chosen = port if port is not None else free_port(self.state.get("port", PORT))
        if seed is not None and self.fresh:
            self._fix_key(seed)
        self.keep(seed=made_with or seed or SEED, port=chosen or free_port())

    def _fix_key(self, seed: int) -> None:
        """Make the secret key from the seed: references, and so outcomes, are then the same.

        Everybody can make it too; it protects pretended providers on this machine.
        """
        path = self.directory / KEY_FILE
        path.touch(mode=0o600)
        path.write_text(sha256(f"echelonx demo {seed}".encode()).hexdigest() + "\n")

    def settings(self, database_url: str | None, broker_url: str | None) -> Settings:
        """Return the settings of the demo: the environment's have no say in it.

        Raises ConflictError for another database than the one it was made on.
        """
        url = database_url or f"sqlite:///{self.directory / 'demo.db'}"
        named = make_url(url).render_as_string(hide_password=True)
        if self.state.setdefault("database", named) != named:
            raise ConflictError(
                f"{self.directory} is a demo on {self.state['database']}",
                field="database",
                remedy="give the same --database, or another --dir",
            )
        port = self.state["port"]
        return dataclasses.replace(
            Settings(),
            database_url=url,
            broker_url=broker_url,
            data_dir=self.directory,
            public_url=f"http://127.0.0.1:{port}",
            port=port,
            pump_seconds=PUMP_SECONDS,
            allow_private_egress=True,
            log_level="WARNING",
        )

    @property
    def environment_file(self) -> Path:
        """A file to source, after which `echelonx` commands speak of the demo."""
        return self.directory / "env"

    def write_environment(self, settings: Settings) -> None:
        """Write that file."""
        path = self.environment_file
        values = environment(settings).items()
        lines = [f"export {name}={quote(value)}\n" for name, value in values]
        # `echelonx` is beside the Python that runs it; a new shell need not know where that is.
        lines.append(f'export PATH={quote(str(Path(sys.executable).parent))}:"$PATH"\n')
        path.touch(mode=0o600)
        path.write_text("".join(lines))


def environment(settings: Settings) -> Mapping[str, str]:
    """Return the variables from which a process gets these settings."""
    found = {
        "ECHELONX_DATABASE_URL": _absolute(settings.database_url),
        "ECHELONX_DATA_DIR": str(settings.data_dir.absolute()),
        "ECHELONX_PUBLIC_URL": settings.public_url,
        "ECHELONX_PORT": str(settings.port),
        "ECHELONX_PUMP_SECONDS": str(settings.pump_seconds),
        "ECHELONX_ALLOW_PRIVATE_EGRESS": "true",
        "ECHELONX_LOG_LEVEL": settings.log_level,
    }
    if settings.broker_url:
        found["ECHELONX_BROKER_URL"] = settings.broker_url
    return found


def _absolute(url: str) -> str:
    head, sign, path = url.partition("sqlite:///")
    return f"{head}{sign}{Path(path).absolute()}" if sign else url


def child_environment(settings: Settings) -> dict[str, str]:
    """Return the whole environment of a process of the demo's."""
    foreign = {k: v for k, v in os.environ.items() if not k.startswith("ECHELONX_")}
    return foreign | dict(environment(settings))


def clean(directory: Path) -> None:
    """Remove a demo's directory. Raises NotFoundError when it is not one."""
    if not (directory / STATE).exists():
        raise NotFoundError(
            f"there is no demo in {directory}", remedy="name its directory with --dir"
        )
    shutil.rmtree(directory)
