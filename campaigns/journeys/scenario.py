"""Scenario: what a journey must do for somebody, as text that a machine can check.

    scenario "answers, then buys"
      given email "ana@example.com"
      given tag "vip"
      after 1d replies "yes"
      after 3d event purchase {"total": 40}
      then day 0 sends email "gift"
      then never sends email "again"
      then ends goal

Each is a rehearsal (rehearsal.py) of somebody invented; nothing is sent.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from campaigns.journeys import acts
from campaigns.journeys.ast import Journey, Send
from campaigns.journeys.duration import read_duration
from campaigns.journeys.errors import JourneyError
from campaigns.journeys.program import each_step
from campaigns.journeys.rehearsal import Act, Happening, Rehearsal, WhatIf, rehearse
from channels.channel import Channel
from core.address import AddressHasher
from core.condition.check import ConditionError, nearest
from core.db import Sessions

NAME = r'"(?P<name>[^"]*)"'
JSON = r"(?P<json>\{.*\})"
CHANNEL = r"(?P<channel>[a-z]+)"
EVENT = r'(?:"(?P<quoted>[^"]+)"|(?P<plain>[\w.-]+))'
CONSENTS = ("email", "sms", "push")
ENDINGS = ("completed", "goal", "exited", "active", "stuck", "not entered")


@dataclass(frozen=True, slots=True)
class Claim:
    """One `then`: a text, and what is wrong with a rehearsal; None for nothing."""

    text: str
    line: int
    refuted: Callable[[Rehearsal], str | None]
    template: str | None = None
    """The template it speaks of."""


@dataclass(slots=True)
class Scenario:
    """Somebody, what happens to them, and what must come of it."""

    name: str
    fields: dict[str, Any] = field(default_factory=dict)
    consents: set[str] = field(default_factory=lambda: set(CONSENTS))
    event: dict[str, Any] = field(default_factory=dict)
    what_ifs: list[WhatIf] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one scenario."""

    name: str
    problems: tuple[str, ...]
    """Each with its line; none where everything held."""
    rehearsal: Rehearsal

    @property
    def held(self) -> bool:
        """Whether every claim held."""
        return not self.problems


def parse_scenarios(text: str) -> list[Scenario]:
    """Read scenarios. Raises JourneyError with line and the nearest word."""
    found: list[Scenario] = []
    for number, line in enumerate(text.splitlines(), 1):
        told = line.strip()
        if not told or told.startswith("#"):
            continue
        if begun := re.fullmatch(rf"scenario\s+{NAME}", told):
            found.append(Scenario(begun["name"]))
        elif not found:
            raise JourneyError(
                f"“{told[:40]}” stands before any scenario",
                line=number,
                remedy='begin with: scenario "a name"',
            )
        else:
            _read(found[-1], told, number)
    return found


def play_scenarios(
    sessions: Sessions,
    hasher: AddressHasher,
    *,
    client_id: int,
    journey: Journey,
    scenarios: list[Scenario],
    start: datetime,
) -> list[Verdict]:
    """Rehearse each from `start` for a year and check what it claims.

    Raises JourneyError for a claim about what the journey does not send, PublishBlockedError for
    what its sends would need, and AddressError or MemberInvalidError for somebody who cannot be.
    """
    _check_names(journey, scenarios)
    verdicts = []
    for scenario in scenarios:
        found = rehearse(
            sessions,
            hasher,
            client_id=client_id,
            journey=journey,
            cast=acts.invented(scenario.fields, sorted(scenario.consents)),
            start=start,
            event=scenario.event,
            what_ifs=scenario.what_ifs,
        )
        problems = [
            f"line {claim.line}: {claim.text}: {problem}"
            for claim in scenario.claims
            if (problem := claim.refuted(found)) is not None
        ]
        verdicts.append(Verdict(scenario.name, tuple(problems), found))
    return verdicts


def _check_names(journey: Journey, scenarios: list[Scenario]) -> None:
    """Refuse claims about what the journey never says: a misspelt one would always hold."""
    said = {
        content.template
        for step in each_step(journey.steps)
        if isinstance(step, Send)
        for option in step.options
        for content in option.contents
    }
    for claim in (claim for scenario in scenarios for claim in scenario.claims):
        if claim.template is not None and claim.template not in said:
            raise JourneyError(
                f"the journey does not send “{claim.template}”",
                line=claim.line,
                remedy=nearest(claim.template, said),
            )


Reader = Callable[[Scenario, re.Match[str], str, int], None]


def _read(scenario: Scenario, told: str, number: int) -> None:
    for pattern, reader in LINES:
        if found := re.fullmatch(pattern, told):
            try:
                reader(scenario, found, told, number)
            except (ConditionError, json.JSONDecodeError, ValueError) as error:
                raise JourneyError(str(error), line=number) from error
            return
    raise JourneyError(f"“{told[:40]}” is not understood", line=number, remedy=_meant(told))


def _meant(told: str) -> str:
    """Return the nearest word for a line's first, or for the verb behind `after 2d` and `then`."""
    first, *rest = told.split()
    if first == "after" and not (rest and _is_duration(rest[0])):
        return "write how long after the start: after 2d …"
    place, verbs = {"after": (1, DEEDS), "then": (0, CLAIMS)}.get(first, (0, {}))
    verb = rest[place] if len(rest) > place else ""
    if verb in verbs:
        return f"write {first} {'2d ' if place else ''}{verbs[verb]}"
    return nearest(verb, verbs) if verbs else nearest(first, BEGINS)


def _is_duration(text: str) -> bool:
    try:
        return bool(read_duration(text))
    except ConditionError:
        return False


