"""Dependence: which segments a condition names, and what time alone can change about it."""

from collections.abc import Callable, Mapping
from typing import Any

from core.condition.ast import (
    And,
    Compare,
    Condition,
    Did,
    InSegment,
    Leaf,
    Messaged,
    Not,
    Op,
    Or,
    each_leaf,
)
from core.condition.json import from_json, to_json

MANY, FEW = (Op.GE, Op.GT, Op.IN_LAST), (Op.LE, Op.LT)


def names_in(condition: Condition) -> frozenset[str]:
    """Return the names of the segments a condition names itself, not what those name in turn."""
    return frozenset(leaf.name for leaf in each_leaf(condition) if isinstance(leaf, InSegment))


def is_timed(condition: Condition) -> bool:
    """Say whether somebody can come to match, or cease to, while nothing about them changes.

    Messages count as well: what becomes of them is not noted with their member.
    """
    return any(_is_timed(leaf) for leaf in each_leaf(condition))


def _is_timed(leaf: Leaf) -> bool:
    match leaf:
        case Compare(op=op):
            return op is Op.IN_LAST
        case Did(op=op, days=days):
            return op is Op.IN_LAST or days is not None
        case Messaged():
            return True
        case _:
            return False


def ripens(condition: Condition, *, yes: bool = True) -> bool:
    """Say whether somebody can come to match while nothing happens to them but time.

    What must have been done lately is forgotten by time, never done by it: `clicked within 3 days`
    does not ripen, `not clicked within 3 days` does.
    """
    match condition:
        case And(items=items) | Or(items=items):
            return any(ripens(item, yes=yes) for item in items)
        case Not(item=item):
            return ripens(item, yes=not yes)
        case Messaged(days=days):
            return not yes and days is not None
        case Did() if _is_timed(condition):
            # Time only takes away: what asks for many is lost by it, what asks for few is won.
            return yes if condition.op in FEW else condition.op not in MANY or not yes
        case leaf:
            return _is_timed(leaf)


def with_names(condition: Condition, given: Mapping[str, str]) -> Condition:
    """Return the condition with segments called otherwise: old name → new name."""

    def renamed(leaf: Leaf) -> Condition:
        return InSegment(given.get(leaf.name, leaf.name)) if isinstance(leaf, InSegment) else leaf

    return each_replaced(condition, renamed)


def each_replaced(condition: Condition, replace: Callable[[Leaf], Condition]) -> Condition:
    """Return the condition with every leaf replaced by what `replace` returns for it."""
    match condition:
        case And(items=items):
            return And(tuple(each_replaced(item, replace) for item in items))
        case Or(items=items):
            return Or(tuple(each_replaced(item, replace) for item in items))
        case Not(item=item):
            return Not(each_replaced(item, replace))
        case _:
            return replace(condition)


def renamed_rule(rule: Mapping[str, Any], old: str, new: str) -> dict[str, Any] | None:
    """Return a stored rule with a segment called otherwise; None when it does not name it."""
    condition = from_json(rule)
    if old not in names_in(condition):
        return None
    return to_json(with_names(condition, {old: new}))
