"""Mirrors members/exporting.py: what is exported makes the same people when it is imported."""

import csv
import hashlib
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.client import Client
from core.address import AddressHasher
from core.db import write
from members import edit, queries
from members.exporting import COLUMNS, FIELDS, Exported, ExportFormat, export_members
from members.importing import ImportOptions, import_csv
from members.member import Gender, MemberStatus, Tier
from members.rejects import harmless, restored
from members.segment import condition_of
from members.upsert import Existing

HASHER = AddressHasher(b"h" * 32)
LETTERS = st.characters(exclude_categories=("C", "Zl", "Zp"), exclude_characters="\x85")
SIGNS = st.sampled_from(["=1+1", "+cmd", "-2", "@x", "'=a", "''=a", "a,b", 'a"b', "a;b", "O'Neill"])
TEXTS = (SIGNS | st.text(LETTERS, max_size=20)).map(str.strip)
INSTANTS = st.integers(0, 2 * 10**15).map(lambda us: datetime(1970, 1, 1, tzinfo=UTC) + us * MICRO)
MICRO = timedelta(microseconds=1)
VALUES = TEXTS | st.integers(-(10**9), 10**9) | st.booleans() | st.floats(-1e6, 1e6)
MONEY = st.decimals(0, 10**6, places=4, allow_nan=False)
PEOPLE = st.fixed_dictionaries(
    {},
    optional={
        "first_name": TEXTS,
        "last_name": TEXTS,
        "location": TEXTS,
        "notes": st.text(LETTERS | st.sampled_from("\n\t"), max_size=40).map(str.strip),
        "tier": st.sampled_from(Tier),
        "status": st.sampled_from(MemberStatus),
        "gender": st.sampled_from(Gender),
        "date_of_birth": st.dates(date(1900, 1, 1), date(2020, 1, 1)),
        "last_active": INSTANTS,
        "engagement_score": st.floats(0, 100),
        "total_spend": MONEY,
        "acquisition_cost": MONEY,
        "timezone": st.sampled_from(["Europe/Berlin", "America/Chicago"]),
        "phone": st.sampled_from(["+12015550123", "+12015550124"]),
        "push_token": st.sampled_from(["f" * 64, "=" + "e" * 40]),
        "tags": st.lists(st.sampled_from(["vip", "=x", "warm-lead", "-a"]), max_size=3),
        "attributes": st.dictionaries(
            st.text(LETTERS, min_size=1, max_size=20), VALUES, max_size=4
        ),
        "consents": st.lists(
            st.fixed_dictionaries(
                {
                    "channel": st.sampled_from(["email", "sms", "push"]),
                    "state": st.sampled_from(["granted", "withdrawn"]),
                }
            ),
            max_size=3,
            unique_by=lambda one: one["channel"],
        ),
    },
)


@pytest.fixture
def make(sessions, clock, client_id):
    def run(**values):
        with write(sessions) as session:
            edit.create_member(session, clock, HASHER, client_id=client_id, **values)

    return run


@pytest.fixture
def export(sessions, clock, client_id):
    def run(format: ExportFormat, client: int | None = None, rule: str | None = None):
        told = Exported()
        parts = export_members(
            sessions,
            client_id=client or client_id,
            format=format,
            now=clock.now(),
            condition=condition_of(rule) if rule else None,
            told=told,
        )
        return b"".join(parts), told

    return run


