"""Faces: a journey as it is shown: formatted text, JSON, its steps with their ways, its faults."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from campaigns.journeys.ast import Elevate, Journey, Step
from campaigns.journeys.check import Finding, findings
from campaigns.journeys.comparison import said
from campaigns.journeys.english import summary
from campaigns.journeys.json import to_json
from campaigns.journeys.program import Node, program
from campaigns.journeys.spelling import format, lines
from campaigns.journeys.text import read
from campaigns.journeys.way import way_said


@dataclass(frozen=True, slots=True)
class StepFace:
    """One step and where its ways lead; None is the end."""

    key: str
    does: str
    """`send`, `wait`, `wait for`, `branch`, …"""
    says: str
    stage: Elevate | None
    line: int
    ways: Mapping[str, str | None]
    ways_say: Mapping[str, str]
    """Each way in the words of the text: `if has tag "vip"` of `0`."""


@dataclass(frozen=True, slots=True)
class Faces:
    """A journey that was read, in every form."""

    text: str
    journey: Mapping[str, Any]
    summary: str
    findings: Sequence[Finding]
    steps: Sequence[StepFace]
    """None while two steps have one name: they cannot be told apart."""


def faces(text: str) -> Faces:
    """Return a journey's faces; lines are those of `text`. Raises JourneyError."""
    reading = read(text)
    ast = reading.journey
    return Faces(
        text=format(ast),
        journey=to_json(ast),
        summary=summary(ast),
        findings=findings(ast, reading.lines),
        steps=steps(ast, reading.lines),
    )


def steps(journey: Journey, at: Sequence[int] | None = None) -> list[StepFace]:
    """Return a journey's steps in their order; lines are those of its formatted text."""
    where = lines(journey) if at is None else at
    nodes = program(journey).nodes
    if len(nodes) != len(where):
        return []
    return [_face(node, line) for node, line in zip(nodes.values(), where, strict=True)]


def _face(node: Node[Step], line: int) -> StepFace:
    step, ways = node.step, node.ways
    return StepFace(
        key=node.key,
        does=kind(step),
        says=said(step),
        stage=node.stage,
        line=line,
        ways=dict(ways),
        ways_say={way: way_said(step, way) for way in ways},
    )


def kind(step: Step) -> str:
    """Return what kind of step it is: `wait for`."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", type(step).__name__).lower()
