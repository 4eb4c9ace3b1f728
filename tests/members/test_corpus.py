"""Broken files, each as somebody has sent one: whatever they hold, their sums equal their rows."""

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from core.address import AddressHasher
from members import csv_file, queries
from members.errors import ImportFileError
from members.import_job import ImportJob, ImportStatus
from members.importing import ImportOptions, import_csv
from members.source import format_of

HASHER = AddressHasher(b"h" * 32)
HEAD = "email,first_name\n"


def cells(*emails: str) -> str:
    """Return a file with these addresses, quoted as CSV wants it."""
    return HEAD + "".join('"' + one.replace('"', '""') + '",Ana\n' for one in emails)


def phones(*numbers: str) -> str:
    return "phone,first_name\n" + "".join(f'"{one}",Ana\n' for one in numbers)


def sheet(*rows: str, parts: dict[str, str] | None = None, xml_head: str = "") -> bytes:
    """Return a workbook whose rows hold inline text, cells parted by |."""
    lines = []
    for number, row in enumerate(rows, 1):
        inner = "".join(
            f'<c r="{chr(65 + at)}{number}" t="inlineStr"><is><t>{cell}</t></is></c>'
            for at, cell in enumerate(row.split("|"))
        )
        lines.append(f'<row r="{number}">{inner}</row>')
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    pack = "http://schemas.openxmlformats.org/package/2006"
    files = {
        "[Content_Types].xml": f'<Types xmlns="{pack}/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{pack}/relationships"><Relationship Id="r1" '
        f'Type="{rel}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rel}"><sheets>'
        '<sheet name="People" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{pack}/relationships">'
        f'<Relationship Id="r1" Type="{rel}/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": f'{xml_head}<worksheet xmlns="{main}"><sheetData>'
        + "".join(lines)
        + "</sheetData></worksheet>",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**files, **(parts or {})}.items():
            archive.writestr(name, text)
    return out.getvalue()


def linked(book: bytes) -> bytes:
    """Return a workbook with a symbolic link to a file of the machine in it."""
    out = io.BytesIO(book)
    with zipfile.ZipFile(out, "a") as archive:
        part = zipfile.ZipInfo("xl/link")
        part.external_attr = 0o120777 << 16
        archive.writestr(part, "/etc/passwd")
    return out.getvalue()


A, B = "a@example.com", "b@example.com"
XXE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'

