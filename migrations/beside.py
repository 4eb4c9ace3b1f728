"""Beside: indexes of big tables that are built while others write, for steps of migrations.

A step that builds such an index does so before anything else: what is built beside is kept when the
step fails later, and everything here can be done again. An index that a broken build left behind
is dropped first.

In a transaction of the caller's, as tests migrate, and on SQLite, indexes are built as usual.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

VALID = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def create_index(table: str, name: str, columns: Sequence[Any], **options: Any) -> None:
    """Create an index; whoever writes the table goes on. `options` are those of op.create_index.

    On PostgreSQL it waits for transactions that began before, however long these take.
    """
    if not _is_beside():
        op.create_index(name, table, columns, **options)
        return
    with _patient() as connection:
        valid = connection.scalar(VALID, {"name": name})
        if valid is False:
            op.drop_index(name, table, postgresql_concurrently=True)
        if not valid:
            op.create_index(name, table, columns, postgresql_concurrently=True, **options)


@contextmanager
def _patient() -> Iterator[sa.Connection]:
    """Give a connection without a transaction that waits for locks: nobody waits behind it."""
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        before = connection.scalar(sa.text("SELECT current_setting('lock_timeout')"))
        connection.execute(sa.text("SET lock_timeout = 0"))
        yield connection
        connection.execute(sa.text("SELECT set_config('lock_timeout', :it, false)"), {"it": before})


def replace_index(table: str, name: str, columns: Sequence[Any], **options: Any) -> None:
    """Put another index in the place of the one of this name, which is used until then.

    Nobody waits, and no lock of the table outlives this: the step may do long work behind it.
    """
    if not _is_beside():
        op.drop_index(name, table)
        op.create_index(name, table, columns, **options)
        return
    fresh = f"{name}_fresh"
    create_index(table, fresh, columns, **options)
    with _patient():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.execute(f"ALTER INDEX {fresh} RENAME TO {name}")


def _is_beside() -> bool:
    """Say whether steps are transactions of their own (echelonx.schema.migrate), on PostgreSQL."""
    config = op.get_context().config
    return config is not None and bool(config.attributes.get("beside"))
