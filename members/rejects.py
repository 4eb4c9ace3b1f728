"""Rejects: rows that were not imported, and the file that gives them back for mending."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from core.db import Sessions, read
from members import queries
from members.csv_file import Row
from members.import_job import ImportReject

BATCH = 1000
"""Rows that are written at once."""
QUOTED = re.compile(r"'*[=+\-@\t\r\x00]").match
"""What a spreadsheet would run, with as many apostrophes before it as it already has."""


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that was not imported."""

    row: Row
    column: str
    code: str
    message: str
    value: str


UNTOLD = frozenset({"quote", "nul", "long"})
"""Problems of a row whose cells are not known."""
BESIDE = re.compile(r"\.rejects(-\d+)?$").sub
REJECT_COLUMNS = ("reject_line", "reject_column", "reject_code", "reject_message", "reject_value")


class RejectFile:
    """rejects.csv: the rows as they were, and behind them what is wrong; made for the first one."""

    def __init__(self, stack: ExitStack, path: Path | None) -> None:
        self._stack, self._path = stack, path
        self._lines: Any = None

    def write(self, header: Sequence[str], rejects: Sequence[Reject]) -> None:
        """Write rejected rows of a file with that header."""
        if self._path is None or not rejects:
            return
        if self._lines is None:
            file = self._stack.enter_context(self._path.open("w", encoding="utf-8", newline=""))
            self._lines = csv.writer(file)
            self._lines.writerow([*header, *REJECT_COLUMNS])
        self._lines.writerows(reject_line(len(header), reject) for reject in rejects)


def rejects_csv(sessions: Sessions, *, client_id: int, import_id: int) -> Iterator[str]:
    """Yield rejects.csv of an import from what is kept of it, so that its size does not matter.

    Raises ImportNotFoundError. Cells are cut to 1,000 characters; a dry run keeps 10,000 rows.
    """
    with read(sessions) as session:
        report = queries.import_job(session, client_id, import_id).report
    header = [str(name) for name in report.get("header", [])]
    yield _csv([[*header, *REJECT_COLUMNS]])
    after = 0
    while True:
        with read(sessions) as session:
            rows = queries.import_rejects(session, client_id, import_id, after=after, limit=BATCH)
        if not rows:
            return
        yield _csv([reject_line(len(header), _kept(row)) for row in rows])
        after = rows[-1].id


def _kept(one: ImportReject) -> Reject:
    row = Row(line=one.line, cells=list(one.original))
    return Reject(row, one.column, one.code, one.message, one.value)


def _csv(lines: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue()


def free_beside(path: Path) -> Path:
    """Return where the rejects of a file go: `people.rejects.csv`, or the next that is not there.

    What somebody may be mending is never written over: not the file that is read either.
    """
    stem = BESIDE("", path.stem)
    names = (f"{stem}.rejects{n}.csv" for n in chain([""], (f"-{n}" for n in count(2))))
    return next(found for name in names if not (found := path.with_name(name)).exists())


def width_of(header: Sequence[str]) -> int:
    """Return how many columns a file has of its own, before those a rejects file adds."""
    width = len(header)
    while width > 1 and header[width - 1] in REJECT_COLUMNS:
        width -= 1
    return width


def reject_line(width: int, reject: Reject) -> list[str]:
    """Return a line of rejects.csv; cells a spreadsheet would run are quoted (B057).

    A row that cannot be told in cells is blank but for its text as the value: so that it is
    rejected again, and not taken for somebody else, if nobody mends it.
    """
    cells = reject.row.cells
    if len(cells) > width or reject.code in UNTOLD:
        cells = []
    told = [str(reject.row.line), reject.column, reject.code, reject.message, reject.value]
    # Read anew it means what it meant, however often it is rejected.
    return [harmless(restored(cell)) for cell in [*cells, *[""] * (width - len(cells)), *told]]


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; phone numbers stay as they are."""
    if QUOTED(cell) and not cell.replace("+", "", 1).replace(" ", "").isdigit():
        return f"'{cell}"
    return cell


def restored(cell: str) -> str:
    """Return what harmless() was given: the apostrophe before a formula says nothing."""
    return cell[1:] if cell.startswith("'") and QUOTED(cell[1:]) else cell
