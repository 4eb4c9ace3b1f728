"""Mirrors members/importers.py, members/standing.py and members/written.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from core.address import AddressHasher
from members import queries
from members.errors import MemberInvalidError
from members.importing import ImportOptions, import_csv
from members.standing import flattened
from members.suppression import Suppression
from members.written import written_date, written_number

HASHER = AddressHasher(b"h" * 32)
LISTMONK = """uuid,email,name,attributes,status,created_at,updated_at
5f,ana@example.com,Ana Silva,"{""city"": ""Porto"", ""plan"": {""name"": ""pro""}}",enabled,x,x
6f,bo@example.com,Bo,{},blocklisted,x,x
7f,cy@example.com,Cy,not json,enabled,x,x
"""
SUBSCRIBED = """Email Address,First Name,Last Name,Cake,MEMBER_RATING,OPTIN_TIME,LEID,EUID,TAGS
ana@example.com,Ana,Silva,carrot,2,2024-01-02 03:04:05,1,a,"""
UNSUBSCRIBED = """Email Address,First Name,MEMBER_RATING,UNSUB_TIME,LEID,EUID,TAGS
bo@example.com,Bo,2,2024-01-02 03:04:05,1,a,
"""
CLEANED = """Email Address,First Name,MEMBER_RATING,CLEAN_TIME,LEID,EUID,TAGS
cy@example.com,Cy,2,2024-01-02 03:04:05,1,a,
"""


@pytest.fixture
def load(sessions, clock, client_id, tmp_path):
    def run(text: str, **options):
        path = tmp_path / "export.csv"
        path.write_text(text)
        return import_csv(
            sessions,
            clock,
            HASHER,
            client_id=client_id,
            path=path,
            filename="export.csv",
            options=ImportOptions(**options),
        )

    return run


def suppressed(sessions) -> list[tuple[str, str]]:
    with sessions() as session:
        rows = session.scalars(select(Suppression).order_by(Suppression.id))
        return [(one.scope.value, one.reason.value) for one in rows]


def test_listmonk_subscribers_keep_attributes_and_blocks(load, sessions, client_id) -> None:
    job = load(LISTMONK)

    assert (job.created, job.rejected, job.suppressed) == (2, 1, 1)
    assert suppressed(sessions) == [("all", "manual")]
    with sessions() as session:
        ana = queries.member_by_email(session, client_id, "ana@example.com")[0]
        assert (ana.full_name, ana.attributes) == (
            "Ana Silva",
            {"city": "Porto", "plan.name": "pro"},
        )


def test_a_mailchimp_audience_keeps_fields_tags_and_who_left(load, sessions, client_id) -> None:
    load(SUBSCRIBED + '"""VIP"",""Blog"""\n', consent_channels=["email"])
    left = load(UNSUBSCRIBED, consent_channels=["email"])
    load(CLEANED, consent_channels=["email"])

    assert left.suppressed == 1
    assert suppressed(sessions) == [("marketing", "unsubscribed"), ("all", "bounced")]
    with sessions() as session:
        found = {one.first_name: one for one in queries.members_page(session, client_id)}
        around = queries.around(session, client_id, [one.id for one in found.values()])
    near = {name: around[one.id] for name, one in found.items()}
    assert found["Ana"].attributes == {"cake": "carrot"}
    assert near["Ana"].tags == ("blog", "vip")
    said = {name: [one.state.value for one in its.consents] for name, its in near.items()}
    assert said == {"Ana": ["granted"], "Bo": ["withdrawn"], "Cy": []}


@pytest.mark.parametrize("cell", ["", "x", "[1]", "7", "[" * 100_000])
def test_attributes_are_an_object(cell) -> None:
    with pytest.raises(MemberInvalidError):
        flattened(cell)


@pytest.mark.parametrize(
    ("text", "order", "meant"),
    [
        ("31.01.1990", "dmy", "1990-01-31"),
        ("1/31/1990", "mdy", "1990-01-31"),
        ("1990-01-31", "dmy", "1990-01-31"),
        ("5-6-2020 10:00", "dmy", "2020-06-05 10:00"),
        ("31.01.90", "dmy", "31.01.90"),
        ("soon", "dmy", "soon"),
    ],
)
def test_dates_are_read_in_the_order_they_are_written(text, order, meant) -> None:
    assert written_date(text, order) == meant


@given(st.decimals(-(10**7), 10**7, places=2))
def test_numbers_with_a_comma_mean_what_they_say(number) -> None:
    text = f"{number:,.2f}".translate(str.maketrans(",.", ".,"))

    assert written_number(text) == f"{number:.2f}"
    assert written_number(text.replace(".", " ")) == f"{number:.2f}"


def test_dates_and_decimals_of_a_file_are_read_its_way(load, sessions, client_id) -> None:
    load(
        "member_id;date_of_birth;total_spend;attributes.size\n1;31.01.1990;1.234,50;3,5\n",
        date_order="dmy",
        decimal=",",
    )

    with sessions() as session:
        one = queries.member_by_key(session, client_id, "1")
    assert (str(one.date_of_birth), str(one.total_spend), one.attributes) == (
        "1990-01-31",
        "1234.5000",
        {"size": 3.5},
    )
