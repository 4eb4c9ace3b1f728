"""Mirrors members/importing.py, members/columns.py, members/csv_file.py and members/rejects.py."""

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from bench.people import FILE, lines
from core.address import AddressHasher
from core.db import write
from members import queries
from members.errors import ImportFileError
from members.import_job import ImportJob, ImportStatus
from members.importing import ImportCounts, ImportOptions, import_csv
from members.member import Member
from members.rejects import REJECT_COLUMNS, free_beside
from members.suppression import Scope, Suppression, SuppressionReason, suppress
from members.upsert import Existing

HASHER = AddressHasher(b"h" * 32)
HEAD = "member_id,first_name,email,phone\n"


@pytest.fixture
def load(sessions, clock, client_id, tmp_path):
    """Import text or bytes; return the job and its rejects."""

    def run(content: str | bytes, *, dry_run=False, rejects=None, **options):
        path = tmp_path / "people.csv"
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(data)
        job = import_csv(
            sessions,
            clock,
            HASHER,
            client_id=client_id,
            path=path,
            filename="people.csv",
            options=ImportOptions(**options),
            dry_run=dry_run,
            rejects_path=rejects,
        )
        with sessions() as session:
            refused = queries.import_rejects(session, client_id, job.id)
        assert job.rows == job.created + job.updated + job.unchanged + job.rejected
        return job, [(one.line, one.column, one.code) for one in refused]

    return run


def members(sessions) -> int:
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(Member)) or 0


def test_rows_become_members(load, sessions, client_id) -> None:
    job, refused = load(HEAD + "1,Ana,ana@example.com,+12015550123\n2,Bo,bo@example.com,\n")

    assert (job.rows, job.created, job.status) == (2, 2, ImportStatus.DONE)
    assert refused == []
    with sessions() as session:
        (ana,) = queries.member_by_email(session, client_id, "ana@example.com")
        assert (ana.member_id, ana.first_name, ana.phone) == ("1", "Ana", "+12015550123")


def test_importing_again_changes_nothing(load, sessions) -> None:
    text = HEAD + "1,Ana,ana@example.com,\n2,Bo,bo@example.com,\n"
    load(text)
    job, _ = load(text)

    assert (job.created, job.updated, job.unchanged) == (0, 0, 2)
    assert members(sessions) == 2


