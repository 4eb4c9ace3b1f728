"""Mirrors echelonx/commands/segment.py and echelonx/tracking.py."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.clock import ManualClock
from core.db import Sessions, read, write
from core.settings import Settings
from echelonx import wiring
from echelonx.tracking import Tracking
from members.belonging import stays_page
from members.membership import Cause, track
from members.segment import create_segment
from members.touch import touch
from tests.echelonx.conftest import Call
from tests.factories import Factory

PEOPLE = """member_id,email,first_name,tier,consent.email
A-1,ana@people.example,Ana,elite,yes
B-2,bo@people.example,Bo,elite,no
C-3,,Cy,basic,
"""


@pytest.fixture
def people(call: Call, shop: dict[str, Any], tmp_path: Path) -> None:
    """Three people in the shop."""
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE)
    assert call("import", str(path)).code == 0


def test_a_count_goes_step_by_step_where_it_is_asked_to(call: Call, people: None) -> None:
    plain = call("segment", "count", 'tier = "elite"', "--json").json
    steps = call("segment", "count", "everyone", "--channel", "email", "--json").json
    told = call("segment", "count", "everyone", "--channel", "email")

    assert (plain["members"], plain["email"], "channels" in plain) == (2, 2, False)
    (email,) = steps["channels"]
    assert email["channel"] == "email"
    assert [(step["name"], step["members"]) for step in email["steps"]][-2:] == [
        ("consented", 1),
        ("will_receive", 1),
    ]
    assert "will receive" in told.out
    assert "email" in told.err, "progress is no data"


def test_a_rule_is_explained_by_its_people(call: Call, people: None) -> None:
    some = call("segment", "explain", 'tier = "elite"', "--json").json
    one = call("segment", "explain", 'tier = "elite"', "--member", "c-3", "--json").json
    told = call("segment", "explain", 'tier = "elite"')

    assert [person["member_id"] for person in some["members"]] == ["a-1", "b-2"]
    got = {one["channel"]: one["reason"] for one in some["members"][1]["receives"]}
    assert got == {"email": "no_consent", "sms": "no_address", "push": "no_address"}
    (person,) = one["members"]
    assert [(reason["yes"], reason["found"]) for reason in person["because"]] == [
        (False, "it is “basic”")
    ]
    assert "tier" in some["english"]
    assert "no consent" in told.out
    assert "ana@people.example" not in told.out
    assert call("segment", "explain", "everyone", "--member", "nobody").code == 1


def test_every_command_says_the_rule_in_english(call: Call, people: None) -> None:
    for command in ("count", "show", "explain"):
        answer = call("segment", command, 'tier = "elite"', "--json").json
        assert answer["english"] == "Members whose tier is “elite”."
        assert "Members whose tier" in call("segment", command, 'tier = "elite"').out


def test_a_name_is_a_segment_and_nearly_a_name_is_told(
    call: Call, people: None, shop: dict[str, Any], clock: ManualClock, tmp_path: Path
) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'echelonx.db'}", data_dir=tmp_path)
    with closing(wiring.build(settings)) as services, write(services.sessions) as session:
        create_segment(
            session, clock, client_id=shop["client"], name="Warm leads", rule='tier = "elite"'
        )

    assert call("segment", "count", "Warm leads", "--json").json["members"] == 2
    for nearly in ("warm leads", '"Warm leads"', "Warm leeds"):
        missed = call("segment", "count", nearly)
        assert missed.code == 1
        assert 'in segment "Warm leads"' in missed.err
    wrong = call("segment", "count", 'tier = "platinum"')
    assert (wrong.code, "basic, premium, elite, executive" in wrong.err) == (1, True)


def test_changes_are_seen_client_by_client(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    makers = [Factory(sessions, clock, client_id)]
    makers.append(makers[0].another_client())
    tracking = Tracking(sessions, clock)
    assert tracking.unit() is False

    with write(sessions) as session:
        for maker in makers:
            segment = create_segment(
                session, clock, client_id=maker.client_id, name="A", rule='tier = "elite"'
            )
            track(session, clock, segment)
    while tracking.unit():
        pass
    members = [maker.member(tier="elite") for maker in makers]
    with write(sessions) as session:
        for maker, member in zip(makers, members, strict=True):
            touch(session, client_id=maker.client_id, member_ids=[member])

    assert tracking.unit() is True
    assert tracking.unit() is False
    with read(sessions) as session:
        for maker, member in zip(makers, members, strict=True):
            (stay,) = stays_page(session, client_id=maker.client_id, member_id=member)
            assert stay.reason is Cause.CHANGE
