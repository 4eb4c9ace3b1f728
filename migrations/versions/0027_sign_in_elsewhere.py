"""Let people sign in by an identity provider: who they are there, and sign-ins on their way.

Runs beside: workers of 0026; they know nothing of these tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "sign_in_states",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("state_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_states")),
        sa.UniqueConstraint("state_hash", name=op.f("uq_sign_in_states_state_hash")),
    )
    op.create_index(op.f("ix_sign_in_states_expires_at"), "sign_in_states", ["expires_at"])
    op.create_table(
        "user_identities",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_identities_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_identities")),
        sa.UniqueConstraint(
            "issuer", "subject", name=op.f("uq_user_identities_issuer_subject")
        ),
        sa.UniqueConstraint(
            "user_id", "issuer", name=op.f("uq_user_identities_user_id_issuer")
        ),
    )


def downgrade() -> None:
    """Go back."""
    for table in ("user_identities", "sign_in_states"):
        op.drop_table(table)
