"""Mirrors members/guess.py, members/preview.py and members/source.py."""

from pathlib import Path

import pytest

from members.errors import ImportFileError
from members.guess import Certainty, looks_like
from members.options import ImportOptions
from members.preview import Preview, preview
from tests.members.test_corpus import sheet

SURE, GUESS = Certainty.SURE, Certainty.GUESS
EMAILS = [f"ana{n}@example.com" for n in range(10)]
PHONES = [f"+1201555012{n}" for n in range(10)]


@pytest.fixture
def look(tmp_path: Path):
    def run(content: str | bytes, **options) -> Preview:
        path = tmp_path / "people"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return preview(path, ImportOptions(**options), country="US")

    return run


def table(**columns: list[str]) -> str:
    lines = [",".join(name.replace("_", " ") for name in columns)]
    return "\n".join(lines + [",".join(row) for row in zip(*columns.values(), strict=True)]) + "\n"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (EMAILS, "email"),
        ([*EMAILS[:9], "none"], "email"),
        ([*EMAILS[:8], "none", "none"], None),
        (PHONES, "phone"),
        (["(201) 555-0123", "201-555-0124", "1 201 555 0125"], "phone"),
        (["2015550123", "2015550124", "2015550125"], None),
        (["31.01.1990", "28.02.1991", "3.3.1992"], "date_of_birth"),
        (["1990-01-31", "1991-02-28", "1992-03-03"], "date_of_birth"),
        (["2026-01-31", "2025-02-28", "2026-03-03"], None),
        (["en", "de", "pt-BR", "zh_Hant"], "language"),
        (["DE", "FR", "US"], None),
        (["Europe/Berlin", "UTC", "America/New_York"], "timezone"),
        (["vip, blog", "blog", "blog; VIP"], "tags"),
        (["Lisbon", "Porto", "Faro"], None),
        ([], None),
    ],
)
def test_values_look_like_a_field_or_like_nothing(values, field) -> None:
    assert looks_like(values, "US") == field


def test_a_name_that_values_confirm_is_sure_and_one_they_contradict_is_doubted(look) -> None:
    seen = look(table(email=EMAILS, Phone=EMAILS, first_name=EMAILS, tier=["basic"] * 10))

    email, phone, first, tier = seen.columns
    assert (email.guess, email.certainty, email.taken, email.doubt) == ("email", SURE, True, None)
    assert (phone.guess, phone.certainty, phone.taken) == ("phone", GUESS, True)
    assert phone.doubt == "none of its first 10 values can be read as phone; they look like email"
    assert first.doubt == "its values look like email"
    assert (tier.certainty, tier.doubt) == (SURE, None)


def test_dates_in_another_order_are_doubted_with_the_reason(look) -> None:
    text = "email,birthday\n" + "".join(f"a{n}@example.com,{20 + n}.01.1990\n" for n in range(5))

    assert "another order of dates" in look(text).columns[1].doubt
    assert look(text, date_order="dmy").columns[1].certainty is SURE


def test_by_values_alone_email_and_phone_are_taken_and_the_rest_is_proposed(look) -> None:
    born = [f"199{n}-01-31" for n in range(10)]
    seen = look(table(Write_to=EMAILS, Call=PHONES, Came=born, Also=EMAILS, Town=["Faro"] * 10))

    got = [(one.guess, one.certainty, one.taken) for one in seen.columns]
    assert got == [
        ("email", GUESS, True),
        ("phone", GUESS, True),
        ("date_of_birth", GUESS, False),
        ("email", GUESS, False),
        (None, None, False),
    ]
    assert seen.ignored == ["Came", "Also", "Town"]
    assert seen.problem is None


def test_what_is_named_or_mapped_is_not_taken_a_second_time(look) -> None:
    text = table(email=EMAILS, Parent=EMAILS, Fax=PHONES)

    taken = {one.name: one.target for one in look(text, mapping={"Fax": None}).columns}
    assert taken == {"email": "email", "Parent": None, "Fax": None}
    mapped = look(text, mapping={"email": None, "Parent": "email"})
    assert [one.target for one in mapped.columns] == [None, "email", "phone"]


def test_a_file_without_a_header_has_numbered_columns(look) -> None:
    rows = "Ana,ana@example.com,Faro\nBo,bo@example.com,Faro\n"

    seen = look(rows)
    assert (seen.header, seen.rows) == (False, 2)
    assert [one.name for one in seen.columns] == ["column 1", "column 2", "column 3"]
    assert [one.target for one in seen.columns] == [None, "email", None]
    assert seen.columns[0].examples == ("Ana", "Bo")
    named = look(rows, mapping={"column 1": "first_name"})
    assert named.columns[0].target == "first_name"
    assert look(rows, header=True).columns[1].name == "ana@example.com"


@pytest.mark.parametrize(
    ("first", "headed"),
    [
        ("email,x", True),
        ("Town,Contact", True),
        ("E-Mail,ana@example.com", True),
        ("Ana,ana@example.com", False),
        ("Ana,+12015550123", False),
        ("1234567,Ana", True),
    ],
)
def test_the_first_row_is_a_header_unless_it_holds_an_address_and_no_known_word(
    first, headed, look
) -> None:
    assert look(first + "\nBo,bo@example.com\n").header is headed
    assert look(first + "\nBo,bo@example.com\n", header=not headed).header is not headed


def test_a_preview_says_how_the_file_is_written(look) -> None:
    seen = look(b'"a;b";E-Mail|x\nJos\xe9;ana@example.com\n')

    assert (seen.format, seen.encoding, seen.delimiter) == ("csv", "cp1252", ";")
    book = look(sheet("email|Town", "ana@example.com|Faro"))
    assert (book.format, book.sheets, book.encoding) == ("xlsx", ["People"], None)


def test_a_preview_says_why_the_import_would_be_refused(look) -> None:
    seen = look("Town,first_name\nFaro,Ana\n")

    assert seen.problem == "no column says who a row is about"
    assert seen.remedy
    assert look("email,e-mail\na@example.com,\n").problem == "two columns are email"
    with pytest.raises(ImportFileError):
        look("")


def test_examples_are_the_first_values_that_differ_and_short(look) -> None:
    text = "email,note\n" + "".join(f"a{n}@example.com,{'xy'[n > 2] * 500}\n" for n in range(9))

    assert look(text).columns[1].examples == ("x" * 80, "y" * 80)
