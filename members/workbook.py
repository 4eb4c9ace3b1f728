"""Workbook: the rows of a sheet of an XLSX file, which is looked through before it is opened.

An XLSX file is a ZIP archive of XML. One that unpacks to far more than it is, holds archives, or
has XML with a document type (entities that grow, or read files) is refused before anything is
unpacked; nothing is ever written to disk.
"""

import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from members.csv_file import MAX_COLUMNS, Row
from members.errors import ImportFileError

MAX_PARTS = 2_000
MAX_UNPACKED = 400 << 20
"""Bytes of XML; a sheet of 300,000 people has about half of that."""
MAX_RATIO = 100
"""Unpacked to packed; sheets people make have 5 to 30."""
SMALL = 1 << 20
"""Parts below that may be packed as tightly as they like: they cannot hurt."""
ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh")
WIDE = (b"\xff\xfe", b"\xfe\xff")
FORBIDDEN = (b"<!DOCTYPE", b"<!ENTITY")
BLOCK = 1 << 16


def rows(path: Path, *, sheet: str | None = None) -> tuple[Iterator[Row], int]:
    """Return the header and then every record of a sheet, and about how many records there are.

    Dates become `2026-01-31`, whole numbers `42`, yes and no `true` and `false`. Raises
    ImportFileError for a file that is unsafe or no workbook, or a sheet that is not there.
    """
    _inspect(path)
    try:
        with path.open("rb") as file:
            book: Any = CalamineWorkbook.from_filelike(file)
        names = list(book.sheet_names)
        if sheet is not None and sheet not in names:
            raise ImportFileError(
                f"the workbook has no sheet “{sheet[:80]}”",
                field="sheet",
                remedy="it has " + ", ".join(names)[:200],
            )
        chosen = book.get_sheet_by_name(sheet) if sheet is not None else book.get_sheet_by_index(0)
    except (CalamineError, ValueError, IndexError):
        raise _refused("the file is no workbook that can be read") from None
    return _records(chosen), max(chosen.height - 1, 0)


def sheets(path: Path) -> list[str]:
    """Return the names of a workbook's sheets. Raises ImportFileError."""
    _inspect(path)
    try:
        with path.open("rb") as file:
            return list(CalamineWorkbook.from_filelike(file).sheet_names)
    except (CalamineError, ValueError):
        raise _refused("the file is no workbook that can be read") from None


def _refused(why: str) -> ImportFileError:
    return ImportFileError(why, field="file", remedy="save it anew as .xlsx, or as CSV UTF-8")


def _inspect(path: Path) -> None:
    """Look through the archive without keeping any of it."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS:
                raise _refused("the workbook has too many parts")
            total = 0
            for part in parts:
                _check_name(part)
                total += _check_part(archive, part, MAX_UNPACKED - total)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError):
        raise _refused("the file is no workbook that can be read") from None


def _check_name(part: zipfile.ZipInfo) -> None:
    name = part.filename
    is_link = (part.external_attr >> 16) & 0o170000 == 0o120000
    if name.startswith(("/", "\\")) or ".." in name.split("/") or is_link:
        raise _refused("the workbook has a part that leads out of it")


def _check_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo, room: int) -> int:
    """Unpack a part block by block, stop at the first that is wrong; return its size."""
    size, before = 0, b""
    with archive.open(part) as stream:
        while block := stream.read(BLOCK):
            if size == 0 and block.startswith(ARCHIVES + WIDE):
                raise _refused("the workbook holds an archive or XML in an unusual encoding")
            size += len(block)
            tight = size > SMALL and size > part.compress_size * MAX_RATIO
            if size > room or tight:
                raise _refused("the workbook unpacks to far more than it is")
            seen = before + block
            if any(word in seen for word in FORBIDDEN):
                raise _refused("the workbook defines entities of its own")
            before = block[-16:]
    return size


def _records(sheet: Any) -> Iterator[Row]:
    first = (sheet.start or (0, 0))[0] + 1
    width = 0
    for number, cells in enumerate(sheet.iter_rows(), first):
        texts = [_text(cell) for cell in cells]
        if not any(text.strip() for text in texts):
            continue
        if width == 0:
            while not texts[-1].strip():
                texts.pop()
            width = len(texts)
            if width > MAX_COLUMNS:
                raise ImportFileError(
                    f"the header has {width} columns",
                    field="file",
                    remedy=f"leave out what members do not need: {MAX_COLUMNS} may stay",
                )
            yield Row(number, texts)
            continue
        yield _row(number, texts, width)


def _row(number: int, texts: list[str], width: int) -> Row:
    if any("\x00" in text for text in texts):
        return Row(number, [text.replace("\x00", "\ufffd") for text in texts], "nul")
    if any(text.strip() for text in texts[width:]):
        return Row(number, texts, "columns")
    return Row(number, texts[:width] + [""] * (width - len(texts)))


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime):
        at_midnight = (cell.hour, cell.minute, cell.second) == (0, 0, 0)
        return cell.date().isoformat() if at_midnight else cell.isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell)
