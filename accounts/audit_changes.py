"""Changes: what a session's flushes changed of rows that were there before, for the audit log.

Only what is edited as objects is seen; a statement over many rows is named by whoever runs it.
"""

from collections.abc import Collection, Mapping
from typing import Any, cast

from sqlalchemy import Table, event
from sqlalchemy.orm import Session
from sqlalchemy.orm.base import PASSIVE_NO_INITIALIZE, instance_state

from accounts.audit import AuditEntry, difference

MOST = 100
"""Fields one entry shows; what is beyond is not worth a longer one."""
DULL = frozenset({"updated_at", "version"})
"""Fields that change with every other."""


class Changes:
    """Fields by the row they are of, before and after."""

    def __init__(self) -> None:
        self.told = False
        """Whether somebody wrote an entry of their own."""
        self._fields: dict[str, dict[str, tuple[Any, Any]]] = {}
        self._shown: dict[str, Collection[str]] = {}

    def note(self, session: Session) -> None:
        """Look at what is about to be flushed."""
        self.told = self.told or any(isinstance(one, AuditEntry) for one in session.new)
        for one in session.dirty:
            found = _changed(one)
            if found:
                name = _name(one)
                self._shown[name] = getattr(one, "AUDIT_SHOWN", ())
                held = self._fields.setdefault(name, {})
                for field, (before, after) in found.items():
                    held[field] = (held[field][0] if field in held else before, after)

    def both(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the fields as they were and as they are, as `difference` shows them.

        By their names where one row changed, by `table:id.name` where several did.
        """
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for row, held in self._fields.items():
            old, new = difference(
                {name: pair[0] for name, pair in held.items()},
                {name: pair[1] for name, pair in held.items()},
                shown=self._shown[row],
            )
            prefix = f"{row}." if len(self._fields) > 1 else ""
            for name in list(old)[: MOST - len(before)]:
                before[prefix + name], after[prefix + name] = old[name], new[name]
        return before, after


def watched(session: Session) -> Changes:
    """Note what a session changes from now on."""
    changes = Changes()

    @event.listens_for(session, "before_flush")
    def note(flushing: Session, context: object, instances: object) -> None:
        del context, instances
        changes.note(flushing)

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
