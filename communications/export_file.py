"""The bytes of an export: CSV, JSON lines, Parquet. No cell of a CSV file is a formula (B057).

A Parquet file has its index at its end and cannot be appended to: its slices are JSON lines until
the last is there.
"""

import csv
import hashlib
import importlib
import io
import json
import secrets
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from communications.export_rows import Slice
from members.exporting import ExportFormat, ExportFormatError
from members.rejects import harmless

GROUP = 20_000
"""Rows of one group of a Parquet file."""
MEDIA = {
    ExportFormat.CSV: "text/csv",
    ExportFormat.JSONL: "application/jsonl",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}
"""The media type of each format."""


def check_format(format: ExportFormat) -> None:
    """Raise ExportFormatError where the installation cannot write that format."""
    if format is ExportFormat.PARQUET:
        _arrow()


def encoded(format: ExportFormat, slice: Slice, *, first: bool) -> bytes:
    """Return a slice as it is appended to the file; the first of a CSV file names the columns."""
    if format is not ExportFormat.CSV:
        return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in slice.rows)
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    if first:
        lines.writerow(slice.columns)
    lines.writerows([_cell(row[name]) for name in slice.columns] for row in slice.rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    return "" if value is None else harmless(str(value))


def written_to(target: Path, format: ExportFormat) -> Path:
    """Return the file that slices are appended to."""
    return target.with_suffix(".part") if format is ExportFormat.PARQUET else target


def finish(target: Path, format: ExportFormat, columns: Sequence[str]) -> str:
    """Make the file that is downloaded of the slices, and return its SHA-256.

    Doing it again, or twice at once, makes the same file. Raises ExportFormatError.
    """
    if format is ExportFormat.PARQUET:
        made = target.with_suffix(f".{secrets.token_hex(4)}")
        try:
            _to_parquet(written_to(target, format), made, columns)
            made.replace(target)
        finally:
            made.unlink(missing_ok=True)
    return sha256_of(target)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _to_parquet(part: Path, target: Path, columns: Sequence[str]) -> None:
    arrow, parquet = _arrow()
    schema = arrow.schema([(name, arrow.string()) for name in columns])
    try:
        with part.open(encoding="utf-8") as lines, parquet.ParquetWriter(target, schema) as writer:
            while group := [json.loads(line) for line in islice(lines, GROUP)]:
                texts = [{name: _text(row[name]) for name in columns} for row in group]
                writer.write_table(arrow.Table.from_pylist(texts, schema=schema))
    except arrow.ArrowException as error:
        why = f"it cannot be written as Parquet ({type(error).__name__})"
        raise ExportFormatError(why, field="format", remedy="take csv or jsonl") from error


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _arrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise ExportFormatError(
            "Parquet needs pyarrow", field="format", remedy="pip install 'echelonx[files]'"
        ) from None
