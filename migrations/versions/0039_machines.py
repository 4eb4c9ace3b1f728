"""Note of each message whether a machine opened or clicked it, and count that day by day.

It was counted in the receipts: seconds for a client with a million of them.

Runs beside: workers of 0038. What machines do while they still run is not noted, and their joining
of `message_days` fails until they end: they would lose the new counts. Takes about a minute for a
million messages that machines opened, in which nobody writes communications on PostgreSQL.
"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

MARKS = {"machine_read": "opened", "machine_clicked": "clicked"}
FUNCTION = "SELECT pg_get_functiondef('message_days_count()'::regprocedure)"
SUM = """
        coalesce(sum(sign) FILTER (WHERE {0}), 0) AS {0},"""
CHANGED = {
    "segments, created_at": "segments,\n        machine_read, machine_clicked, created_at",
    "AS priced,": "AS priced," + "".join(SUM.format(mark) for mark in MARKS),
    "priced, units,": "priced, machine_read, machine_clicked, units,",
    "<> (0, ": "<> (0, 0, 0, ",
}
"""What becomes of the text of the function that counts changes: watch, count, insert, compare."""


def upgrade() -> None:
    """Go forward."""
    for mark in MARKS:
        flag = sa.Column(mark, sa.Boolean(), server_default=sa.false(), nullable=False)
        op.add_column("communications", flag)
        count = sa.Column(mark, sa.Integer(), server_default="0", nullable=False)
        op.add_column("message_days", count)
    if op.get_bind().dialect.name == "postgresql":
        for mark in MARKS:
            # Who does not know it shall fail to join days, not lose what was counted.
            op.alter_column("message_days", mark, server_default=None)
        _replace(CHANGED)
    for mark, kind in MARKS.items():
        # The function counts them.
        op.execute(f"""
            UPDATE communications SET {mark} = true WHERE direction = 'outbound' AND id IN (
                SELECT communication_id FROM communication_events
                WHERE machine AND state = 'applied' AND type = '{kind}'
            )
        """)  # noqa: S608  (ours)


def downgrade() -> None:
    """Go back."""
    if op.get_bind().dialect.name == "postgresql":
        _replace({new: old for old, new in CHANGED.items()})
    for mark in reversed(MARKS):
        op.drop_column("message_days", mark)
        op.drop_column("communications", mark)


def _replace(texts: dict[str, str]) -> None:
    bind = op.get_bind()
    function: str = bind.scalar(sa.text(FUNCTION))
    for old, new in texts.items():
        function = function.replace(old, new)
    bind.exec_driver_sql(function)
