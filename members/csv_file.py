"""CsvFile: a file of people as rows with their line numbers, however badly it was written.

The encoding is found by its byte order mark, else UTF-8 if the whole file is, else cp1252. The
delimiter is the one the header has most of. A quotation mark that is never closed costs its own
line and no other.
"""

import codecs
import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from members.errors import ImportFileError

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DELIMITERS = ",;\t|"
LOOK_AHEAD = 20
"""Lines that one quoted cell may span."""
MAX_LINE = 1_000_000
MAX_COLUMNS = 500


@dataclass(frozen=True, slots=True)
class Row:
    """One record of the file."""

    line: int
    """Where it begins; the header is line 1."""
    cells: list[str]
    problem: str | None = None
    """A key of PROBLEMS: why the record cannot be used."""


PROBLEMS = {
    "quote": "a quotation mark is not closed or stands in the middle of a cell",
    "columns": "the row has another number of cells than the header",
    "nul": "the row holds a NUL byte",
    "long": "the line is longer than a million characters",
}


def encoding_of(path: Path) -> str:
    """Return the file's encoding. Raises ImportFileError when it is none that can be told."""
    with path.open("rb") as file:
        head = file.read(4)
        for mark, name in MARKS:
            if head.startswith(mark):
                return name
        file.seek(0)
        decoders = {name: codecs.getincrementaldecoder(name)() for name in ("utf-8", "cp1252")}
        while block := file.read(1 << 20):
            for name in list(decoders):
                try:
                    decoders[name].decode(block)
                except UnicodeDecodeError:
                    del decoders[name]
    if not decoders:
        raise ImportFileError(
            "the file is neither UTF-8, UTF-16 nor Windows-1252 text",
            field="file",
            remedy="save it as CSV UTF-8, or name its encoding",
        )
    return next(iter(decoders))


def rows(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Iterator[Row]:
    """Yield the header and then every record. Memory: a few lines, whatever the file's size."""
    chosen = encoding or encoding_of(path)
    try:
        with path.open(encoding=chosen, errors="replace", newline="") as file:
            yield from _records(iter(file), delimiter)
    except (LookupError, UnicodeError):
        raise ImportFileError(
            f"the file cannot be read as {chosen[:20]}", field="encoding", remedy="try utf-8"
        ) from None


def _records(lines: Iterator[str], delimiter: str | None) -> Iterator[Row]:
    waiting: deque[str] = deque()
    line_number, width = 0, 0
    while True:
        line = waiting.popleft() if waiting else next(lines, None)
        if line is None:
            return
        line_number += 1
        if not line.strip():
            continue
        if width == 0:
            delimiter = delimiter or max(DELIMITERS, key=line.count)
        row, used = _record(line, lines, waiting, line_number, delimiter or ",", width)
        if width == 0:
            width = len(row.cells)
            if not 1 <= width <= MAX_COLUMNS:
                raise ImportFileError(f"the header has {width} columns", field="file")
        yield row
        line_number += used


def _record(
    line: str,
    lines: Iterator[str],
    waiting: deque[str],
    number: int,
    delimiter: str,
    width: int,
) -> tuple[Row, int]:
    """Read the record that begins with `line`; return it and how many further lines it took."""
    if len(line) > MAX_LINE:
        return Row(number, [_visible(line[:100])], "long"), 0
    record, taken = line, 0
    while record.count('"') % 2 and taken < LOOK_AHEAD:
        if taken == len(waiting):
            more = next(lines, None)
            if more is None:
                break
            waiting.append(more)
        record += waiting[taken]
        taken += 1
    row = _parsed(record, number, delimiter, width)
    if taken and row.problem is not None:
        # It closed nothing: only its own line is broken, the others are looked at again.
        return Row(number, [_visible(line.rstrip("\r\n"))], "quote"), 0
    for _ in range(taken):
        waiting.popleft()
    return row, taken


def _parsed(record: str, number: int, delimiter: str, width: int) -> Row:
    text = record.rstrip("\r\n")
    if "\x00" in text:
        return Row(number, [_visible(text)], "nul")
    try:
        (cells,) = (
            csv.reader([text], delimiter=delimiter, strict=True)
            if "\n" not in text
            else [
                next(csv.reader(record.splitlines(keepends=True), delimiter=delimiter, strict=True))
            ]
        )
    except (csv.Error, ValueError):
        return Row(number, [text], "quote")
    if width and len(cells) != width:
        return Row(number, cells, "columns")
    return Row(number, cells)


def _visible(text: str) -> str:
    """Return text that every database can keep: no NUL."""
    return text.replace("\x00", "\ufffd")
