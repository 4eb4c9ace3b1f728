"""Environment: runs steps, or compares with the models, over the connection it is handed."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Enum

from core.db import UtcDateTime
from echelonx.tables import METADATA

JSON_TEXT = (
    "sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql')"
)


def plain(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write column types of our own as what the database sees: steps must outlive our classes."""
    if kind == "type" and isinstance(item, JSON):
        autogen.imports.add("from sqlalchemy.dialects import postgresql")
        return JSON_TEXT
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite cannot alter most things in place
    render_item=plain,
    user_module_prefix="sa.",
    transaction_per_migration=True,  # each step is kept, whatever becomes of the next
)
with context.begin_transaction():
    context.run_migrations()
