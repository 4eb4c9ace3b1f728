"""Timed: members enter on days of theirs, and at times of the calendar.

A journey's `triggered_at` says up to which instant its dates and schedules have been looked at. One
call takes one set of the members of the next instant; who enters and how far it came are one
transaction.

Invariants
    1. Any splitting of time into looks, by any number of workers, lets the same members in, once.
    2. The entry key is the date: of the calendar (`2026-11-21`), or of the member in the year in
       which it comes round (`date_of_birth 2026-05-04`). So `again never` is once for each date,
       and an edited hour or distance lets nobody in twice for one date.
    3. After an outage of more than a day only a schedule's last time is made up for, and of
       members' dates the last day.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from accounts.client import Client, usable
from campaigns.audience import matching
from campaigns.journeys.ast import MEMBER_TIME, Every, OnDate, OnSchedule
from campaigns.journeys.ast import Journey as Ast
from campaigns.journeys.enter import Entry, enter
from campaigns.journeys.journey import Journey, JourneyStatus
from campaigns.journeys.machine import Machine, machine
from core.clock import Clock
from core.condition.ast import And, Compare, Condition, Everyone, Kind, Op, kind_of
from core.localtime import DAY, instant_at, zone_of
from core.log import get
from core.rows import among
from members.member import Member

log = get(__name__)

SET = 1000
"""Members of one transaction."""
MINUTE = timedelta(minutes=1)
"""Times of day are whole minutes: within one, no look can find anything new."""
YEARS = 130
"""So old a date may be that comes round every year."""
ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One instant at which a trigger lets members in."""

    at: datetime
    trigger: OnDate | OnSchedule
    day: date
    """The day there."""
    zones: frozenset[str] | None = None
    """Members of these zones; None is everybody."""

    @property
    def anniversary(self) -> date:
        """The date of members whose turn it is, in the year in which it comes round."""
        days = self.trigger.days if isinstance(self.trigger, OnDate) else 0
        return self.day - timedelta(days=days)


def timed_journeys(session: Session, clock: Clock) -> list[int]:
    """Return the ids of journeys whose dates and schedules were not looked at this minute.

    One that has none is not among them: nothing of it is written as time goes by.
    """
    query = select(Journey.id).where(
        Journey.status == JourneyStatus.ACTIVE,
        Journey.version_id.is_not(None),
        usable(Journey.client_id),
        Journey.triggered_at.is_not(None),
        or_(Journey.triggered_at < _minute(clock.now()), Journey.triggered_member.is_not(None)),
    )
    return list(session.scalars(query.order_by(Journey.id)))


def enter_by_time(session: Session, clock: Clock, *, journey_id: int) -> bool:
    """Let in one set of those whose time has come; return whether there may be more to do.

    Cost: nothing but the journey's row in a minute in which nothing comes round; else a query for
    each trigger of the instant, and the three statements of entering.
    """
    query = select(Journey).where(
        Journey.id == journey_id,
        Journey.status == JourneyStatus.ACTIVE,
        Journey.version_id.is_not(None),
    )
    live = session.scalar(
        query.with_for_update(skip_locked=True).execution_options(populate_existing=True)
    )
    until = _minute(clock.now())
    if live is None or live.version_id is None:
        return False
    since, begun = live.triggered_at or clock.now(), live.triggered_member
    known = machine(session, live.version_id)
    if not is_timed(known.journey):
        live.triggered_at = live.triggered_member = None
        return False
    own = session.get_one(Client, known.client_id).timezone
    if begun is not None:
        since, until = since - timedelta(microseconds=1), since
    coming = occurrences(known, since, until)
    if not coming:
        live.triggered_at, live.triggered_member = max(since, until), None
        return begun is not None
    here = [one for one in coming if one.at == coming[0].at]
    live.triggered_member = _take(session, clock, known, here, own, begun or 0)
    live.triggered_at = coming[0].at
    return True


def is_timed(journey: Ast) -> bool:
    """Say whether time alone lets anybody into a journey."""
    return any(isinstance(one, OnDate | OnSchedule) for one in journey.triggers)