BROKEN = {
    # what is wrong: (file, rows, rejects as (line, column, code))
    "bad email": (HEAD + "1,Ana,ana,\n", 1, [(2, "email", "email_syntax")]),
    "bad phone": (HEAD + "1,Ana,,12345\n", 1, [(2, "phone", "phone_invalid")]),
    "nobody": ("email,first_name\n,Ana\n", 1, [(2, "", "no_identity")]),
    "too few cells": (HEAD + "1,Ana\n2,Bo,,\n", 2, [(2, "", "columns")]),
    "too many cells": (HEAD + "1,Ana,,,more\n", 1, [(2, "", "columns")]),
    "open quote": (HEAD + '1,"Ana,,\n2,Bo,,\n3,Cy,,\n', 3, [(2, "", "quote")]),
    "open quote at the end": (HEAD + '1,Ana,,\n2,"Bo,,\n', 2, [(3, "", "quote")]),
    "text after a quote": (HEAD + '1,"A"na,,\n', 1, [(2, "", "quote")]),
    "NUL": (HEAD + "1,A\x00na,,\n2,Bo,,\n", 2, [(2, "", "nul")]),
    "blank lines": (HEAD + "\n1,Ana,,\n\n\n2,Bo,,x\n", 2, [(6, "phone", "phone_text")]),
    "a quoted line break": (HEAD + '1,"An\na",,\n2,Bo,x,\n', 2, [(4, "email", "email_syntax")]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_row_costs_itself_and_no_other(name, load) -> None:
    text, rows, refused = BROKEN[name]

    job, got = load(text)

    assert (job.rows, job.rejected) == (rows, len(refused))
    assert got == refused


ANA = HEAD + "1,José Ñandú,jose@example.com,\n"


@pytest.mark.parametrize(
    "data",
    [
        ANA.encode(),
        ANA.encode("utf-8-sig"),
        ANA.encode("utf-16"),
        ANA.encode("cp1252"),
        ANA.replace(",", ";").encode(),
        ANA.replace(",", "\t").encode(),
        ANA.replace("\n", "\r\n").encode(),
        ANA.rstrip("\n").encode(),
    ],
)
def test_encodings_delimiters_and_line_ends_are_found(data, load, sessions, client_id) -> None:
    load(data)

    with sessions() as session:
        (jose,) = queries.member_by_email(session, client_id, "jose@example.com")
        assert jose.first_name == "José Ñandú"


@pytest.mark.parametrize(
    ("data", "options", "field"),
    [
        (b"", {}, "file"),
        (b"\n\n", {}, "file"),
        (b"first_name,city\nAna,Lisbon\n", {}, "file"),
        (b"email,name\n\x81\x8d\x8f,x\n", {}, "file"),
        (b"email,e-mail\na@example.com,b@example.com\n", {}, "mapping"),
        (b"email\na@example.com\n", {"mapping": {"mail": "email"}}, "mapping"),
        (b"mail\na@example.com\n", {"mapping": {"mail": "emial"}}, "mapping"),
        (b"email\na@example.com\n", {"encoding": "klingon"}, "encoding"),
    ],
)
def test_a_file_without_a_usable_header_is_refused_whole(
    data, options, field, load, sessions
) -> None:
    with pytest.raises(ImportFileError) as refused:
        load(data, **options)

    assert refused.value.field == field
    assert members(sessions) == 0
    with sessions() as session:
        assert session.scalars(select(ImportJob.status)).one() is ImportStatus.FAILED


def test_headers_are_guessed_and_may_be_mapped(load, sessions, client_id) -> None:
    load(
        "Customer ID,E-Mail,Given Name,Town,secret\n7,a@example.com,Ana,Lisbon,x\n",
        mapping={"Town": "attributes.city", "secret": None},
    )

    with sessions() as session:
        member = queries.member_by_key(session, client_id, "7")
        assert (member.first_name, member.attributes) == ("Ana", {"city": "Lisbon"})


def test_a_dry_run_promises_what_happens_and_writes_nobody(load, sessions) -> None:
    text = "".join(lines()[:400])

    promised, refused = load(text, dry_run=True)

    assert members(sessions) == 0
    happened, also_refused = load(text)
    for name in ("rows", "created", "updated", "unchanged", "rejected"):
        assert getattr(promised, name) == getattr(happened, name)
    assert refused == also_refused
    assert also_refused


def test_the_shipped_people_are_2418_of_whom_41_are_bad(load) -> None:
    assert FILE.read_text(encoding="utf-8") == "".join(lines())

    job, refused = load(FILE.read_bytes())

    assert (job.rows, job.created, job.updated, job.rejected) == (2418, 2350, 27, 41)
    assert len(refused) == 41


def test_rejects_come_back_with_their_reason_and_can_be_mended(load, tmp_path) -> None:
    path: Path = tmp_path / "rejects.csv"
    load(HEAD + "1,=cmd|x,ana,\n2,Bo,bo@example.com,\n", rejects=path)

    with path.open(newline="", encoding="utf-8") as file:
        head, row = csv.reader(file)
    assert row[:4] == ["1", "'=cmd|x", "ana", ""]
    assert dict(zip(head, row, strict=True))["reject_line"] == "2"

    mended = ",".join(head) + "\n" + ",".join([*row[:2], "ana@example.com", *row[3:]]) + "\n"
    job, _ = load(mended)
    assert job.created == 1


def test_rejects_that_are_rejected_again_are_told_once(load, tmp_path) -> None:
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    load(HEAD + "1,Ana,ana,\n2,Bo,bo@example.com,\n3,=Cy,cy,\n", rejects=first)

    job, refused = load(first.read_bytes(), rejects=second)

    assert (job.rows, refused) == (2, [(2, "email", "email_syntax"), (3, "email", "email_syntax")])
    assert job.report["ignored"] == []
    once, twice = (list(csv.reader(path.read_text().splitlines())) for path in (first, second))
    assert twice[0] == once[0] == [*HEAD.strip().split(","), *REJECT_COLUMNS]
    assert [row[:4] for row in twice] == [row[:4] for row in once]


@pytest.mark.parametrize("row", ['1,"Ana,ana@example.com,', "1,Ana,ana@example.com,,more"])
def test_a_reject_without_known_cells_is_rejected_again_until_it_is_mended(
    row, load, tmp_path, sessions
) -> None:
    path = tmp_path / "rejects.csv"
    load(HEAD + row + "\n", rejects=path)
    (told,) = csv.DictReader(path.read_text().splitlines())
    assert "ana@example.com" in told["reject_value"]

    job, _ = load(path.read_bytes())

    assert (job.rejected, members(sessions)) == (1, 0)


def test_a_file_without_rejects_has_no_rejects_file(load, tmp_path) -> None:
    load(HEAD + "1,Ana,,\n", rejects=tmp_path / "rejects.csv")

    assert not (tmp_path / "rejects.csv").exists()


def test_rejects_go_beside_a_file_and_over_none(tmp_path) -> None:
    assert free_beside(tmp_path / "people.csv").name == "people.rejects.csv"
    (tmp_path / "people.rejects.csv").touch()
    assert free_beside(tmp_path / "people.csv").name == "people.rejects-2.csv"
    assert free_beside(tmp_path / "people.rejects.csv").name == "people.rejects-2.csv"
    (tmp_path / "people.rejects-2.csv").touch()
    assert free_beside(tmp_path / "people.rejects-2.csv").name == "people.rejects-3.csv"


def test_a_file_without_a_header_is_imported_by_its_values(load, sessions, client_id) -> None:
    more = "".join(f"Cy,cy{n}@example.com,Faro\n" for n in range(9))

    job, refused = load(
        "Ana,ana@example.com,Faro\nBo,bo,Faro\n" + more, mapping={"column 1": "first_name"}
    )

    assert (job.rows, job.created, refused) == (11, 10, [(2, "column 2", "email_syntax")])
    assert job.report["guessed"] == {"column 2": "email"}
    assert job.report["ignored"] == ["column 3"]
    with sessions() as session:
        (ana,) = queries.member_by_email(session, client_id, "ana@example.com")
    assert ana.first_name == "Ana"


def test_what_values_contradict_is_told(load) -> None:
    job, _ = load("email,phone\nana@example.com,soon\n")

    assert job.report["doubts"] == {
        "phone": "none of its first 1 values can be read as phone",
    }


def test_suppressed_people_stay_suppressed(load, sessions, clock, client_id) -> None:
    with write(sessions) as session:
        suppress(
            session,
            clock,
            client_id=client_id,
            channel="email",
            address_hash=HASHER.hash(client_id, "email", "ana@example.com"),
            masked="a***",
            scope=Scope.ALL,
            reason=SuppressionReason.BOUNCED,
        )

    load(HEAD + "1,Ana,ana@example.com,\n", consent_channels=["email"], existing=Existing.OVERWRITE)

    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Suppression)) == 1


