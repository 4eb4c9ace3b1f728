"""Experiment: how the wordings of a campaign's newest run did beside each other.

Wordings of one channel are compared by the people who clicked, of those whose message was taken. A
channel with one wording is no test, and nothing is said about it but its numbers.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from campaigns.launch import latest_run
from campaigns.queries import campaign as find_campaign
from channels.channel import Channel
from communications.communication import Communication
from communications.day import taken
from communications.report import COLUMNS

C = Communication
ENOUGH = 100
"""Messages of each wording, below which nothing is said."""
Z = 2.58
"""Ninety-nine times in a hundred: whoever looks often, sees chance more often."""


class Verdict(enum.StrEnum):
    """What the numbers say."""

    NO_TEST = "no_test"  # there is nothing to compare
    NOT_ENOUGH_DATA = "not_enough_data"
    NO_DIFFERENCE = "no_difference"  # none that can be seen with as many
    DIFFERENCE = "difference"


@dataclass(frozen=True, slots=True)
class Arm:
    """One wording on one channel."""

    channel: Channel
    template_version_id: int | None
    messages: int
    """Those that a provider took."""
    clicked: int
    rate: float | None
    low: float | None
    high: float | None
    """Ninety-nine times in a hundred the true rate is between low and high."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """All wordings, and what can be said of them."""

    arms: Sequence[Arm]
    verdict: Verdict


def experiment(session: Session, client_id: int, campaign_id: int) -> Experiment:
    """Compare the wordings of a campaign's newest run. Raises CampaignNotFoundError."""
    find_campaign(session, client_id, campaign_id)
    run = latest_run(session, campaign_id)
    if run is None:
        return Experiment((), Verdict.NO_TEST)
    query = (
        select(
            C.channel,
            C.template_version_id,
            func.count().filter(taken()),
            func.count().filter(COLUMNS["clicked"]),
        )
        .where(C.client_id == client_id, C.run_id == run.id)
        .group_by(C.channel, C.template_version_id)
        .order_by(C.channel, C.template_version_id)
    )
    arms = [_arm(*row) for row in session.execute(query)]
    return Experiment(arms, _verdict(arms))


def _arm(channel: Channel, version: int | None, messages: int, clicked: int) -> Arm:
    """Return an arm with Wilson's interval of its rate."""
    if not messages:
        return Arm(channel, version, 0, clicked, None, None, None)
    rate, square = clicked / messages, Z * Z
    middle = (rate + square / (2 * messages)) / (1 + square / messages)
    half = Z * sqrt(rate * (1 - rate) / messages + square / (4 * messages * messages))
    half /= 1 + square / messages
    return Arm(channel, version, messages, clicked, rate, max(0.0, middle - half), middle + half)


def _verdict(arms: Sequence[Arm]) -> Verdict:
    tests = [[one for one in arms if one.channel is channel] for channel in Channel]
    tests = [arms for arms in tests if len(arms) > 1]
    if not tests:
        return Verdict.NO_TEST
    if any(arm.messages < ENOUGH for arms in tests for arm in arms):
        return Verdict.NOT_ENOUGH_DATA
    apart = any(
        (one.low or 0.0) > (other.high or 1.0) for arms in tests for one in arms for other in arms
    )
    return Verdict.DIFFERENCE if apart else Verdict.NO_DIFFERENCE
