"""Logbook: `instance.json`, what is known about a database outside of it.

Several databases and several processes may share one data directory. A clone has the name of its
original, so an entry is of a name at a home: neither knows how far the other has come.

Invariants
    1. An epoch in the file was committed to its database before: the file is never ahead of a
       database that was not restored.
    2. A reader finds the old file or the new one, never a part (write, fsync, rename).
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.log import get

log = get(__name__)

FILE = "instance.json"


@dataclass(frozen=True, slots=True)
class Note:
    """What the file says about one database."""

    epoch: int
    at: datetime


class Logbook:
    """The file in one data directory. What cannot be read or written is logged, not raised."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE

    def read(self, name: str, home: str) -> Note | None:
        """Return what is noted about the database called `name` at this home (home.py)."""
        entry = self._entries().get(_key(name, home))
        return None if entry is None else _note(entry)

    def latest(self, name: str) -> Note | None:
        """Return the last note about any database of this name, wherever it was."""
        found = [_note(entry) for key, entry in self._entries().items() if _named(key, name)]
        return max(found, key=lambda note: note.at, default=None)

    def write(self, name: str, home: str, note: Note) -> None:
        """Note an epoch that was committed; a lower one than is there changes nothing."""
        key = _key(name, home)
        try:
            with self._locked():
                entries = self._entries()
                if int(entries.get(key, {"epoch": -1})["epoch"]) < note.epoch:
                    entries[key] = {"epoch": note.epoch, "at": note.at.isoformat()}
                    self._replace(json.dumps(entries, indent=1))
        except OSError as error:
            log.warning("instance file cannot be written", path=str(self.path), why=error.strerror)

    def _entries(self) -> dict[str, dict[str, Any]]:
        try:
            entries: dict[str, dict[str, Any]] = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.warning(
                "instance file cannot be read", path=str(self.path), why=type(error).__name__
            )
            return {}
        return entries

    def _replace(self, text: str) -> None:
        fresh = self.path.with_suffix(".new")
        with fresh.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _key(name: str, home: str) -> str:
    return f"{name} {home}"


def _named(key: str, name: str) -> bool:
    return key.partition(" ")[0] == name


def _note(entry: Mapping[str, Any]) -> Note:
    return Note(int(entry["epoch"]), datetime.fromisoformat(entry["at"]))
