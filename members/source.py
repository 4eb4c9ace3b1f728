"""Source: a file of people opened, whatever kind of file it is: its header and then its rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from members import csv_file, workbook
from members.csv_file import Row
from members.errors import ImportFileError
from members.guess import SAMPLE, Column, columns_of, seems_header
from members.importers import mapping_for
from members.options import ImportOptions
from members.rejects import width_of

FORMATS = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".xlsx": "xlsx"}
ZIP = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Source:
    """An opened file."""

    columns: Sequence[Column]
    """What its columns are: by the mapping, the export of which product it is, name and values."""
    rows: Iterator[Row]
    """Every record behind the header."""
    total: int | None
    """About how many rows there are."""
    headed: bool
    """Whether its first row names the columns; if not, they are `column 1`, `column 2`, …"""
    encoding: str | None
    """None: of a workbook."""
    delimiter: str | None

    @property
    def header(self) -> list[str]:
        """The names of its columns."""
        return [column.name for column in self.columns]

    @property
    def targets(self) -> list[str | None]:
        """What each column is read as."""
        return [column.target for column in self.columns]


def format_of(path: Path) -> str:
    """Return `xlsx` or `csv` by what the file begins with; its name says nothing."""
    with path.open("rb") as file:
        return "xlsx" if file.read(4) == ZIP else "csv"


def open_source(
    path: Path, format: str, options: ImportOptions, *, country: str | None = None
) -> Source:
    """Open a file of people; `country` (ISO 3166) is where its phone numbers are.

    Raises ImportFileError when it cannot be read, or its mapping names no column or no field.
    """
    try:
        records, lines, encoding, delimiter = _opened(path, format, options)
        first = next(records, None)
        if first is None or first.problem is not None:
            raise ImportFileError("the file has no header", field="file", remedy="add one")
        cells = [cell.strip() for cell in first.cells]
        headed = options.header
        if headed is None:
            headed = seems_header(cells, options.mapping, country)
        if not headed:
            cells = [f"column {number}" for number in range(1, len(cells) + 1)]
            records = chain([first], records)
        header = cells[: width_of(cells)]
        if len(header) < len(cells):
            records = (_cut(row, len(header)) for row in records)
        sample = list(islice(records, SAMPLE))
    except OSError:
        raise ImportFileError("the file is gone", field="file", remedy="send it again") from None
    mapping = {**mapping_for(header), **options.mapping}
    return Source(
        columns=columns_of(header, sample, mapping, options, country),
        rows=chain(sample, records),
        total=None if lines is None else max(lines - headed, 0),
        headed=headed,
        encoding=encoding,
        delimiter=delimiter,
    )


def _opened(
    path: Path, format: str, options: ImportOptions
) -> tuple[Iterator[Row], int | None, str | None, str | None]:
    """Return the records, about how many there are, and the encoding and delimiter of a CSV."""
    if format == "xlsx":
        records, total = workbook.rows(path, sheet=options.sheet)
        return records, total + 1, None, None
    encoding, lines = options.encoding, None
    if encoding is None:
        encoding, lines = csv_file.shape_of(path)
    delimiter = options.delimiter or csv_file.delimiter_of(path, encoding)
    return csv_file.rows(path, encoding=encoding, delimiter=delimiter), lines, encoding, delimiter


def _cut(row: Row, width: int) -> Row:
    """Return a row of a rejects file without what is told behind it."""
    return Row(row.line, row.cells[:width], row.problem)
