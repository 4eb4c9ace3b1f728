"""AST: what a journey is. Text, JSON and map are faces of it.

Invariants
    1. Every value here can be written as text and as JSON and read back equal.
    2. Durations are whole seconds; times of day are minutes; weekdays count from Monday, 0.
"""

from dataclasses import dataclass
from datetime import time, timedelta
from enum import StrEnum

from channels.channel import Channel
from core.condition.ast import Compare, Condition

MEMBER_TIME = "member-time"
"""In place of an IANA zone: the member's own, else the client's."""


class Elevate(StrEnum):
    """The nine steps of the Elevate framework, in their order."""

    HOOK = "Hook"
    GIFT = "Gift"
    IDENTIFY = "Identify"
    ENGAGE = "Engage"
    SELL = "Sell"
    NURTURE = "Nurture"
    UPSELL = "Upsell"
    EDUCATE = "Educate"
    SHARE = "Share"


@dataclass(frozen=True, slots=True)
class Happens:
    """An event of the member: `event purchase where total > 50 by order_id`."""

    event: str
    where: tuple[Compare, ...] = ()
    """Tests of its properties, as in conditions."""
    key: str | None = None
    """A property: what tells one thing from another. A trigger enters a member once for each value;
    a wait takes only an event with the value the member entered by."""


@dataclass(frozen=True, slots=True)
class Replies:
    """A message from the member: `reply "yes", "ok" by sms`; any, where there are no words."""

    words: tuple[str, ...] = ()
    """One of them is its first word, whatever its case."""
    channel: Channel | None = None


# ---- what starts it


@dataclass(frozen=True, slots=True)
class OnEvent:
    """Something they do: `when event purchase …`."""

    happens: Happens
    only: Condition | None = None
    """Who may enter by it; everybody if None."""


@dataclass(frozen=True, slots=True)
class OnReply:
    """A message of theirs: `when reply "join" by sms`."""

    replies: Replies
    only: Condition | None = None


@dataclass(frozen=True, slots=True)
class OnForm:
    """A form they send, by its name: `when form "newsletter"`: the event `form` with that name."""

    form: str
    only: Condition | None = None


@dataclass(frozen=True, slots=True)
class OnSegment:
    """They join a segment or leave it: `when enters segment "New leads"`, `when leaves …`."""

    segment: str
    leaves: bool = False
    only: Condition | None = None


@dataclass(frozen=True, slots=True)
class OnDate:
    """A day of theirs: `when 3d before date_of_birth every year at 09:00`."""

    field: str
    """`date_of_birth`, `last_active`, or `attributes.renewal` that holds `YYYY-MM-DD`."""
    days: int = 0
    """So many days after it; before it, where negative."""
    at: time = time(9)
    zone: str = MEMBER_TIME
    yearly: bool = False
    only: Condition | None = None


class Every(StrEnum):
    """How often a schedule comes round."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class OnSchedule:
    """A time of the calendar, for those who match: `when every week on monday at 09:00 for …`."""

    every: Every
    only: Condition
    on: int = 0
    """The weekday from 0 of a week, the day from 1 of a month (its last where it is shorter)."""
    at: time = time(9)
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class OnRequest:
    """A call of the API or a person's click: `when asked`."""

    only: Condition | None = None


Trigger = OnEvent | OnReply | OnForm | OnSegment | OnDate | OnSchedule | OnRequest


@dataclass(frozen=True, slots=True)
class Again:
    """How often one member may enter: `again never`, `again after 30d, up to 3 times`."""

    most: int | None = 1
    """Entries in all, of each key where the trigger has one; None is any number."""
    after: timedelta = timedelta(0)
    """So long after the last entry."""


# ---- what holds throughout


@dataclass(frozen=True, slots=True)
class Goal:
    """What it is for: `goal event purchase within 30d`, `goal has tag "customer"`.

    Whoever reaches it has ended well. Looked at before each step, and when such an event comes.
    """

    reached: Happens | Condition
    """An event counts from the day of entry on."""
    within: timedelta | None = None
    """So long after the entry it still counts."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """When nothing is sent: `quiet 21:00-08:00 member-time`. Who comes to a send waits."""

    start: time
    end: time
    zone: str = MEMBER_TIME


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many messages of any kind to one member: `limit 3 per 24h`. More wait."""

    messages: int
    per: timedelta


