"""Changes: what a session's flushes changed of rows that were there before, for the audit log.

Only what is edited as objects is seen; a statement over many rows is named by whoever runs it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, event
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.orm.base import PASSIVE_NO_INITIALIZE, instance_state

from accounts.audit import AuditEntry, difference

MOST = 100
"""Fields one entry shows; what is beyond is not worth a longer one."""
DULL = frozenset({"updated_at", "version"})
"""Fields that change with every other."""


@dataclass(frozen=True, slots=True)
class _Note:
    """What one flush is about to change of one row."""

    row: str
    shown: Collection[str]
    fields: Mapping[str, tuple[Any, Any]]


class Changes:
    """Fields by the row they are of, before and after; what is rolled back was never changed."""

    def __init__(self) -> None:
        self._notes: list[_Note | None] = []
        """None: somebody wrote an entry of their own."""
        self._marks: dict[SessionTransaction, int] = {}
        """How many notes there were when a savepoint was made."""

    @property
    def told(self) -> bool:
        """Say whether somebody wrote an entry of their own."""
        return None in self._notes

    def note(self, session: Session) -> None:
        """Look at what is about to be flushed."""
        if any(isinstance(one, AuditEntry) for one in session.new):
            self._notes.append(None)
        for one in session.dirty:
            found = _changed(one)
            if found:
                self._notes.append(_Note(_name(one), getattr(one, "AUDIT_SHOWN", ()), found))

    def mark(self, begun: SessionTransaction) -> None:
        """Remember where a savepoint begins."""
        if begun.nested:
            self._marks[begun] = len(self._notes)

    def forget(self, rolled_back: SessionTransaction) -> None:
        """Drop what was noted since a savepoint."""
        if rolled_back in self._marks:
            del self._notes[self._marks.pop(rolled_back) :]

    def by_row(self) -> "Shown":
        """Return the fields as they were and as they are, as `difference` shows them."""
        fields: dict[str, dict[str, tuple[Any, Any]]] = {}
        shown: dict[str, Collection[str]] = {}
        for one in filter(None, self._notes):
            shown[one.row] = one.shown
            held = fields.setdefault(one.row, {})
            for name, (before, after) in one.fields.items():
                held[name] = (held[name][0] if name in held else before, after)
        return Shown(
            {
                row: difference(
                    {name: pair[0] for name, pair in held.items()},
                    {name: pair[1] for name, pair in held.items()},
                    shown=shown[row],
                )
                for row, held in fields.items()
            }
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """What an entry may show of changes."""

    rows: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]
    """By `table:id`: fields before and after."""

    def together(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return all of them, for one deed.

        By their names where one row changed, by `table:id.name` where several did.
        """
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for row, (old, new) in self.rows.items():
            prefix = f"{row}." if len(self.rows) > 1 else ""
            for name in list(old)[: MOST - len(before)]:
                before[prefix + name], after[prefix + name] = old[name], new[name]
        return before, after

    def of(self, target: str | None) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return those of one deed of many: of its target `campaign:7`, the row `campaigns:7`."""
        return self.rows.get((target or "").replace(":", "s:", 1), ({}, {}))


def watched(session: Session) -> Changes:
    """Note what a session changes from now on."""
    changes = Changes()

    @event.listens_for(session, "before_flush")
    def note(flushing: Session, context: object, instances: object) -> None:
        del context, instances
        changes.note(flushing)

    @event.listens_for(session, "after_transaction_create")
    def mark(using: Session, begun: SessionTransaction) -> None:
        del using
        changes.mark(begun)

    @event.listens_for(session, "after_soft_rollback")
    def forget(using: Session, rolled_back: SessionTransaction) -> None:
        del using
        changes.forget(rolled_back)

    return changes


def _changed(one: object) -> Mapping[str, tuple[Any, Any]]:
    state = instance_state(one)
    found = {}
    for column in state.mapper.column_attrs:
        history = state.get_history(column.key, PASSIVE_NO_INITIALIZE)
        if column.key not in DULL and history.added:
            found[column.key] = (history.deleted[0] if history.deleted else None, history.added[0])
    return found


def _name(one: object) -> str:
    state = instance_state(one)
    # A key of text may be an address.
    key = "-".join(str(part) if isinstance(part, int) else "…" for part in state.identity or ())
    return f"{cast('Table', state.mapper.local_table).name}:{key}"
