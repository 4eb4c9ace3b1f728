"""`segment`: whom a rule means."""

from datetime import datetime

import click
from sqlalchemy.orm import Session

from core.condition.ast import Condition
from core.condition.text import format as written
from core.condition.text import parse
from core.db import read
from core.errors import NotFoundError
from echelonx.commands.output import answer, as_json, facts, table
from echelonx.commands.workspace import chosen, client_option, opened
from members.queries import count_rule, members_page, reach, segment_by_name
from members.segment import condition_of


@click.group()
def segment() -> None:
    """Count and show whom a rule means. WHO is a segment's name, or a rule as text."""


@segment.command()
@click.argument("who")
@client_option
@as_json
def count(who: str, client_id: int | None, as_json: bool) -> None:
    """Count the members a segment or rule means, and how many each channel reaches.

    \b
    echelonx segment count "Warm leads"
    echelonx segment count 'tier = "premium" and has tag "vip"'
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        rule = rule_of(session, client.id, who)
        values = counted(session, client.id, rule, services.clock.now())
    answer(values, facts(values), as_json=as_json)


@segment.command()
@click.argument("who")
@click.option("-n", "limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@client_option
@as_json
def show(who: str, limit: int, client_id: int | None, as_json: bool) -> None:
    """Show the first members a segment or rule means.

    \b
    echelonx segment show "Warm leads" -n 5
    """
    names = ("id", "member_id", "first_name", "last_name", "tier", "status")
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        rule = rule_of(session, client.id, who)
        now = services.clock.now()
        page = members_page(session, client.id, condition=rule, now=now, limit=limit)
        rows = [{name: getattr(one, name) for name in names} for one in page]
    shown = table(names, [list(row.values()) for row in rows])
    answer({"rule": written(rule), "members": rows}, shown, as_json=as_json)


def rule_of(session: Session, client_id: int, who: str) -> Condition:
    """Return the rule of a segment's name, or the rule itself. Raises ConditionError."""
    try:
        return condition_of(segment_by_name(session, client_id, who).rule)
    except NotFoundError:
        return parse(who)


def counted(
    session: Session, client_id: int, rule: Condition, now: datetime
) -> dict[str, int | str]:
    """Return the members a rule means, and how many of them each kind of address reaches."""
    return {
        "rule": written(rule),
        "members": count_rule(session, client_id, rule, now),
        **reach(session, client_id, rule, now),
    }
