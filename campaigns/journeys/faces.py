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
from campaigns.journeys.program import program
from campaigns.journeys.spelling import format, lines
from campaigns.journeys.text import read


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
    return [
        StepFace(key, kind(node.step), said(node.step), node.stage, line, dict(node.ways))
        for (key, node), line in zip(nodes.items(), where, strict=True)
    ]


def kind(step: Step) -> str:
    """Return what kind of step it is: `wait for`."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", type(step).__name__).lower()
