"""Way: a way out of a step, in the words of the journey's text: `if has tag "vip"`, not `0`."""

from campaigns.journeys.ast import Branch, Split, Step, WaitFor
from campaigns.journeys.program import NEXT, TIMEOUT
from core.condition.spelling import format as format_condition


def way_said(step: Step, way: str) -> str:
    """Return how the text calls a way; one that has no words there is called by its name."""
    match step:
        case Branch(cases=cases) if _is_place(way, len(cases)):
            return f"if {format_condition(cases[int(way)].condition)}"
        case Split(arms=arms) if _is_place(way, len(arms)):
            return f"{arms[int(way)].weight} of {sum(arm.weight for arm in arms)}"
        case WaitFor(then=then, otherwise=otherwise) if then or otherwise:
            return {NEXT: "then", TIMEOUT: "else"}.get(way, way)
        case _:
            return way


def _is_place(way: str, places: int) -> bool:
    return way.isdecimal() and int(way) < places
