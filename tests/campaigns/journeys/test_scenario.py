"""Mirrors campaigns/journeys/scenario.py: given, when, then."""

import pytest

from campaigns.errors import TemplateNotFoundError
from campaigns.journeys.errors import JourneyError
from campaigns.journeys.scenario import Verdict, parse_scenarios, play_scenarios
from campaigns.journeys.text import parse
from channels.channel import Channel
from tests.campaigns.journeys.conftest import HASHER, Shop

JOURNEY = """
journey "Nurture"
  when event signup if has tag "vip"
  goal event purchase
  send email "gift"
  wait until reply "yes" or 2d
    then
      send sms "great"
    else
      send email "again"
  wait 30d
"""
HEAD = """
scenario "s"
  given email "ana@example.com"
  given phone "+436601234567"
  given tag "vip"
"""


def played(shop: Shop, *lines: str, head: str = HEAD) -> Verdict:
    for name in ("gift", "again"):
        shop.template(name)
    shop.template("great", Channel.SMS)
    (verdict,) = play_scenarios(
        shop.sessions, HASHER, client_id=shop.client_id, journey=parse(JOURNEY),
        scenarios=parse_scenarios(head + "\n".join(lines)), start=shop.clock.now(),
    )  # fmt: skip
    return verdict


def test_what_holds_holds(shop: Shop) -> None:
    verdict = played(
        shop,
        "  # they answer",
        '  after 1d replies "Yes"',
        '  after 3d event purchase {"total": 40}',
        '  then day 0 sends email "gift"',
        '  then day 1 sends sms "great"',
        '  then never sends email "again"',
        "  then ends goal",
    )
    assert (verdict.problems, verdict.held) == ((), True)


def test_what_does_not_hold_is_told_with_its_line(shop: Shop) -> None:
    verdict = played(
        shop,
        "  after 1d opts out of email",
        '  then day 1 sends email "gift"',
        '  then day 2 sends email "again"',
        '  then never sends email "gift"',
        '  then skips email "again" because suppressed',
        "  then ends goal",
    )
    assert verdict.problems == (
        'line 7: day 1 sends email "gift": it is sent on day 0',
        'line 8: day 2 sends email "again": it is never sent',
        'line 9: never sends email "gift": it is sent on day 0',
        'line 10: skips email "again" because suppressed: it is skipped because no_consent',
        "line 11: ends goal: it ends completed",
    )


def test_who_does_not_match_does_not_enter(shop: Shop) -> None:
    head = 'scenario "s"\n  given email "ana@example.com"\n'

    assert played(shop, "then ends not entered", head=head).held


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('given email "a@b.c"', 1, "before any scenario"),
        ('scenario "s"\n  then eds goal', 2, "is not understood"),
        ('scenario "s"\n  then ends gaol', 2, "nothing ends"),
        ('scenario "s"\n  after 3x replies "yes"', 2, "is no duration"),
        ('scenario "s"\n  given email ana', 2, "Expecting value"),
        ('scenario "s"\n\n  after 1d replies "y" by pigeon', 3, "pigeon"),
    ],
)
def test_mistakes_are_told_with_their_line(text: str, line: int, said: str) -> None:
    with pytest.raises(JourneyError, match=said) as refused:
        parse_scenarios(text)
    assert refused.value.line == line


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ('after 1d clics "gift"', "did you mean “clicks”?"),
        ("after 1d clicks gift", 'write after 2d clicks "template"'),
        ('after clicks "gift"', "write how long after the start: after 2d …"),
        ("then eds goal", "did you mean “ends”?"),
        ("thn ends goal", "did you mean “then”?"),
    ],
)
def test_what_is_not_understood_is_told_with_the_nearest(line: str, remedy: str) -> None:
    with pytest.raises(JourneyError) as refused:
        parse_scenarios(f'scenario "s"\n  {line}')
    assert refused.value.remedy == remedy


def test_a_claim_about_what_is_never_sent_is_a_mistake(shop: Shop) -> None:
    with pytest.raises(JourneyError, match="does not send “gfit”") as refused:
        played(shop, '  then never sends email "gfit"')
    assert (refused.value.line, refused.value.remedy) == (6, "did you mean “gift”?")


def test_a_click_on_what_does_not_exist_is_a_mistake(shop: Shop) -> None:
    with pytest.raises(TemplateNotFoundError, match="gfit"):
        played(shop, '  after 1d clicks "gfit"', "  then ends completed")
