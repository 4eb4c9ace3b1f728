"""Plan: what changes about one member of many; made for a chunk of them, and written in sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.bulk import update_each
from core.clock import Clock
from core.rows import among
from core.sql import insert_into
from members.change import Change, difference, plain, record_changes, typed
from members.edit import BLANKABLE
from members.member import Member, MemberTag
from members.person import MAX_ATTRIBUTES, MAX_TAGS, Person, read_person
from members.touch import touch

M = Member
MEMBERS: Any = Member.__table__


@dataclass(slots=True)
class Plan:
    """What changes about one member."""

    member_id: int
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    problem: tuple[str, str] | None = None
    """(field, message) of a member that cannot be changed so."""

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """Field → (before, after); tags as what was removed and added."""
        found = difference(self.before, self.after)
        if self.added or self.removed:
            found["tags"] = (sorted(self.removed), sorted(self.added))
        return found


def plans_of(
    session: Session,
    client_id: int,
    ids: Sequence[int],
    changes: Mapping[str, Any],
    person: Person,
) -> list[Plan]:
    """Return what would change about each member; in the order of their ids."""
    values = {n: person.fields.get(n) for n in changes if n in person.fields or n in BLANKABLE}
    add = set(read_person({"tags": changes.get("add_tags", ())}, country=None).tags)
    remove = set(person.tags) - add
    names = sorted(values) + (["attributes"] if "attributes" in changes else [])
    held = tags_of(session, client_id, ids)
    rows = session.execute(
        select(M.id, *[getattr(M, name) for name in names])
        .where(M.client_id == client_id, among(session, M.id, ids))
        .order_by(M.id)
    )
    plans = []
    for row in rows.mappings():
        plan = Plan(row["id"], {name: row[name] for name in names}, dict(values))
        if "attributes" in changes:
            plan.after["attributes"] = {**(row["attributes"] or {}), **person.attributes}
        own = held.get(plan.member_id, set())
        plan.added, plan.removed = add - own, remove & own
        plan.problem = _problem(plan, len(own))
        plans.append(plan)
    return plans


def _problem(plan: Plan, tags: int) -> tuple[str, str] | None:
    if len(plan.after.get("attributes", ())) > MAX_ATTRIBUTES:
        return "attributes", f"a member has at most {MAX_ATTRIBUTES} attributes"
    if tags + len(plan.added) - len(plan.removed) > MAX_TAGS:
        return "tags", f"a member has at most {MAX_TAGS} tags"
    return None


def tags_of(session: Session, client_id: int, ids: Sequence[int]) -> dict[int, set[str]]:
    """Return the tags of members that have any."""
    query = select(MemberTag.member_id, MemberTag.tag).where(
        MemberTag.client_id == client_id, among(session, MemberTag.member_id, ids)
    )
    found: dict[int, set[str]] = {}
    for member_id, tag in session.execute(query):
        found.setdefault(member_id, set()).add(tag)
    return found


def backwards(member: Member, changed: Mapping[str, Any], tags: set[str]) -> Plan:
    """Return how to give a member back what still is as the bulk edit left it."""
    plan = Plan(member.id)
    for name, (before, after) in changed.items():
        if name == "tags":
            plan.added, plan.removed = set(before) - tags, set(after) & tags
        elif plain(getattr(member, name)) == after:
            plan.before[name] = getattr(member, name)
            plan.after[name] = typed(name, before)
    return plan


def write_plans(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    plans: Sequence[Plan],
    source: str,
    actor: str | None,
) -> None:
    """Write plans: a statement for each set of changed columns, and four for the rest."""
    alike: dict[tuple[str, ...], list[Plan]] = {}
    for plan in plans:
        names = tuple(sorted(difference(plan.before, plan.after)))
        alike.setdefault(names, []).append(plan)
    for names, group in alike.items():
        columns = {name: [plan.after[name] for plan in group] for name in names}
        extra = {"version": MEMBERS.c.version + 1, "updated_at": clock.now()}
        update_each(session, MEMBERS, [plan.member_id for plan in group], columns, extra)
    _write_tags(session, client_id, plans)
    record_changes(
        session,
        clock,
        client_id=client_id,
        source=source,
        actor=actor,
        changes=[Change(plan.member_id, plan.changed) for plan in plans],
    )
    touch(session, client_id=client_id, member_ids=[plan.member_id for plan in plans])


def _write_tags(session: Session, client_id: int, plans: Sequence[Plan]) -> None:
    for tag in sorted({tag for plan in plans for tag in plan.removed}):
        ids = [plan.member_id for plan in plans if tag in plan.removed]
        session.execute(
            delete(MemberTag)
            .where(
                MemberTag.client_id == client_id,
                MemberTag.tag == tag,
                among(session, MemberTag.member_id, ids),
            )
            .execution_options(synchronize_session=False)
        )
    rows = [
        {"client_id": client_id, "member_id": plan.member_id, "tag": tag}
        for plan in plans
        for tag in sorted(plan.added)
    ]
    if rows:
        session.execute(insert_into(session, MemberTag).on_conflict_do_nothing(), rows)