# ---- steps


@dataclass(frozen=True, slots=True)
class Content:
    """A template by its name, and its share among the variants."""

    template: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Option:
    """A channel with what it says: one template, or variants: `sms "a" 50 / "b" 50`."""

    channel: Channel
    contents: tuple[Content, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What every step may have."""

    name: str | None = None
    """`… as nudge`: the key by which it is known; made from its words where there is none."""
    comments: tuple[str, ...] = ()
    """The lines of comment above it, without `#`."""


@dataclass(frozen=True, slots=True)
class Send(Base):
    """A message on the first channel they can be reached on: `send sms "a" or email "b"`."""

    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Wait(Base):
    """So long: `wait 1d`."""

    over: timedelta


@dataclass(frozen=True, slots=True)
class WaitTime(Base):
    """Until a local time comes: `wait until monday 09:00 member-time`."""

    at: time
    weekday: int | None = None
    zone: str = MEMBER_TIME


@dataclass(frozen=True, slots=True)
class WaitFor(Base):
    """Until something happens: `wait until event "joined" or 3d`, with `then` and `else` below.

    Without steps of either kind both go on behind it.
    """

    what: Happens | Replies | Condition
    timeout: timedelta | None = None
    then: tuple["Step", ...] = ()
    otherwise: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """Whoever matches goes this way."""

    condition: Condition
    steps: tuple["Step", ...]


@dataclass(frozen=True, slots=True)
class Branch(Base):
    """The first case that matches, else the other way."""

    cases: tuple[Case, ...]
    otherwise: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of a split, and its share."""

    weight: int
    steps: tuple["Step", ...]


@dataclass(frozen=True, slots=True)
class Split(Base):
    """By lot, the same for one member at every visit of one entry."""

    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class Set(Base):
    """A field or an attribute gets a value: `set attributes.stage = "warm"`; None empties it."""

    field: str
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Tag(Base):
    """A tag is given or taken: `tag "engaged"`, `untag "cold"`."""

    tag: str
    remove: bool = False


@dataclass(frozen=True, slots=True)
class Webhook(Base):
    """A POST of member and entry to a public https URL, with an Idempotency-Key.

    A JSON answer is kept for templates, as `journey.<name>`, and what it says under `set` is set:
    `{"set": {"attributes.score": 7}}`, which conditions see.
    """

    url: str


@dataclass(frozen=True, slots=True)
class Check(Base):
    """Whoever matches has reached the goal: `check clicked "offer"`."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Exit(Base):
    """The end, before the end: `exit "not for them"`."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Stage(Base):
    """An Elevate step with what is done in it."""

    stage: Elevate
    steps: tuple["Step", ...]


@dataclass(frozen=True, slots=True)
class Digest(Base):
    """Collects events from the first on: `digest comment over 1d`: templates list them."""

    event: str
    over: timedelta


@dataclass(frozen=True, slots=True)
class Call(Base):
    """They enter another journey: `call "Welcome"`, and wait for its end with `and wait`."""

    journey: str
    wait: bool = False


@dataclass(frozen=True, slots=True)
class GoTo(Base):
    """Back or on to a named step: `go to nudge at most 3 times`; then on behind it."""

    target: str
    most: int


Step = (
    Send | Wait | WaitTime | WaitFor | Branch | Split | Set | Tag | Webhook | Check | Exit | Stage
    | Digest | Call | GoTo
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Journey:
    """A whole journey."""

    name: str
    triggers: tuple[Trigger, ...]
    steps: tuple[Step, ...]
    again: Again = Again()
    goals: tuple[Goal, ...] = ()
    exits: tuple[Condition, ...] = ()
    """`exit when unsubscribed …`: whoever matches ends, looked at before each step."""
    quiet: Quiet | None = None
    limit: Limit | None = None
    comments: tuple[str, ...] = ()
    """Those of its head, at its top."""
    ending: tuple[str, ...] = ()
    """Those behind the last step."""
