"""The text face: parse, and format from spelling.py.

    journey "Welcome"
      when enters segment "New leads"
      goal event purchase within 30d

      send sms "hello" or email "hello-email"
      wait until clicked "hello" or 2d

What stands below a line stands deeper by the same number of spaces. `#` begins a comment, which
stays with the step behind it. `parse(format(journey)) == journey`.
"""

import re
from dataclasses import dataclass

from campaigns.journeys import normal
from campaigns.journeys.ast import Journey, Step
from campaigns.journeys.body import Body
from campaigns.journeys.errors import JourneyError
from campaigns.journeys.head import Head
from campaigns.journeys.line import Line, lines
from campaigns.journeys.spelling import MAX_LENGTH, check_size, format
from core.condition.check import ConditionError
from core.condition.leaf import Known

__all__ = ["Reading", "format", "name_in", "parse", "read"]
FIRST = re.compile(r'journey\s+"([^"\\]+)"')


@dataclass(frozen=True, slots=True)
class Reading:
    """A journey, and where its steps stood in the text it was read from."""

    journey: Journey
    lines: tuple[int, ...]
    """The line, from 1, of each step in the order of the text."""


def parse(text: str, known: Known | None = None) -> Journey:
    """Read a journey. Raises JourneyError with line, column and the nearest known word.

    With `known`, tags, segments, campaigns and events of its conditions, and the segments that
    start it, must be among the client's own.
    """
    return read(text, known).journey


def read(text: str, known: Known | None = None) -> Reading:
    """Read a journey and note where its steps stand. Raises likewise."""
    if len(text) > 2 * MAX_LENGTH:
        raise JourneyError(f"the journey has {len(text)} characters", remedy="make it shorter")
    try:
        return _read(text, known)
    except ConditionError as error:
        raise JourneyError.of(error) from None


def name_in(text: str) -> str:
    """Return the name that a text gives, which may be wrong below. Raises JourneyError."""
    try:
        return parse(text).name
    except JourneyError:
        first = next((line for line in text.splitlines() if line.strip()), "")
        found = FIRST.fullmatch(first.strip())
        if found is None:
            raise
        return found[1]


def _read(text: str, known: Known | None) -> Reading:
    roots, ending = lines(text)
    if not roots:
        raise ConditionError("there is no journey", remedy='begin it with journey "Its name"')
    first = roots[0]
    if not first.word("journey"):
        raise first.expected("“journey” and its name", ("journey",))
    name = first.named("a journey's name")
    first.end()
    if len(roots) > 1:
        message = "this stands beside the journey"
        raise roots[1].error(message, roots[1].start.start, "put 2 spaces before it")
    return _whole(name, first, known, ending)


def _whole(name: str, first: Line, known: Known | None, ending: tuple[str, ...]) -> Reading:
    head, body = Head(), Body(known)
    comments = first.comments
    steps: list[Step] = []
    for line in first.below:
        if not steps and head.read(line, known):
            comments += line.comments
        else:
            steps.append(body.step(line))
    journey = Journey(
        name=name,
        steps=tuple(steps),
        comments=comments,
        ending=(*body.comments, *ending),
        **head.given(),
    )
    return Reading(check_size(normal.journey(journey)), tuple(body.lines))
