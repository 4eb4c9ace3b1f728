"""Mirrors campaigns/elevate/student.py, star.py, badge.py, practice.py and classroom.py."""

from dataclasses import asdict
from typing import Any

import pytest
from sqlalchemy import select, update

from accounts.client import update_client
from accounts.client_settings import checked_settings
from accounts.user import Role, create_user, grant_role
from campaigns.elevate.classroom import Student, classroom
from campaigns.elevate.path import State
from campaigns.elevate.practice import pretends
from campaigns.elevate.star import held_stars
from campaigns.elevate.student import StudentPath, award, student_path
from campaigns.journeys.ast import Elevate
from campaigns.journeys.publish import create_journey, publish
from channels.simulators.config import Keys, config
from communications.account import ProviderAccount, seal
from communications.communication import Communication
from core.db import read, write
from core.errors import InvalidError
from core.secret import Vault
from tests.campaigns.journeys.conftest import Shop

VAULT = Vault(b"0123456789abcdef0123456789abcdef")
TEXT = """
journey "Hook"
  when event visited
  stage hook as begin  # by name
    send email "hello"
"""
PRETENDED = {"base_url": "http://127.0.0.1:4010"}
REAL = {"base_url": "https://api.sendgrid.com"}


def accounts(shop: Shop, settings: dict[str, Any]) -> None:
    with write(shop.sessions) as session:
        for one in session.scalars(select(ProviderAccount)):
            one.config = seal(VAULT, one.token, settings)


def sent(shop: Shop) -> None:
    with write(shop.sessions) as session:
        session.execute(update(Communication).values(sent_at=shop.clock.now()))


def look(shop: Shop) -> StudentPath:
    with read(shop.sessions) as session:
        return student_path(session, shop.clock, VAULT, client_id=shop.client_id)


def earn(shop: Shop) -> list[tuple[Elevate, bool, int]]:
    with write(shop.sessions) as session:
        return award(session, shop.clock, VAULT, client_id=shop.client_id)


def test_a_student_earns_practice_stars_and_then_live_ones(shop: Shop) -> None:
    accounts(shop, PRETENDED)
    shop.template("hello")
    assert look(shop).nodes[0].state is State.OPEN
    with write(shop.sessions) as session:
        made = create_journey(session, shop.clock, client_id=shop.client_id, text=TEXT)
    assert look(shop).nodes[0].state is State.IN_PROGRESS
    with write(shop.sessions) as session:
        publish(session, shop.clock, client_id=shop.client_id, journey_id=made.id)
    shop.member(member_id="ana")
    shop.did("ana", "visited")
    shop.settle()
    sent(shop)

    found = look(shop)
    assert found.practice
    assert (found.nodes[0].stars, found.nodes[0].practice) == (0, 1)
    assert found.nodes[1].state is State.OPEN
    assert earn(shop) == [(Elevate.HOOK, True, 1)]
    assert earn(shop) == [], "a star is celebrated once"

    # Going live: from the first real message on, what counts is real.
    shop.clock.advance(days=3)
    accounts(shop, REAL)
    with write(shop.sessions) as session:
        session.execute(update(Communication).values(sent_at=shop.clock.now()))
    live = look(shop)
    assert not live.practice
    assert live.live_since == shop.clock.now()
    assert (live.nodes[0].stars, live.nodes[0].practice) == (0, 1)
    shop.member(member_id="bo")
    shop.did("bo", "visited")
    shop.settle()
    assert look(shop).nodes[0].stars == 1
    assert earn(shop) == [(Elevate.HOOK, False, 1)]
    with read(shop.sessions) as session:
        assert held_stars(session, shop.client_id) == {
            (Elevate.HOOK, True): 1, (Elevate.HOOK, False): 1,
        }  # fmt: skip


def test_badges_are_tied_to_what_members_did(shop: Shop) -> None:
    accounts(shop, PRETENDED)
    shop.member(member_id="ana")
    before = look(shop).badges
    shop.did("ana", "opted_in")
    shop.did("ana", "purchase")
    after = look(shop).badges

    assert 8 <= len(before) <= 12
    assert [one.code for one in before if one.earned] == []
    assert [one.code for one in after if one.earned] == ["first_lead", "first_sale"]
    assert {one.code: one.reached for one in after}["hundred_leads"] == 1


def test_the_teachers_gate_is_a_setting(shop: Shop) -> None:
    accounts(shop, PRETENDED)
    with write(shop.sessions) as session:
        for opened in ([], ["Identify"]):
            rules = {"gate": "payment", "opened": opened, "targets": {"Hook": "0.1"}}
            update_client(
                session, shop.clock, client_id=shop.client_id, settings={"elevate": rules}
            )
            found = student_path(session, shop.clock, VAULT, client_id=shop.client_id)
            identify = found.nodes[2]
            assert (identify.state is State.OPEN) == bool(opened)
            assert "10 %" in found.nodes[0].criteria[2].text


@pytest.mark.parametrize(
    "rules",
    [
        {"gate": "door"},
        {"opened": ["Understand"]},
        {"targets": {"Hook": 7}},
        {"targets": []},
        {"x": 1},
        [],
    ],
)
def test_rules_of_the_path_are_checked(rules: Any) -> None:
    with pytest.raises(InvalidError):
        checked_settings({"elevate": rules}, {})


def test_simulated_accounts_pretend_and_others_do_not() -> None:
    for settings in config({"http": 4010, "smtp": 2525}, Keys.of_seed(1)).values():
        assert pretends(settings)

    assert pretends({"base_url": "http://localhost:1"})
    assert not pretends({"base_url": "https://api.twilio.com", "api_key": "http://127.0.0.1"})
    assert not pretends({"host": "127.0.0.1", "from_email": "shop@shop.com", "port": 25})


def test_a_teacher_sees_their_own_students_and_who_is_stuck(
    shop: Shop, other_client_id: int
) -> None:
    accounts(shop, PRETENDED)
    with write(shop.sessions) as session:
        teacher = create_user(session, shop.clock, email="t@example.com")
        other = create_user(session, shop.clock, email="o@example.com")
        told = {"user_id": teacher.id}
        grant_role(session, shop.clock, **told, client_id=shop.client_id, role=Role.MANAGER)
        grant_role(session, shop.clock, **told, client_id=other_client_id, role=Role.USER)
    shop.template("hello")
    shop.publish(TEXT)
    shop.member(member_id="ana")
    shop.did("ana", "visited")
    shop.settle()
    earn(shop)

    (student,) = taught(shop, teacher.id)
    assert student.client_id == shop.client_id
    assert (dict(student.stars), dict(student.practice)) == ({}, {Elevate.HOOK: 1})
    assert (student.current, student.stuck) == (Elevate.GIFT, False)
    assert student.last_star_at == student.last_active == shop.clock.now()
    assert taught(shop, other.id) == []
    shop.clock.advance(days=7)
    assert not taught(shop, teacher.id)[0].stuck
    shop.clock.advance(seconds=1)
    assert taught(shop, teacher.id)[0].stuck
    assert asdict(student)["name"] == "Elevate"


def taught(shop: Shop, user_id: int) -> list[Student]:
    with read(shop.sessions) as session:
        return classroom(session, shop.clock, user_id=user_id)
