"""DossierFile: a member's dossier as one JSON document, or as a ZIP of a CSV for each section."""

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import IO, Any

from members.rejects import harmless

Sections = Iterable[tuple[str, Iterable[dict[str, Any]]]]


def as_json(sections: Sections, *, member_id: int, at: datetime) -> Iterator[str]:
    """Yield the document piece by piece: it may be long."""
    head = json.dumps({"member_id": member_id, "exported_at": at.isoformat()})
    yield f'{head[:-1]}, "sections": {{'
    for place, (name, rows) in enumerate(sections):
        yield f"{',' if place else ''}\n{json.dumps(name)}: ["
        for number, row in enumerate(rows):
            yield f"{',' if number else ''}\n{json.dumps(row, ensure_ascii=False, default=str)}"
        yield "]"
    yield "}}\n"


def write_zip(sections: Sections, out: IO[bytes]) -> None:
    """Write a ZIP of `<section>.csv` files, row by row; no cell is a formula."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in sections:
            with archive.open(f"{name}.csv", "w", force_zip64=True) as file:
                file.writelines(line.encode() for line in as_csv(rows))


def as_csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield rows as lines of CSV, under the names of the first."""
    for number, row in enumerate(rows):
        if number == 0:
            yield _line(row)
        yield _line(_cell(value) for value in row.values())


def _line(cells: Iterable[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return harmless(str(value))