def test_b059_a_file_that_says_yes_for_the_suppressed_changes_nothing_and_is_told(
    load, sessions, clock, client_id
) -> None:
    first = "email,consent.email\nana@example.com,no\nbo@example.com,yes\n"
    load(first)
    with write(sessions) as session:
        suppress(
            session,
            clock,
            client_id=client_id,
            channel="email",
            address_hash=HASHER.hash(client_id, "email", "bo@example.com"),
            masked="b***",
            scope=Scope.MARKETING,
            reason=SuppressionReason.UNSUBSCRIBED,
        )

    job, _ = load(
        "email,consent.email,standing\nANA@Example.com,yes,subscribed\nBo@example.com,yes,enabled\n",
        existing=Existing.OVERWRITE,
        consent_channels=["email"],
    )

    assert (job.rejected, job.suppressed) == (0, 1)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Suppression)) == 1
        (ana,) = queries.member_by_email(session, client_id, "ana@example.com")
        around = queries.around(session, client_id, [ana.id])[ana.id]
    assert [one.state.value for one in around.consents] == ["withdrawn"]


def test_consent_comes_from_a_column_or_from_everybody(load, sessions, client_id) -> None:
    load(
        "member_id,consent.email\n1,yes\n2,no\n3,\n4,perhaps\n",
        consent_channels=["sms"],
        consent_wording="I agree",
    )

    def states(key: str) -> dict[str, str]:
        with sessions() as session:
            member = queries.member_by_key(session, client_id, key)
            around = queries.around(session, client_id, [member.id])[member.id]
            return {one.channel: one.state.value for one in around.consents}

    assert states("1") == {"email": "granted", "sms": "granted"}
    assert states("2") == {"email": "withdrawn", "sms": "granted"}
    assert states("3") == {"sms": "granted"}
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Member)) == 3


def test_progress_is_told_chunk_by_chunk(sessions, clock, client_id, tmp_path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("member_id\n" + "".join(f"m{number}\n" for number in range(2500)))
    seen: list[ImportCounts] = []

    import_csv(
        sessions,
        clock,
        HASHER,
        client_id=client_id,
        path=path,
        filename="many.csv",
        options=ImportOptions(),
        on_progress=seen.append,
        chunk=1000,
    )

    assert [counts.rows for counts in seen] == [1000, 2000, 2500]


WORDS = ("a@example.com", "ANA@example.com", "bad", "1", "é", "+12015550123")
SIGNS = ('"', '""', '"x', ",", ";", "\n", "\r\n", "\x00", " ", "'", "\\", "\t")
PIECES = st.sampled_from(WORDS + SIGNS)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(text=st.lists(PIECES, max_size=30).map("".join))
def test_whatever_a_file_holds_its_sums_equal_its_rows(text, load) -> None:
    load(HEAD + text)


def test_addresses_that_may_be_nobodys_are_imported_and_told_of(load, sessions) -> None:
    rows = "1,Ana,ana@shop.de,\n2,Team,info@shop.de,\n3,Bot,no-reply@shop.de,\n4,Ed,ed@x.test,\n"
    told = {"role": 1, "nobody_reads": 1, "no_mail": 1}

    assert load(HEAD + rows, dry_run=True)[0].report["doubtful"] == told
    job, refused = load(HEAD + rows)

    assert (job.created, refused, job.report["doubtful"]) == (4, [], told)
