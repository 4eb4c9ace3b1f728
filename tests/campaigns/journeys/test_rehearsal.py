"""Mirrors campaigns/journeys/rehearsal.py and acts.py: what would happen, and nothing happens."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from campaigns.journeys.acts import clicks, does, invented, opts_out, replies
from campaigns.journeys.rehearsal import Rehearsal, WhatIf, members_of, rehearse
from campaigns.journeys.text import parse
from channels.channel import Channel
from core.db import read
from echelonx.tables import METADATA
from tests.campaigns.journeys.conftest import HASHER, Shop

DAY = timedelta(days=1)
NURTURE = """
journey "Nurture"
  when event signup
  goal event purchase
  send email "gift"
  wait until reply "yes" or 2d
    then
      send sms "great"
    else
      send email "again"
  wait 30d
  send email "last"
"""


@pytest.fixture
def nurture(shop: Shop) -> Shop:
    for name in ("gift", "again", "last"):
        shop.template(name)
    shop.template("great", Channel.SMS)
    return shop


def play(shop: Shop, *what_ifs: WhatIf, text: str = NURTURE, **fields: str) -> Rehearsal:
    who = {"email": "ana@example.com", "phone": "+436601234567", "first_name": "Ana"} | fields
    return rehearse(
        shop.sessions, HASHER, client_id=shop.client_id, journey=parse(text),
        cast=invented(who), start=shop.clock.now(), what_ifs=what_ifs,
    )  # fmt: skip


def sends(found: Rehearsal) -> list[tuple[int, str]]:
    return [((one.at - found.started_at).days, one.template or "") for one in found.sends]


def counts(shop: Shop) -> dict[str, int]:
    with read(shop.sessions) as session:
        return {
            name: session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in METADATA.tables.items()
        }


def test_a_year_is_played_and_leaves_nothing_behind(nurture: Shop) -> None:
    before = counts(nurture)

    assert sends(play(nurture)) == [(0, "gift"), (2, "again"), (32, "last")]
    assert counts(nurture) == before


def test_what_if_they_answer(nurture: Shop) -> None:
    found = play(nurture, WhatIf(DAY, replies("Yes!")))

    assert sends(found) == [(0, "gift"), (1, "great"), (31, "last")]
    assert list(found.ends.values()) == ["completed"]


def test_what_if_they_buy(nurture: Shop) -> None:
    found = play(nurture, WhatIf(5 * DAY, does("purchase", {"total": 50})))

    assert sends(found) == [(0, "gift"), (2, "again")]
    assert list(found.ends.values()) == ["goal"]


def test_what_if_they_opt_out(nurture: Shop) -> None:
    found = play(nurture, WhatIf(DAY, opts_out("email")))

    assert [(one.template, one.status, one.reason) for one in found.sends] == [
        ("gift", "sent", None),
        ("again", "skipped", "no_consent"),
        ("last", "skipped", "no_consent"),
    ]


def test_what_if_they_click(nurture: Shop) -> None:
    text = """
journey "Click"
  when asked
  send email "gift"
  wait until clicked "gift" or 3d
    then
      send sms "great"
"""
    assert sends(play(nurture, WhatIf(DAY, clicks("gift")), text=text)) == [
        (0, "gift"), (1, "great"),
    ]  # fmt: skip
    assert sends(play(nurture, text=text)) == [(0, "gift")]


def test_the_real_run_agrees_step_for_step(nurture: Shop) -> None:
    ana = nurture.member(addresses={"email": "ana@example.com", "sms": "+436601234567"})
    rehearsed = rehearse(
        nurture.sessions, HASHER, client_id=nurture.client_id, journey=parse(NURTURE),
        cast=members_of(ana), start=nurture.clock.now(),
        what_ifs=[WhatIf(10 * DAY, does("purchase"))],
    )  # fmt: skip
    start = nurture.clock.now()
    nurture.publish(NURTURE)
    nurture.did("m1", "signup")
    nurture.settle()
    nurture.pass_time(10 * DAY)
    nurture.did("m1", "purchase")
    nurture.settle()

    assert [(one.step, one.way) for one in rehearsed.calendar] == nurture.trail(ana)
    sent = [(row.created_at - start, row.status.value) for row in nurture.log(ana)]
    assert [one.at - rehearsed.started_at for one in rehearsed.sends] == [at for at, _ in sent]


def test_a_reply_makes_the_message_replied(nurture: Shop) -> None:
    text = """
journey "Answers"
  when asked
  send sms "great"
  wait until replied to "great" or clicked "great" or 2d
    then
      send email "gift"
"""
    assert sends(play(nurture, WhatIf(DAY, replies("hi")), text=text)) == [
        (0, "great"), (1, "gift"),
    ]  # fmt: skip