CORPUS: dict[str, tuple[str | bytes, int, int, int]] = {
    # what is wrong: (file, rows, members, rejected)
    "only a header": (HEAD, 0, 0, 0),
    "a header without a line end": (HEAD.strip(), 0, 0, 0),
    "no address anywhere": (HEAD + ",Ana\n,Bo\n", 2, 0, 2),
    "B058 unbalanced quote in the middle": (HEAD + f'{A},"Ana\n{B},Bo\n', 2, 1, 1),
    "B058 quote inside a cell": (HEAD + f'{A},An"na\n{B},Bo\n', 2, 1, 1),
    "B058 every line begins a quote": (HEAD + '"a\n"b\n"c\n', 3, 0, 3),
    "B058 a line of two megabytes": (HEAD + "x" * 2_000_000 + f"\n{B},Bo\n", 2, 1, 1),
    "B058 a row of 100,000 cells": (HEAD + "," * 100_000 + f"\n{B},Bo\n", 2, 1, 1),
    "B058 a NUL": (HEAD + f"{A},A\x00na\n{B},Bo\n", 2, 1, 1),
    "B058 BOM": (b"\xef\xbb\xbf" + (HEAD + f"{A},Ana\n").encode(), 1, 1, 0),
    "B058 UTF-16": ((HEAD + f"{A},José\n").encode("utf-16"), 1, 1, 0),
    "B058 UTF-16, big-endian": (b"\xfe\xff" + (HEAD + f"{A},Zoë\n").encode("utf-16-be"), 1, 1, 0),
    "B058 mixed encodings": (HEAD.encode() + f"{A},José\n".encode() + b"b@example.com,Jos\xe9\n",
                             2, 2, 0),
    "B058 line ends of old Macs": (HEAD.replace("\n", "\r") + f"{A},Ana\r{B},Bo\r", 2, 2, 0),
    "B058 mixed line ends": (HEAD + f"{A},Ana\r\n{B},Bo\r\n\r\n", 2, 2, 0),
    "a row too short, a row too long": (HEAD + f"{A}\n{A},Ana,x\n{B},Bo\n", 3, 1, 2),
    "the header again in the middle": (HEAD + f"{A},Ana\n{HEAD}{B},Bo\n", 3, 2, 1),
    "a total at the end": (HEAD + f"{A},Ana\nTotal,1\n", 2, 1, 1),
    "blank and spaced lines": (HEAD + f"\n  \n{A},Ana\n\n", 1, 1, 0),
    "semicolons": (HEAD.replace(",", ";") + f"{A};Ana\n", 1, 1, 0),
    "B070 case": (cells("User@Example.COM", "user@example.com"), 2, 1, 0),
    "B071 international domain": (cells("user@exämple.com", "user@xn--exmple-cua.com"), 2, 1, 0),
    "B072 fullwidth, zero-width, soft hyphen": (
        cells("\uff41@example.com", A, "a\u200b@example.com", "a\u00ad@example.com"), 4, 1, 2),
    "B073 Turkish and sharp letters": (cells("İ@example.com", "ß@example.com"), 2, 0, 2),
    "B074 more than an address": (
        cells("mailto:a@example.com", "Ana <a@example.com>", "a@example.com, b@example.com",
              "a@example.com.", "a b@example.com", " a@example.com "), 6, 1, 5),
    "B075 endless and odd": (
        cells("x" * 65 + "@example.com", "x@" + "y" * 250 + ".com", "a@[127.0.0.1]", '"a b"@x.com'),
        4, 0, 4),
    "B076 a header line in an address": (cells("a@example.com\nBcc: b@example.com"), 1, 0, 1),
    "B078 plus-tags and dots are others": (
        cells("a.b@gmail.com", "ab@gmail.com", "ab+x@gmail.com"), 3, 3, 0),
    "B079 one number in three spellings": (
        phones("(201) 555-0123", "+1 201 555 0123", "2015550123"), 3, 1, 0),
    "B081 digits of other scripts": (
        phones("+1201555\u0660\u0661\u0662\u0663", "\uff0b12015550123", "+12015550123"), 3, 1, 0),
    "B083 numbers that cannot be": (phones("12345", "+1201555012", "0012015550123x"), 3, 0, 3),
    "B085 extension and vanity": (phones("+12015550123 ext. 7", "1-800-FLOWERS"), 2, 0, 2),
    "B080 a number of nowhere": ("phone\n+33612345678\n+999123456789\n", 2, 1, 1),
    "B082 a zero in brackets": (phones("+33 (0)6 12 34 56 78", "+33612345678"), 2, 1, 0),
    "B084 premium, short, a name": (phones("+19005550123", "78787", "ELEVATE"), 3, 0, 3),
    "an id of a thousand letters": ("member_id\n" + "x" * 1000 + "\n1\n", 2, 1, 1),
    "cells no spreadsheet should run": (HEAD + f"{A},=cmd|' /C calc'!A0\n", 1, 1, 0),
    "two people at one mailbox": (
        f"member_id,email\n1,{A}\n2,{A}\n", 2, 2, 0),
    "tags beyond measure": (f"email,tags\n{A},{'x' * 65}\n{B},ok\n", 2, 1, 1),
    "a workbook": (sheet("email|first_name", f"{A}|Ana", "|", f"{B}|Bo", "nobody|x"), 3, 2, 1),
    "a workbook with a cell too many": (sheet("email|first_name", f"{A}|Ana|more"), 1, 0, 1),
    "a workbook with a narrow row": (sheet("email|first_name", A), 1, 1, 0),
}  # fmt: skip

GIF = b"GIF89a/*\x01\x00\x80*/=1;alert(1)//\n\x00;"
SVG = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>\n"