def _given(scenario: Scenario, found: re.Match[str], told: str, number: int) -> None:
    del told, number
    name, value = found["field"], json.loads(found["value"])
    if name == "tag":
        scenario.fields.setdefault("tags", []).append(value)
    elif name.startswith("attributes."):
        attributes = scenario.fields.setdefault("attributes", {})
        attributes[name.removeprefix("attributes.")] = value
    else:
        scenario.fields[name] = value


def _no_consent(scenario: Scenario, found: re.Match[str], told: str, number: int) -> None:
    del told, number
    scenario.consents.discard(found["channel"])


def _entered(scenario: Scenario, found: re.Match[str], told: str, number: int) -> None:
    del told, number
    scenario.event = _properties(found)


def _after(make: Callable[[re.Match[str]], Act]) -> Reader:
    def read(scenario: Scenario, found: re.Match[str], told: str, number: int) -> None:
        del told, number
        scenario.what_ifs.append(WhatIf(read_duration(found["over"]), make(found)))

    return read


def _then(make: Callable[[re.Match[str]], Callable[[Rehearsal], str | None]]) -> Reader:
    def read(scenario: Scenario, found: re.Match[str], told: str, number: int) -> None:
        template = found.groupdict().get("name")
        scenario.claims.append(Claim(told.removeprefix("then "), number, make(found), template))

    return read


def _properties(found: re.Match[str]) -> dict[str, Any]:
    properties: dict[str, Any] = json.loads(found["json"] or "{}")
    return properties


def _sends(found: re.Match[str]) -> Callable[[Rehearsal], str | None]:
    day, channel, name = int(found["day"]), found["channel"], found["name"]

    def refuted(played: Rehearsal) -> str | None:
        days = [_day(played, one) for one in _such(played, channel, name, "sent")]
        if day in days:
            return None
        return f"it is sent on day {days[0]}" if days else "it is never sent"

    return refuted


def _never(found: re.Match[str]) -> Callable[[Rehearsal], str | None]:
    channel, name = found["channel"], found["name"]

    def refuted(played: Rehearsal) -> str | None:
        sent = _such(played, channel, name, "sent")
        return f"it is sent on day {_day(played, sent[0])}" if sent else None

    return refuted


def _skips(found: re.Match[str]) -> Callable[[Rehearsal], str | None]:
    channel, name, reason = found["channel"], found["name"], found["reason"]

    def refuted(played: Rehearsal) -> str | None:
        skipped = _such(played, channel, name, "skipped")
        if any(reason in (None, one.reason) for one in skipped):
            return None
        return f"it is skipped because {skipped[0].reason}" if skipped else "it is not skipped"

    return refuted


def _ends(found: re.Match[str]) -> Callable[[Rehearsal], str | None]:
    wanted = found["end"]
    if wanted not in ENDINGS:
        raise ConditionError(f"nothing ends “{wanted}”", remedy=nearest(wanted, ENDINGS))

    def refuted(played: Rehearsal) -> str | None:
        (ended,) = played.ends.values() or ("not entered",)
        return None if ended == wanted else f"it ends {ended}"

    return refuted


def _such(played: Rehearsal, channel: str, name: str, status: str) -> list[Happening]:
    return [
        one
        for one in played.sends
        if (one.channel, one.template, one.status) == (channel, name, status)
    ]


def _day(played: Rehearsal, one: Happening) -> int:
    return (one.at - played.started_at) // timedelta(days=1)


def _event(found: re.Match[str]) -> Act:
    properties: Mapping[str, Any] = _properties(found)
    return acts.does(found["quoted"] or found["plain"], properties)


BEGINS = ("scenario", "given", "when", "after", "then")
DEEDS = {
    "clicks": 'clicks "template"', "reads": 'reads "template"', "replies": 'replies "words"',
    "opts": "opts out of email", "event": 'event purchase {"total": 40}',
}  # fmt: skip
CLAIMS = {
    "day": 'day 0 sends email "template"', "never": 'never sends email "template"',
    "skips": 'skips email "template"', "ends": f"ends {' or '.join(ENDINGS)}",
}  # fmt: skip
"""What may stand behind `after 2d` and `then`, written out."""
OVER = r"after\s+(?P<over>\w+)\s+"
LINES: tuple[tuple[str, Reader], ...] = (
    (rf"given\s+no\s+consent\s+{CHANNEL}", _no_consent),
    (r"given\s+(?P<field>[\w.]+)\s+(?P<value>.+)", _given),
    (rf"when\s+event\s+{JSON}", _entered),
    (rf"{OVER}clicks\s+{NAME}", _after(lambda found: acts.clicks(found["name"]))),
    (rf"{OVER}reads\s+{NAME}", _after(lambda found: acts.reads(found["name"]))),
    (
        rf"{OVER}replies\s+{NAME}(?:\s+by\s+{CHANNEL})?",
        _after(lambda found: acts.replies(found["name"], Channel(found["channel"] or "sms"))),
    ),
    (rf"{OVER}opts\s+out\s+of\s+{CHANNEL}", _after(lambda found: acts.opts_out(found["channel"]))),
    (rf"{OVER}event\s+{EVENT}(?:\s+{JSON})?", _after(_event)),
    (rf"then\s+day\s+(?P<day>\d+)\s+sends\s+{CHANNEL}\s+{NAME}", _then(_sends)),
    (rf"then\s+never\s+sends\s+{CHANNEL}\s+{NAME}", _then(_never)),
    (rf"then\s+skips\s+{CHANNEL}\s+{NAME}(?:\s+because\s+(?P<reason>\w+))?", _then(_skips)),
    (r"then\s+ends\s+(?P<end>[\w ]+)", _then(_ends)),
)
"""Each line that a scenario may have, and who reads it."""