def occurrences(known: Machine, since: datetime, until: datetime) -> list[Occurrence]:
    """Return what comes round after `since` and up to `until`, in the order of time.

    Of more than a day only the end: see the third invariant.
    """
    found: list[Occurrence] = []
    for trigger in known.journey.triggers:
        match trigger:
            case OnSchedule():
                times = list(_of_schedule(trigger, since, until))
                late = until - since > DAY
                found += times[-1:] if late else times
                if late and len(times) > 1:
                    log.warning(
                        "missed times of a journey are passed over",
                        journey_id=known.journey_id, count=len(times) - 1,
                    )  # fmt: skip
            case OnDate():
                found += _of_dates(trigger, max(since, until - DAY), until)
                if until - since > DAY:
                    log.warning(
                        "missed dates of members are passed over",
                        journey_id=known.journey_id, days=(until - since).days,
                    )  # fmt: skip
            case _:
                pass
    return sorted(found, key=lambda one: one.at)


def _of_schedule(trigger: OnSchedule, since: datetime, until: datetime) -> Iterator[Occurrence]:
    for day, at in _instants(trigger.at, trigger.zone, since, until):
        if _is_on(trigger, day):
            yield Occurrence(at, trigger, day)


def _is_on(trigger: OnSchedule, day: date) -> bool:
    match trigger.every:
        case Every.DAY:
            return True
        case Every.WEEK:
            return day.weekday() == trigger.on
        case Every.MONTH:
            last = (day + DAY).day == 1
            return day.day == trigger.on or (last and day.day < trigger.on)
    raise AssertionError(trigger.every)


def _of_dates(trigger: OnDate, since: datetime, until: datetime) -> Iterator[Occurrence]:
    """Yield the instants of a day of members: in member time one for each difference to UTC."""
    if trigger.zone != MEMBER_TIME:
        for day, at in _instants(trigger.at, trigger.zone, since, until):
            yield Occurrence(at, trigger, day)
        return
    day = since.date() - DAY
    while day <= until.date() + DAY:
        for at, zones in _round_the_world(day, trigger.at):
            if since < at <= until:
                yield Occurrence(at, trigger, day, zones)
        day += DAY


@lru_cache(maxsize=256)
def _round_the_world(day: date, at: time) -> tuple[tuple[datetime, frozenset[str]], ...]:
    """Return when it is `at` on a day, and in which zones; some forty instants."""
    zones: dict[datetime, set[str]] = {}
    for zone in _zones():
        zones.setdefault(instant_at(day, at, zone_of(zone)), set()).add(zone)
    return tuple((instant, frozenset(names)) for instant, names in zones.items())


def _instants(
    at: time, zone: str, since: datetime, until: datetime
) -> Iterator[tuple[date, datetime]]:
    """Yield the days on which it is `at` in a zone after `since` and up to `until`, and when."""
    where = zone_of(zone)
    day = since.astimezone(where).date() - DAY
    while day <= until.astimezone(where).date():
        instant = instant_at(day, at, where)
        if since < instant <= until:
            yield day, instant
        day += DAY


@lru_cache(maxsize=1)
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


def _minute(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0)


def _take(
    session: Session,
    clock: Clock,
    known: Machine,
    here: Sequence[Occurrence],
    own: str,
    begun: int,
) -> int | None:
    """Let in the next members of an instant; return the last one's id, None after the last set."""
    sets = [_candidates(session, clock, known, one, own, begun) for one in here]
    top = min((ids[-1][0] for ids in sets if len(ids) == SET), default=None)
    for one, ids in zip(here, sets, strict=True):
        entries = [
            Entry(id, one.at, key=_key(one))
            for id, zone, value in ids
            if (top is None or id <= top) and _is_theirs(one, zone or own, value)
        ]
        if entries:
            enter(session, clock, known, entries, cause=_cause(one))
    return top


def _key(one: Occurrence) -> str:
    if isinstance(one.trigger, OnSchedule):
        return one.day.isoformat()
    return f"{one.trigger.field} {one.anniversary}"


