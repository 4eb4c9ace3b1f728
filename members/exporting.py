"""Exporting: members as CSV, JSON lines or Parquet, a few thousand at a time.

What is written can be imported again and makes the same people: the columns are those an import
reads. In CSV, cells that a spreadsheet would take for formulas begin with an apostrophe, which an
import takes away.

Invariants
    1. Memory does not grow with the number of members.
    2. No cell of a CSV file is a formula.
"""

import csv
import enum
import hashlib
import importlib
import io
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core.condition.ast import Condition
from core.db import Sessions, read
from core.errors import InvalidError
from members import queries
from members.change import plain
from members.consent import MARKETING, ConsentState
from members.member import Member
from members.rejects import harmless

BATCH = 2_000
BLOCK = 1 << 16
FIELDS = (
    "member_id", "first_name", "last_name", "full_name", "email", "phone", "push_token", "tier",
    "status", "gender", "date_of_birth", "engagement_score", "total_spend", "lifetime_value",
    "acquisition_channel", "acquisition_cost", "last_active", "location", "timezone", "language",
    "notes", "referral_code",
)  # fmt: skip
CONSENTS = ("email", "sms", "push")
COLUMNS = (*FIELDS, "tags", "attributes", *(f"consent.{channel}" for channel in CONSENTS))
"""The columns of CSV and Parquet; JSON lines nest what belongs together."""
WORD = {ConsentState.GRANTED: "yes", ConsentState.WITHDRAWN: "no"}


class ExportFormat(enum.StrEnum):
    """What a file of members is written as."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class ExportFormatError(InvalidError):
    """The installation cannot write that format."""

    code = "export_format"


@dataclass(slots=True)
class Exported:
    """What was written so far, and when it is over, all of it."""

    rows: int = 0
    _digest: Any = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes, in hexadecimal."""
        return str(self._digest.hexdigest())

    def add(self, data: bytes) -> bytes:
        """Count bytes that are written."""
        self._digest.update(data)
        return data


def export_members(
    sessions: Sessions,
    *,
    client_id: int,
    format: ExportFormat,
    now: datetime,
    condition: Condition | None = None,
    told: Exported | None = None,
) -> Iterator[bytes]:
    """Yield a file of the client's members, all or those a condition means, oldest first.

    `told` has the number of rows and the SHA-256 when the file is over. Each few thousand are read
    in a transaction of their own: somebody edited meanwhile is written as before or as after.
    Raises ExportFormatError for Parquet without pyarrow, before the first byte.
    """
    told = told if told is not None else Exported()
    write = _writers(format)
    return _bytes(sessions, client_id, now, condition, told, write)


def _bytes(
    sessions: Sessions,
    client_id: int,
    now: datetime,
    condition: Condition | None,
    told: Exported,
    write: "_Csv | _JsonLines | _Parquet",
) -> Iterator[bytes]:
    after = 0
    yield told.add(write.begin())
    while True:
        with read(sessions) as session:
            page = queries.members_page(
                session, client_id, condition=condition, now=now, after=after, limit=BATCH
            )
            rows = rows_of(session, client_id, page)
        if not rows:
            break
        after = page[-1].id
        told.rows += len(rows)
        yield told.add(write.rows(rows))
    for block in write.end():
        yield told.add(block)


def rows_of(session: Session, client_id: int, page: Sequence[Member]) -> list[dict[str, Any]]:
    """Return members as they are exported, with what belongs together nested."""
    around = queries.around(session, client_id, [one.id for one in page])
    rows = []
    for one in page:
        near = around[one.id]
        primary = {each.channel: each.value for each in near.addresses if each.is_primary}
        own = {"email": one.email, "phone": one.phone, "push_token": primary.get("push")}
        said = {each.channel: each.state for each in near.consents if each.topic == MARKETING}
        rows.append(
            {name: own[name] if name in own else getattr(one, name) for name in FIELDS}
            | {
                "tags": list(near.tags),
                "attributes": one.attributes or {},
                "consents": {name: WORD[said[name]] for name in CONSENTS if name in said},
            }
        )
    return rows


def flat(row: Mapping[str, Any]) -> dict[str, str | None]:
    """Return a row as texts under COLUMNS; None where nothing is known."""
    cells = {name: _told(row[name]) for name in FIELDS}
    cells["tags"] = ";".join(row["tags"]) or None
    attributes = row["attributes"]
    cells["attributes"] = json.dumps(attributes, ensure_ascii=False) if attributes else None
    for channel in CONSENTS:
        cells[f"consent.{channel}"] = row["consents"].get(channel)
    return cells


def _told(value: Any) -> str | None:
    shown = plain(value)
    return None if shown is None else str(shown)


class _Csv:
    def begin(self) -> bytes:
        return self._lines([COLUMNS])

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        return self._lines([[harmless(cell or "") for cell in flat(row).values()] for row in rows])

    def end(self) -> Iterator[bytes]:
        return iter(())

    def _lines(self, lines: Sequence[Sequence[str]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(lines)
        return text.getvalue().encode()


class _JsonLines:
    def begin(self) -> bytes:
        return b""

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        texts = [
            json.dumps({name: plain(value) for name, value in row.items()}, ensure_ascii=False)
            for row in rows
        ]
        return ("\n".join(texts) + "\n").encode()

    def end(self) -> Iterator[bytes]:
        return iter(())


class _Parquet:
    """Text columns under COLUMNS, as in CSV; written to a file first, for its end is its index."""

    def __init__(self, arrow: Any, parquet: Any) -> None:
        self._arrow = arrow
        self._schema = arrow.schema([(name, arrow.string()) for name in COLUMNS])
        self._file = tempfile.NamedTemporaryFile(suffix=".parquet")  # noqa: SIM115  (see end)
        self._writer = parquet.ParquetWriter(self._file.name, self._schema)

    def begin(self) -> bytes:
        return b""

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> bytes:
        table = self._arrow.Table.from_pylist([flat(row) for row in rows], schema=self._schema)
        self._writer.write_table(table)
        return b""

    def end(self) -> Iterator[bytes]:
        self._writer.close()
        with self._file as file:
            while block := file.read(BLOCK):
                yield block


def _writers(format: ExportFormat) -> _Csv | _JsonLines | _Parquet:
    if format is ExportFormat.CSV:
        return _Csv()
    if format is ExportFormat.JSONL:
        return _JsonLines()
    try:
        arrow, parquet = (importlib.import_module(name) for name in ("pyarrow", "pyarrow.parquet"))
    except ModuleNotFoundError:
        raise ExportFormatError(
            "Parquet needs pyarrow", field="format", remedy="pip install 'echelonx[files]'"
        ) from None
    return _Parquet(arrow, parquet)
