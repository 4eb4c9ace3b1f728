"""`segment`: whom a rule means."""

from dataclasses import asdict
from typing import Any

import click
from sqlalchemy.orm import Session

from campaigns.audience import frozen
from campaigns.reach import Waterfall, reach
from campaigns.sample import Example, because, sample
from channels.channel import Channel
from core.clock import Clock
from core.condition.ast import Condition
from core.condition.english import sentence
from core.condition.json import to_json
from core.condition.text import format as written
from core.db import read
from core.errors import NotFoundError
from echelonx.commands.output import Group, answer, as_json, facts, note, table
from echelonx.commands.workspace import chosen, client_option, opened
from members.known import understood
from members.queries import count_rule, member_by_key, members_page, segment_by_name
from members.queries import reach as reachable
from members.segment import belonging, spoken

CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.PUSH)


@click.group(cls=Group)
def segment() -> None:
    """Count, show and explain whom a rule means. WHO is a segment's name, or a rule as text."""


@segment.command()
@click.argument("who")
@click.option(
    "--channel",
    "channels",
    type=click.Choice([channel.value for channel in CHANNELS]),
    multiple=True,
    help="Show step by step who would receive a message; repeat for several channels.",
)
@client_option
@as_json
def count(who: str, channels: tuple[str, ...], client_id: int | None, as_json: bool) -> None:
    """Count the members a segment or rule means, and how many each channel reaches.

    \b
    echelonx segment count "Warm leads"
    echelonx segment count 'tier = "premium" and has tag "vip"' --channel email
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        rule = rule_of(session, client.id, who)
        now = services.clock.now()
        values: dict[str, Any] = {
            **said(session, client.id, rule),
            "members": count_rule(session, client.id, rule, now),
            **reachable(session, client.id, rule, now),
        }
        falls = [
            _fall(session, services.clock, client.id, rule, Channel(channel))
            for channel in channels
        ]
    shown = [facts(values), *(_steps(fall) for fall in falls)]
    steps = [{"channel": fall.channel, "steps": list(map(asdict, fall.steps))} for fall in falls]
    told = values | ({"channels": steps} if falls else {})
    answer(told, "\n\n".join(shown), as_json=as_json)


def _fall(
    session: Session, clock: Clock, client_id: int, rule: Condition, channel: Channel
) -> Waterfall:
    note(f"deciding for every member, {channel} …")
    found = reach(session, clock, client_id=client_id, condition=rule, channels=[channel])
    return found.channels[0]


def _steps(fall: Waterfall) -> str:
    rows = [(step.name.replace("_", " "), step.members, -step.lost) for step in fall.steps]
    return table((fall.channel.value, "left", "lost"), rows)


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
        words = said(session, client.id, rule)
    shown = table(names, [list(row.values()) for row in rows])
    answer(words | {"members": rows}, f"{words['english']}\n\n{shown}", as_json=as_json)


@segment.command()
@click.argument("who")
@click.option("--member", "key", help="Explain this member (by its member_id), in it or not.")
@click.option("-n", "limit", type=click.IntRange(1, 20), default=3, show_default=True)
@client_option
@as_json
def explain(who: str, key: str | None, limit: int, client_id: int | None, as_json: bool) -> None:
    """Say a rule in English, and why it means some of its members, or means one or not.

    \b
    echelonx segment explain "Warm leads"
    echelonx segment explain "Warm leads" --member C-10002
    """
    with opened() as services, read(services.sessions) as session:
        client, clock = chosen(session, client_id), services.clock
        rule = rule_of(session, client.id, who)
        people = []
        if key is not None:
            member = member_by_key(session, client.id, key)
            whole = frozen(session, client.id, {"rule": to_json(rule)})
            reasons = because(session, clock, member, whole)
            people.append(_person(Example(member, reasons, ())))
        else:
            examples = sample(
                session, clock, client_id=client.id, condition=rule, channels=CHANNELS, limit=limit
            )
            people = [_person(example) for example in examples]
        words = said(session, client.id, rule)
    shown = [facts(words), *map(_told, people)]
    answer(words | {"members": people}, "\n\n".join(shown), as_json=as_json)


def _person(example: Example) -> dict[str, Any]:
    names = [example.member.first_name, example.member.last_name]
    return {
        "member_id": example.member.member_id,
        "name": " ".join(name for name in names if name),
        "because": [asdict(one) for one in example.because],
        "receives": [asdict(one) for one in example.receives],
    }


def _told(person: dict[str, Any]) -> str:
    lines = [f"{person['member_id']}  {person['name']}".rstrip()]
    for one in person["because"]:
        found = f": {one['found']}" if one["found"] else ""
        lines.append(f"  {'yes' if one['yes'] else 'no':<3}  {one['english']}{found}")
    for one in person["receives"]:
        outcome = one["address"] if one["reason"] is None else one["reason"].replace("_", " ")
        lines.append(f"  {one['channel']:<5}  {outcome}")
    return "\n".join(lines)


def rule_of(session: Session, client_id: int, who: str) -> Condition:
    """Return what it is to belong to a segment of this name, or the rule itself.

    Raises ConditionError, which names the segment where the name was nearly right.
    """
    try:
        return belonging(segment_by_name(session, client_id, who))
    except NotFoundError:
        return understood(session, client_id, who)


def said(session: Session, client_id: int, rule: Condition) -> dict[str, str]:
    """Return a rule as text and in English, with the rules of its segments in it."""
    whole = frozen(session, client_id, {"rule": to_json(rule)})
    return {"rule": written(whole), "english": spoken(session, client_id, sentence(whole))}