def _cause(one: Occurrence) -> str:
    if isinstance(one.trigger, OnSchedule):
        return f"every:{one.trigger.every}"
    return f"date:{one.trigger.field}"


def _candidates(
    session: Session, clock: Clock, known: Machine, one: Occurrence, own: str, begun: int
) -> Sequence[Any]:
    """Return id, zone and date of up to SET members behind `begun` whose turn it may be."""
    trigger = one.trigger
    rule: Condition = trigger.only or Everyone()
    value: Any = Member.id
    narrowed: list[ColumnElement[bool]] = []
    if isinstance(trigger, OnDate):
        kind = kind_of(trigger.field)
        if kind is Kind.ANY:
            rule = And((rule, _of_attribute(trigger, one.anniversary)))
            value = Member.attributes
        else:
            value = getattr(Member, trigger.field)
            narrowed.append(_of_column(value, kind is Kind.INSTANT, trigger, one))
    if one.zones is not None:
        there = among(session, Member.timezone, sorted(one.zones))
        narrowed.append(or_(there, Member.timezone.is_(None)) if own in one.zones else there)
    query = (
        select(Member.id, Member.timezone, value.label("value"))
        .where(
            *matching(session, rule, client_id=known.client_id, now=clock.now()),
            Member.id > begun,
            *narrowed,
        )
        .order_by(Member.id)
        .limit(SET)
    )
    return session.execute(query).all()


def _of_attribute(trigger: OnDate, day: date) -> Condition:
    if not trigger.yearly:
        return Compare(trigger.field, Op.EQ, day.isoformat())
    # Whoever was born on 29 February is asked for by “-02-2”, and looked at.
    end = f"-{day:%m-%d}"
    return Compare(trigger.field, Op.CONTAINS, end[:-1] if end == "-02-28" else end)


def _of_column(column: Any, instant: bool, trigger: OnDate, one: Occurrence) -> ColumnElement[bool]:
    """Return the test of a date's column; of an instant's, wide enough for all the zones."""
    days = _days(one.anniversary) if trigger.yearly else [one.anniversary]
    if not instant:
        found: ColumnElement[bool] = column.in_(days)
        return found
    zones = [trigger.zone] if one.zones is None else sorted(one.zones)
    return or_(*[_between(column, day, zones) for day in days])


def _between(column: Any, day: date, zones: Sequence[str]) -> ColumnElement[bool]:
    starts = [instant_at(day, time(0), zone_of(zone)) for zone in zones]
    ends = [instant_at(day + DAY, time(0), zone_of(zone)) for zone in zones]
    return and_(column >= min(starts), column < max(ends))


def _days(wanted: date) -> list[date]:
    """Return the dates that come round on a day, 29 February also on the 28th."""
    return [
        date(year, month, day)
        for year in range(max(1, wanted.year - YEARS), wanted.year + 1)
        for month, day in _month_days(wanted)
        if (month, day) != (2, 29) or _is_leap(year)
    ]


def _month_days(day: date) -> set[tuple[int, int]]:
    early = (day.month, day.day) == (2, 28) and not _is_leap(day.year)
    return {(day.month, day.day)} | ({(2, 29)} if early else set())


def _is_leap(year: int) -> bool:
    return (date(year, 3, 1) - DAY).day == 29


def _is_theirs(one: Occurrence, zone: str, value: Any) -> bool:
    """Say whether it is a member's turn, by the date as it is."""
    if isinstance(one.trigger, OnSchedule):
        return True
    held = _date(one.trigger, zone, value)
    if held is None:
        return False
    if one.trigger.yearly:
        return (held.month, held.day) in _month_days(one.anniversary)
    return held == one.anniversary


def _date(trigger: OnDate, zone: str, value: Any) -> date | None:
    """Return the date that a member's field holds; an instant's by the trigger's zone."""
    if isinstance(value, datetime):
        where = zone if trigger.zone == MEMBER_TIME else trigger.zone
        return value.astimezone(zone_of(where)).date()
    if isinstance(value, date):
        return value
    text = value.get(trigger.field.removeprefix("attributes."))
    if not isinstance(text, str) or ISO_DAY(text) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
