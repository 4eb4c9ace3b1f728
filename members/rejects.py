"""Rejects: rows that were not imported, and the file that gives them back for mending."""

import csv
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from members.csv_file import Row

RISKY = ("=", "+", "-", "@", "\t", "\r", "\x00")


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that was not imported."""

    row: Row
    column: str
    code: str
    message: str
    value: str


class RejectFile:
    """rejects.csv: the rows as they were, and behind them what is wrong."""

    def __init__(self, stack: ExitStack, path: Path | None) -> None:
        self._file = (
            stack.enter_context(path.open("w", encoding="utf-8", newline="")) if path else None
        )
        self._writer = csv.writer(self._file) if self._file is not None else None
        self._begun = False

    def write(self, header: Sequence[str], chunk: Sequence[object]) -> None:
        """Write the rejects among a chunk."""
        if self._writer is None:
            return
        if not self._begun:
            self._writer.writerow([*header, *REJECT_COLUMNS])
            self._begun = True
        for item in chunk:
            if isinstance(item, Reject):
                self._writer.writerow(reject_line(len(header), item))


REJECT_COLUMNS = ("reject_line", "reject_column", "reject_code", "reject_message", "reject_value")


def reject_line(width: int, reject: Reject) -> list[str]:
    """Return a line of rejects.csv; cells a spreadsheet would run are quoted (B057)."""
    cells = (reject.row.cells + [""] * width)[:width] if reject.row.cells else [""] * width
    told = [str(reject.row.line), reject.column, reject.code, reject.message, reject.value]
    return [harmless(cell) for cell in [*cells, *told]]


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; phone numbers stay as they are."""
    if cell.startswith(RISKY) and not cell.replace("+", "", 1).replace(" ", "").isdigit():
        return f"'{cell}"
    return cell
