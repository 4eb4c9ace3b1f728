"""CsvFile: a file of people as rows with their line numbers, however badly it was written.

The encoding is found by its byte order mark, else UTF-8 if the whole file is, else cp1252. The
delimiter is the one the header has most of. A quotation mark that is never closed costs its own
line and no other.
"""

import codecs
import csv
import re
from collections import deque
from collections.abc import Generator, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TextIO

from members.errors import ImportFileError

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DELIMITERS = ",;\t|"
QUOTED_CELL = re.compile(r'"[^"]*"').sub
BLOCK = 500
"""Lines that are read at once where nothing is odd."""
LOOK_AHEAD = 100
"""Lines that one quoted cell may span."""
MAX_LINE = 1_000_000
MAX_COLUMNS = 500


class Row(NamedTuple):
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


class Shape(NamedTuple):
    """What a look over the whole file tells."""

    encoding: str
    lines: int
    """Line ends: about as many as records, the header among them."""


def shape_of(path: Path) -> Shape:
    """Return the file's encoding and lines. Raises ImportFileError when it is no text we know."""
    with path.open("rb") as file:
        head = file.read(4)
    marked = next((name for mark, name in MARKS if head.startswith(mark)), None)
    for name in (marked,) if marked else ("utf-8", "cp1252"):
        lines = _lines(path, name, strict=marked is None)
        if lines is not None:
            return Shape(name, lines)
    raise ImportFileError(
        "the file is neither UTF-8, UTF-16 nor Windows-1252 text",
        field="file",
        remedy="save it as CSV UTF-8, or name its encoding",
    )


def _lines(path: Path, encoding: str, *, strict: bool) -> int | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    count = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            count += block.count(b"\n")
            try:
                if strict:
                    decoder.decode(block)
            except UnicodeDecodeError:
                return None
    return count


def delimiter_of(path: Path, encoding: str) -> str:
    """Return the delimiter of a file by its first line; of one that cannot be read, a comma."""
    try:
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            return delimiter_in(next((line for line in _bounded(file) if line.strip()), ""))
    except (LookupError, UnicodeError):
        return DELIMITERS[0]


def delimiter_in(line: str) -> str:
    """Return what a line has most of outside of quotation marks; a comma, where it has none."""
    return max(DELIMITERS, key=QUOTED_CELL("", line).count)


def rows(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Iterator[Row]:
    """Yield the header and then every record. Memory: a few lines, whatever the file's size."""
    chosen = encoding or shape_of(path).encoding
    try:
        with path.open(encoding=chosen, errors="replace", newline="") as file:
            yield from _records(_bounded(file), delimiter)
    except (LookupError, UnicodeError):
        raise ImportFileError(
            f"the file cannot be read as {chosen[:20]}", field="encoding", remedy="try utf-8"
        ) from None


def _bounded(file: TextIO) -> Iterator[str]:
    """Yield lines; one that is longer than MAX_LINE is cut, and never held as a whole."""
    for line in iter(partial(file.readline, MAX_LINE + 2), ""):
        yield line
        while len(line) > MAX_LINE and not line.endswith(("\n", "\r")):
            line = file.readline(MAX_LINE + 2)


def _records(lines: Iterator[str], delimiter: str | None) -> Iterator[Row]:
    first = next(((at, line) for at, line in enumerate(lines, 1) if line.strip()), None)
    if first is None:
        return
    number, line = first
    sign = delimiter or delimiter_in(line)
    waiting: deque[str] = deque()
    header, used = _record(line, lines, waiting, number, sign, 0)
    width = len(header.cells)
    if not 1 <= width <= MAX_COLUMNS:
        raise ImportFileError(
            f"the header has {width} columns",
            field="file",
            remedy=f"leave out what members do not need: {MAX_COLUMNS} may stay",
        )
    yield header
    number += used
    lines = chain(waiting, lines)
    while block := list(islice(lines, BLOCK)):
        clean = _clean(block, sign, width, number)
        if clean is not None:
            yield from clean
            number += len(block)
        else:
            number = yield from _odd(deque(block), lines, number, sign, width)


def _odd(
    block: deque[str], lines: Iterator[str], number: int, delimiter: str, width: int
) -> Generator[Row, None, int]:
    """Yield rows line by line; a quoted cell may lead beyond the block. Return the last line."""
    while block:
        number += 1
        line = block.popleft()
        if line.strip():
            row, used = _record(line, lines, block, number, delimiter, width)
            yield row
            number += used
    return number


def _clean(block: list[str], delimiter: str, width: int, before: int) -> list[Row] | None:
    """Return the rows of lines that are one good row each, at once; None if any is not."""
    text = "".join(block)
    if "\x00" in text or len(text) > MAX_LINE * 4:
        return None
    if '"' in text and any(line.count('"') % 2 for line in block):
        return None
    try:
        records = list(csv.reader(block, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    if len(records) != len(block) or {len(cells) for cells in records} != {width}:
        return None
    if width == 1 and any(not cells[0].strip() for cells in records):
        return None
    return [Row(before + at, cells) for at, cells in enumerate(records, 1)]


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
    lines = [text] if "\n" not in text else record.splitlines(keepends=True)
    try:
        # Exactly one record: a quotation mark within a cell must not take the next row along.
        (cells,) = csv.reader(lines, delimiter=delimiter, strict=True)
    except (csv.Error, ValueError):
        return Row(number, [text], "quote")
    if width and len(cells) != width:
        return Row(number, cells, "columns")
    return Row(number, cells)


def _visible(text: str) -> str:
    """Return text that every database can keep: no NUL."""
    return text.replace("\x00", "\ufffd")
