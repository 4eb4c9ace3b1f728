"""Log: one line for each accepted message, written before its answer, and for each acknowledgement.

    {"provider": …, "ref": …, "to": …, "at": unix, "provider_id": …, …}
    {"webhook": id, "acked": true}

The file is the simulators' whole memory: killed at any moment, the next process reads it and knows
what is still owed. It is also what a test counts sends with.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FIELDS = ("provider", "ref", "to", "at", "provider_id")


@dataclass(frozen=True, slots=True)
class Accept:
    """One message a provider took for one recipient."""

    provider: str
    ref: str | None
    """What the sender calls it, if it said so."""
    to: str
    at: float
    """Unix time in seconds."""
    provider_id: str
    more: dict[str, Any] = field(default_factory=dict)
    """What the provider needs to know to post this message's webhooks."""

    @property
    def key(self) -> str:
        """Return what its story hangs on."""
        return self.ref or self.to


class Log:
    """An append-only file; what was in it when opened is in `accepts` and `acked`."""

    def __init__(self, path: Path) -> None:
        self.accepts: list[Accept] = []
        self.acked: set[str] = set()
        self._path = path
        self._file = path.open("a+b")
        self._file.seek(0)
        torn = False
        for line in self._file:
            torn = not line.endswith(b"\n")
            row = _row(line)
            if "webhook" in row:
                self.acked.add(row["webhook"])
            elif row:
                self.accepts.append(_accept(row))
        if torn:  # killed in the middle of a line: nobody was answered for it
            self._file.write(b"\n")

    def accept(self, accepts: Sequence[Accept]) -> None:
        """Write messages down, all at once."""
        self._write(
            {name: getattr(accept, name) for name in FIELDS} | accept.more for accept in accepts
        )

    def acknowledge(self, webhooks: Iterable[str]) -> None:
        """Write down that these need not be posted again."""
        self._write({"webhook": webhook, "acked": True} for webhook in webhooks)

    def find(self, provider: str, **fields: str) -> list[Accept]:
        """Return a provider's accepted messages with these fields, oldest first.

        Read from the file: a simulation that takes a million messages keeps none in memory.
        """
        wanted = {"provider": provider, **fields}
        words = [json.dumps(value).encode() for value in wanted.values()]
        found = []
        with self._path.open("rb") as file:
            for line in file:
                if all(word in line for word in words):
                    row = _row(line)
                    if wanted.items() <= {name: row.get(name) for name in wanted}.items():
                        found.append(_accept(row))
        return found

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, rows: Iterable[dict[str, Any]]) -> None:
        lines = [json.dumps(row, separators=(",", ":")) + "\n" for row in rows]
        self._file.write("".join(lines).encode())
        self._file.flush()


def _row(line: bytes) -> dict[str, Any]:
    """Return a line's document; empty for one that was torn."""
    try:
        row: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return row


def _accept(row: dict[str, Any]) -> Accept:
    known = {name: row.pop(name) for name in FIELDS}
    return Accept(**known, more=row)
