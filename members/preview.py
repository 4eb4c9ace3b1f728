"""Preview: what a file of people is taken for, by its beginning, before anything is imported."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from members import workbook
from members.columns import check
from members.errors import ImportFileError
from members.guess import Column
from members.options import ImportOptions
from members.source import format_of, open_source


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import of a file would begin with."""

    format: str
    """`csv` or `xlsx`."""
    encoding: str | None
    delimiter: str | None
    sheets: Sequence[str]
    """Of a workbook; the first is read as a rule."""
    header: bool
    """Whether the first row names the columns."""
    rows: int | None
    """About how many there are."""
    columns: Sequence[Column]
    ignored: Sequence[str]
    """Names of the columns that are left out."""
    problem: str | None
    """Why it would be refused as it is; None: it would be read."""
    remedy: str | None


def preview(path: Path, options: ImportOptions, *, country: str | None) -> Preview:
    """Look at a file as an import with these options would read it; nothing is kept.

    `country` (ISO 3166) is where phone numbers without a country code are. Raises ImportFileError
    for a file that is not read at all, and for a mapping of no column or to no field.
    """
    format = format_of(path)
    source = open_source(path, format, options, country=country)
    problem, remedy = None, None
    try:
        check(source.targets)
    except ImportFileError as error:
        problem, remedy = str(error), error.remedy
    return Preview(
        format=format,
        encoding=source.encoding,
        delimiter=source.delimiter,
        sheets=workbook.sheets(path) if format == "xlsx" else (),
        header=source.headed,
        rows=source.total,
        columns=source.columns,
        ignored=[one.name for one in source.columns if one.target is None],
        problem=problem,
        remedy=remedy,
    )
