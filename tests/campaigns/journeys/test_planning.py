"""Mirrors campaigns/journeys/planning.py: what a publish would change, and whom it touches."""

from campaigns.journeys.comparison import sentence
from campaigns.journeys.planning import Plan, difference, plan
from campaigns.template import new_version
from channels.channel import Channel
from core.db import read, write
from tests.campaigns.journeys.conftest import WORDS, Shop

TEXT = """
journey "J"
  when asked if tier = "elite"
  when event signup
  send email "hello" as hi
  wait 1d
"""


def planned(shop: Shop, text: str, journey_id: int | None = None) -> Plan:
    with read(shop.sessions) as session:
        return plan(session, shop.clock, client_id=shop.client_id, text=text, journey_id=journey_id)


def test_a_new_journey_touches_nobody_yet(shop: Shop) -> None:
    shop.template("hello")
    shop.member(tier="elite")
    shop.member()
    found = planned(shop, TEXT)
    assert (found.journey_id, found.name, found.version, found.is_new) == (None, "J", 1, True)
    assert (found.changes, found.problems, found.inside) == ((), [], 0)
    assert [(one.when, one.members) for one in found.entrances] == [
        ('asked if tier = "elite"', 1), ("event signup", 2),
    ]  # fmt: skip
    assert [(one.code, one.line) for one in found.warnings] == [("no_fallback", 5)]


def test_an_edit_says_what_changes_and_who_would_stand_nowhere(shop: Shop) -> None:
    shop.template("hello")
    version = shop.publish(TEXT)
    ana = shop.member(tier="elite")
    shop.ask(version, ana)
    shop.settle()

    same = planned(shop, TEXT)
    assert (same.version, same.changes, same.inside, same.stranded) == (1, (), 1, [])
    assert not same.is_new
    found = planned(shop, TEXT.replace("  wait 1d\n", '  tag "x"\n'))
    assert (found.journey_id, found.version) == (version.journey_id, 2)
    assert sentence(found.changes) == 'removes wait 1d; adds tag "x" behind hi'
    assert [(one.step, one.people) for one in found.stranded] == [("wait-1d", 1)]
    assert planned(shop, TEXT.replace("J", "K"), version.journey_id).changes[0].text == (
        "renames the journey to “K”"
    )


def test_a_new_wording_is_a_change(shop: Shop) -> None:
    template = shop.template("hello")
    version = shop.publish(TEXT)
    words = WORDS[Channel.EMAIL] | {"subject": "Hi"}
    with write(shop.sessions) as session:
        new_version(session, shop.clock, client_id=shop.client_id, template_id=template, **words)
    assert sentence(planned(shop, TEXT).changes) == "changes the email text of hi"
    shop.again(version, TEXT)
    with read(shop.sessions) as session:
        told = {"client_id": shop.client_id, "journey_id": version.journey_id}
        found = difference(session, **told, older=1, newer=2)
        assert sentence(found.changes) == "changes the email text of hi"
        assert difference(session, **told, older=2).changes == ()


def test_what_keeps_it_from_being_published_is_listed(shop: Shop) -> None:
    found = planned(shop, TEXT + '  wait 1d as hi\n  send sms "none"\n')
    assert {one.code for one in found.problems} >= {"name_twice", "no_template"}
    assert found.entrances == []
