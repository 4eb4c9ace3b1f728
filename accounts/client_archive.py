"""ClientArchive: everything stored about a client as one ZIP.

`<table>.jsonl` holds a table's rows, a line each. `manifest.json`, written last, says of each table
how many rows there are, the SHA-256 of its file, and which columns may hold personal data. What is
never handed over is decided in client_data.py.
"""

import hashlib
import json
import zipfile
from collections.abc import Generator, Iterable, Iterator
from datetime import date, datetime
from typing import IO, Any

from accounts.client_data import Stored

PACKED = zipfile.ZIP_DEFLATED
STEP = 5_000
"""Rows after which somebody else may have their turn: some 100 ms."""


class ClientArchive:
    """One archive while it is written, and what is in it."""

    def __init__(self) -> None:
        self.rows = 0
        self.tables: dict[str, dict[str, Any]] = {}
        """What the manifest says of each table."""

    def write(
        self, out: IO[bytes], tables: Iterable[Stored], *, client_id: int, at: datetime
    ) -> Generator[None]:
        """Write a client's tables; pause every few thousand rows.

        Memory holds a block of rows, however many there are. Left at a pause, it is no archive.
        """
        with zipfile.ZipFile(out, "w", PACKED) as archive:
            for one in tables:
                yield from self._table(archive, one)
            manifest = {"client": client_id, "at": at.isoformat(), "tables": self.tables}
            archive.writestr("manifest.json", json.dumps(manifest, indent=1))

    def _table(self, archive: zipfile.ZipFile, one: Stored) -> Iterator[None]:
        digest, many = hashlib.sha256(), 0
        with archive.open(f"{one.table}.jsonl", "w", force_zip64=True) as file:
            for many, row in enumerate(one.rows, 1):  # noqa: B007  (the last is how many)
                line = json.dumps(row, default=_text).encode() + b"\n"
                digest.update(line)
                file.write(line)
                self.rows += 1
                if self.rows % STEP == 0:
                    yield
        told = {"rows": many, "sha256": digest.hexdigest(), "personal": one.personal}
        self.tables[one.table] = told


def _text(value: Any) -> str:
    """Return what JSON has no word for as text."""
    return value.isoformat() if isinstance(value, date) else str(value)
