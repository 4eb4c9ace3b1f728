"""Program: a journey's steps by key, and which comes after which.

Branches, stages and waits with two ways are blocks in the AST; here every step only says where its
ways out lead. Enrolments remember a key, so keys are made from words, not from places: a step put
in before does not rename those behind it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from campaigns.journeys.ast import (
    Branch,
    Call,
    Check,
    Digest,
    Elevate,
    Exit,
    GoTo,
    Happens,
    Journey,
    Replies,
    Send,
    Set,
    Split,
    Stage,
    Step,
    Tag,
    Wait,
    WaitFor,
    WaitTime,
    Webhook,
)
from campaigns.journeys.duration import duration
from core.condition.ast import Condition

MAX_KEY = 60
NEXT, TIMEOUT, OTHERWISE, BACK = "next", "timeout", "else", "back"
"""Ways out: the ordinary one, a wait's that was not answered, a branch's that nothing matched, a
jump's."""


S = TypeVar("S", bound=Step, covariant=True)


@dataclass(frozen=True, slots=True)
class Node(Generic[S]):
    """One step and where its ways out lead; None is the end of the journey."""

    key: str
    step: S
    ways: dict[str, str | None]
    """`next` for most; `timeout` of a wait; `0`, `1`, … of cases and arms, `else` of a branch."""
    stage: Elevate | None


@dataclass(frozen=True, slots=True)
class Program:
    """All steps, in the order of the text."""

    first: str | None
    nodes: dict[str, Node[Step]]

    def stages(self) -> list[Elevate]:
        """Return the Elevate steps it goes through, in its order."""
        return list(dict.fromkeys(node.stage for node in self.nodes.values() if node.stage))


def program(journey: Journey) -> Program:
    """Return the program of a journey. Raises nothing: check.py finds what is wrong with one."""
    builder = _Builder(journey)
    first = builder.chain(journey.steps, (), None, None)
    return Program(first, {key: builder.nodes[key] for key in builder.keys.values()})


def each_step(steps: Sequence[Step]) -> Iterator[Step]:
    """Yield steps and the steps inside them, in the order of the text."""
    for _, step in _paths(steps):
        yield step


def each_condition(journey: Journey) -> Iterator[tuple[str, Condition]]:
    """Yield every condition with where it stands: `triggers/0`, `goals/0`, `exits/0`, `steps`."""
    for place, trigger in enumerate(journey.triggers):
        if trigger.only is not None:
            yield f"triggers/{place}", trigger.only
    for place, goal in enumerate(journey.goals):
        if not isinstance(goal.reached, Happens):
            yield f"goals/{place}", goal.reached
    for place, condition in enumerate(journey.exits):
        yield f"exits/{place}", condition
    for step in each_step(journey.steps):
        for condition in _asked(step):
            yield "steps", condition


def _asked(step: Step) -> list[Condition]:
    match step:
        case Branch(cases=cases):
            return [case.condition for case in cases]
        case Check(condition=condition):
            return [condition]
        case WaitFor(what=what) if not isinstance(what, Happens | Replies):
            return [what]
        case _:
            return []


def blocks(step: Step) -> list[tuple[Step, ...]]:
    """Return the blocks of steps inside a step."""
    match step:
        case Stage(steps=steps):
            return [steps]
        case Branch(cases=cases, otherwise=otherwise):
            return [*(case.steps for case in cases), otherwise]
        case Split(arms=arms):
            return [arm.steps for arm in arms]
        case WaitFor(then=then, otherwise=otherwise):
            return [then, otherwise]
        case _:
            return []


Path = tuple[int, ...]
"""Where a step stands: its place, the block inside it, the place in that, and so on."""


class _Builder:
    """Gives every step its key, then its ways out."""

    def __init__(self, journey: Journey) -> None:
        paths = dict(_paths(journey.steps))
        taken = {step.name for step in paths.values() if step.name}
        self.keys = {path: step.name or _free(step, taken) for path, step in paths.items()}
        self.nodes: dict[str, Node[Step]] = {}

    def chain(
        self, steps: Sequence[Step], path: Path, after: str | None, stage: Elevate | None
    ) -> str | None:
        """Add a block whose end leads to `after`; return the key that it begins with."""
        for place, step in reversed(list(enumerate(steps))):
            key = self.keys[*path, place]
            within = step.stage if isinstance(step, Stage) else stage
            ways = self._ways(step, (*path, place), after, within)
            self.nodes[key] = Node(key, step, ways, within)
            after = key
        return after

    def _ways(
        self, step: Step, path: Path, after: str | None, stage: Elevate | None
    ) -> dict[str, str | None]:
        inside = [
            self.chain(steps, (*path, place), after, stage)
            for place, steps in enumerate(blocks(step))
        ]
        match step:
            case Stage():
                return {NEXT: inside[0]}
            case Branch():
                ways = {str(place): first for place, first in enumerate(inside[:-1])}
                return ways | {OTHERWISE: inside[-1]}
            case Split():
                return {str(place): first for place, first in enumerate(inside)}
            case WaitFor():
                return {NEXT: inside[0], TIMEOUT: inside[1]}
            case GoTo(target=target):
                return {BACK: self._target(target), NEXT: after}
            case Exit():
                return {}
            case _:
                return {NEXT: after}

    def _target(self, name: str) -> str | None:
        """Return the key that a jump names: a step's name, or an Elevate step's."""
        stage = f"stage-{_slug(name)}"
        return next((key for key in self.keys.values() if key in (name, stage)), None)


def _paths(steps: Sequence[Step], path: Path = ()) -> Iterator[tuple[Path, Step]]:
    for place, step in enumerate(steps):
        yield (*path, place), step
        for number, block in enumerate(blocks(step)):
            yield from _paths(block, (*path, place, number))


def _free(step: Step, taken: set[str]) -> str:
    """Return a key made from the step's words that no other step has, and take it."""
    words = key = _slug(WORDS[type(step)](step))[:MAX_KEY]
    number = 1
    while key in taken:
        number += 1
        key = f"{words}-{number}"
    taken.add(key)
    return key


def _slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def _awaited(step: WaitFor) -> str:
    match step.what:
        case Happens(event=event):
            return f"wait for {event}"
        case Replies():
            return "wait for reply"
        case _:
            return "wait for"


WORDS: dict[type, Callable[[Any], str]] = {
    Send: lambda step: f"send {step.options[0].channel} {step.options[0].contents[0].template}",
    Wait: lambda step: f"wait {duration(step.over)}",
    WaitTime: lambda step: f"wait until {step.at:%H-%M}",
    WaitFor: _awaited,
    Branch: lambda _: "branch",
    Split: lambda _: "split",
    Set: lambda step: f"set {step.field}",
    Tag: lambda step: f"{'untag' if step.remove else 'tag'} {step.tag}",
    Webhook: lambda _: "webhook",
    Check: lambda _: "check",
    Exit: lambda _: "exit",
    Stage: lambda step: f"stage {step.stage}",
    Digest: lambda step: f"digest {step.event}",
    Call: lambda step: f"call {step.journey}",
    GoTo: lambda step: f"go to {step.target}",
}