def state(sessions, client: int) -> list[tuple]:
    """Return all that is exported of a client's people, as it is in the database."""
    with sessions() as session:
        found = queries.members_page(session, client, limit=1000)
        around = queries.around(session, client, [one.id for one in found])
        return [
            (
                *[getattr(one, name) for name in FIELDS if name != "push_token"],
                one.attributes,
                sorted(around[one.id].tags),
                sorted((a.channel, a.value) for a in around[one.id].addresses),
                sorted((c.channel, c.state.value) for c in around[one.id].consents),
            )
            for one in found
        ]


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(people=st.lists(PEOPLE, min_size=1, max_size=4))
def test_importing_an_export_makes_the_same_people(
    people, sessions, clock, export, tmp_path
) -> None:
    with write(sessions) as session:
        clients = [
            Client(name=f"Shop {number}", created_at=clock.now(), updated_at=clock.now())
            for number in range(2)
        ]
        session.add_all(clients)
        session.flush()
        here, there = (one.id for one in clients)
        for number, person in enumerate(people):
            edit.create_member(
                session, clock, HASHER, client_id=here, member_id=f"k{number}", **person
            )
    data, _ = export(ExportFormat.CSV, here)
    path = tmp_path / "export.csv"
    path.write_bytes(data)

    job = import_csv(
        sessions,
        clock,
        HASHER,
        client_id=there,
        path=path,
        filename="export.csv",
        options=ImportOptions(),
    )

    assert (job.created, job.rejected) == (len(people), 0)
    assert state(sessions, there) == state(sessions, here)


@given(text=st.text(st.sampled_from("'=+-@\t\rab1 "), max_size=8))
def test_a_quoted_cell_is_no_formula_and_comes_back(text) -> None:
    quoted = harmless(text)

    assert quoted[:1] not in ("=", "-", "@", "\t", "\r")
    assert not quoted.startswith("+") or quoted[1:].replace(" ", "").isdigit()
    assert restored(quoted) == text


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+cmd", "-2+3", "@SUM(A1)", "'=1"])
def test_b057_an_export_holds_no_formula_and_comes_back_as_it_was(
    text, make, export, sessions, clock, client_id, tmp_path
) -> None:
    make(member_id="k1", first_name=text, tags=["=tag"], attributes={"=name": text})
    data, _ = export(ExportFormat.CSV)

    cells = next(csv.reader([data.decode().splitlines()[1]]))
    assert not [cell for cell in cells if cell[:1] in ("=", "-", "+", "@", "\t", "\r")]
    path = tmp_path / "export.csv"
    path.write_bytes(data)
    job = import_csv(
        sessions,
        clock,
        HASHER,
        client_id=client_id,
        path=path,
        filename="export.csv",
        options=ImportOptions(existing=Existing.OVERWRITE),
    )
    assert (job.rows, job.unchanged) == (1, 1)


def test_a_file_holds_everybody_whom_the_rule_means_and_says_how_many(make, export) -> None:
    for number in range(5):
        make(member_id=f"k{number}", tier="premium" if number % 2 else "basic")

    data, told = export(ExportFormat.CSV, rule='tier = "premium"')

    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert [row["member_id"] for row in rows] == ["k1", "k3"]
    assert tuple(rows[0]) == COLUMNS
    assert (told.rows, told.sha256) == (2, hashlib.sha256(data).hexdigest())


def test_json_lines_nest_what_belongs_together(make, export) -> None:
    make(
        member_id="k1",
        email="ana@example.com",
        total_spend=Decimal("12.5"),
        tags=["vip"],
        attributes={"city": "Porto", "age": 7},
        consents=[{"channel": "email", "state": "granted"}],
    )

    (row,) = [json.loads(line) for line in export(ExportFormat.JSONL)[0].splitlines()]

    assert (row["member_id"], row["email"], row["total_spend"]) == (
        "k1",
        "ana@example.com",
        "12.5000",
    )
    assert (row["attributes"], row["tags"]) == ({"city": "Porto", "age": 7}, ["vip"])
    assert row["consents"] == {"email": "yes"}


def test_parquet_holds_what_csv_does(make, export) -> None:
    for number in range(3):
        make(member_id=f"k{number}", first_name="=x", attributes={"n": number})

    data, told = export(ExportFormat.PARQUET)

    table = pq.read_table(io.BytesIO(data))
    assert tuple(table.column_names) == COLUMNS
    assert table["member_id"].to_pylist() == ["k0", "k1", "k2"]
    assert table["first_name"].to_pylist() == ["=x"] * 3  # nothing runs it here
    assert told.rows == 3


def test_an_empty_export_is_a_header(export) -> None:
    data, told = export(ExportFormat.CSV)

    assert data.decode().splitlines() == [",".join(COLUMNS)]
    assert told.rows == 0
