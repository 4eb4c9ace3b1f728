"""Changing: steps that set a field or give and take a tag, as an edit with its history."""

from collections.abc import Mapping, Sequence

from campaigns.journeys.ast import Set, Tag
from campaigns.journeys.enrolment import Walker
from campaigns.journeys.machine import Batch, Go, Outcome
from campaigns.journeys.program import Node
from core.errors import EngineError, InvalidError
from members.edit import set_tags, update_member
from members.member import Tier
from members.person import FIELDS
from members.tier import set_tier

ATTRIBUTES = "attributes."
SOURCE = "journey"
SETTABLE = FIELDS - {
    "member_id", "consents", "email", "phone", "push_token", "status", "total_spend",
}  # fmt: skip
"""A webhook's answer says what is set, too: who somebody is, where they are reached and what they
agreed to is not its."""


def set_field(batch: Batch, node: Node[Set], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """Give a field or attribute its value; a value that does not fit is passed over, with why."""
    step = node.step
    outcomes: dict[int, Outcome] = {}
    for one in people:
        outcomes[one.id] = _changed(batch, one, step)
    return outcomes


def tag(batch: Batch, node: Node[Tag], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """Give a tag, or take it."""
    step = node.step
    add, remove = ([], [step.tag]) if step.remove else ([step.tag], [])
    outcomes: dict[int, Outcome] = {}
    for one in people:
        try:
            set_tags(
                batch.session,
                batch.clock,
                client_id=one.client_id,
                id=one.member_id,
                add=add,
                remove=remove,
                source=SOURCE,
            )
            outcomes[one.id] = Go()
        except EngineError as error:
            outcomes[one.id] = Go(why={"problem": str(error)})
    return outcomes


def _changed(batch: Batch, one: Walker, step: Set) -> Outcome:
    problem = applied(batch, one, step.field, step.value)
    return Go(why={"problem": problem}) if problem else Go()


def applied(batch: Batch, one: Walker, field: str, value: object) -> str | None:
    """Set one field of a member; return why not, where a value does not fit or may not be set."""
    try:
        with batch.session.begin_nested():
            _apply(batch, one, field, value)
    except EngineError as error:
        return str(error)
    return None


def _apply(batch: Batch, one: Walker, field: str, value: object) -> None:
    if field == "tier":
        if value not in list(Tier):
            raise InvalidError(f"there is no tier “{value}”", field="tier")
        set_tier(
            batch.session,
            batch.clock,
            batch.hasher,
            client_id=one.client_id,
            member_id=one.member_id,
            tier=Tier(str(value)),
        )
        return
    if field not in SETTABLE and not field.startswith(ATTRIBUTES):
        raise InvalidError(f"“{field[:80]}” cannot be set by a journey", field=field[:80])
    change = (
        {"attributes": {field.removeprefix(ATTRIBUTES): value}}
        if field.startswith(ATTRIBUTES)
        else {field: value}
    )
    update_member(
        batch.session,
        batch.clock,
        batch.hasher,
        client_id=one.client_id,
        id=one.member_id,
        source=SOURCE,
        **change,
    )