REFUSED: dict[str, Callable[[], str | bytes]] = {
    # what is wrong: the file, none of which is read
    "empty": lambda: "",
    "10,000 columns": lambda: ",".join(f"c{number}" for number in range(10_000)) + "\n",
    "no column for anybody": lambda: "town,first_name\nPorto,Ana\n",
    "neither text nor workbook": lambda: b"email\n\x81\x8d\x8f\n",
    "B054 a zip that is no workbook": lambda: b"PK\x03\x04" + b"x" * 100,
    "B054 a part that leads out": lambda: sheet("email", A, parts={"../../x": "x"}),
    "B054 far larger unpacked": lambda: sheet("email", A, parts={"xl/x.xml": "0" * 60_000_000}),
    "B054 100,000 parts": lambda: sheet("email", parts={f"x/{n}": "" for n in range(2_001)}),
    "B054 an archive inside": lambda: sheet("email", A, parts={"x": "PK\x03\x04..."}),
    "B056 entities that read files": lambda: sheet("email", A, xml_head=XXE),
    "B056 entities that grow": lambda: sheet("email", A, xml_head=LAUGHS),
    "B056 a document type after a megabyte": lambda: sheet(
        "email", parts={"xl/y.xml": "<!-- " + "z" * 65_530 + XXE}
    ),
    "B054 a link inside": lambda: linked(sheet("email", A)),
    "B055 an image that is a script": lambda: GIF,
    "B055 a drawing with a script": lambda: SVG,
    "B058 a header of ten million columns": lambda: "," * 10_000_000,
    "a workbook cut off": lambda: sheet("email", A)[:-100],
}


@pytest.fixture
def load(sessions, clock, client_id, tmp_path):
    def run(data: str | bytes, **options) -> ImportJob:
        path: Path = tmp_path / "people"
        path.write_bytes(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)
        return import_csv(
            sessions,
            clock,
            HASHER,
            client_id=client_id,
            path=path,
            filename="people.csv",
            options=ImportOptions(**options),
            format=format_of(path),
        )

    return run


@pytest.mark.parametrize("name", CORPUS)
def test_the_sums_of_a_broken_file_equal_its_rows(name, load, sessions, client_id) -> None:
    data, rows, members, rejected = CORPUS[name]

    job = load(data)

    assert job.status is ImportStatus.DONE
    assert job.rows == job.created + job.updated + job.unchanged + job.rejected
    with sessions() as session:
        found = queries.members_page(session, client_id)
        refused = queries.import_rejects(session, client_id, job.id)
    assert (job.rows, len(found), job.rejected) == (rows, members, rejected)
    assert len(refused) == rejected
    assert all(one.line > 1 and one.code and one.message for one in refused)
    assert sum(reason["count"] for reason in job.report["reasons"]) == rejected


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_file_of_people_is_refused_whole(name, load, sessions, client_id) -> None:
    with pytest.raises(ImportFileError) as refused:
        load(REFUSED[name]())

    assert refused.value.field in ("file", "encoding")
    with sessions() as session:
        assert queries.members_page(session, client_id) == []
        (job,) = queries.imports_page(session, client_id)
    assert job.status is ImportStatus.FAILED
    assert job.error


def test_b058_an_endless_line_is_never_held_as_a_whole(tmp_path) -> None:
    path = tmp_path / "people.csv"
    with path.open("w") as file:
        file.write(HEAD)
        for _ in range(60):
            file.write("x" * 1_000_000)
        file.write(f"\n{B},Bo\n")
    tracemalloc.start()

    read = list(csv_file.rows(path, encoding="utf-8"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [(row.line, row.problem) for row in read] == [(1, None), (2, "long"), (3, None)]
    assert read[2].cells == [B, "Bo"]
    assert peak < 20_000_000


def test_a_sheet_is_chosen_by_name(load) -> None:
    assert load(sheet("email", A), sheet="People").created == 1
    with pytest.raises(ImportFileError, match="no sheet"):
        load(sheet("email", A), sheet="Orders")
