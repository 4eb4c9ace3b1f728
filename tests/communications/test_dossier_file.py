"""Mirrors communications/dossier_file.py."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from communications.dossier_file import as_csv, write_zip


def test_rows_are_written_as_they_are_read() -> None:
    read: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(3):
            read.append(number)
            yield {"id": number, "text": "=1+1", "more": {"a": None}, "none": None}

    lines = as_csv(rows())
    assert next(lines) == "id,text,more,none\r\n"
    assert next(lines) == """0,'=1+1,"{""a"": null}",\r\n"""
    assert read == [0], "what is long is never whole in memory"

    out = io.BytesIO()
    write_zip([("notes", rows()), ("clicks", iter(()))], out)
    archive = zipfile.ZipFile(out)
    assert archive.namelist() == ["notes.csv", "clicks.csv"]
    assert archive.read("notes.csv").count(b"\r\n") == 4
    assert archive.read("clicks.csv") == b""
