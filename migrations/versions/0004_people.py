"""Let a member have several names, notes, a history and a merge that can be undone.

Runs beside: workers of 0003; the new columns of members are computed or may be empty. On PostgreSQL
the computed columns rewrite the table: about 10 s for a million members, under a lock.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MERGED = sa.text("merged_into IS NOT NULL")
KEYS = {
    # index → (column, operators)
    "ix_members_client_id_email": ("email", "varchar_pattern_ops"),
    "ix_members_client_id_phone": ("phone", "varchar_pattern_ops"),
    "ix_members_client_id_first_key": ("first_key", "text_pattern_ops"),
    "ix_members_client_id_last_key": ("last_key", "text_pattern_ops"),
}
TABLES = (
    "touches",
    "merges",
    "member_notes",
    "member_changes",
    "identities",
    "erasures",
    "duplicates",
    "bulk_errors",
    "bulk_edits",
)


def upgrade() -> None:
    """Go forward."""
    op.add_column("members", sa.Column("merged_into", BIG, nullable=True))
    op.add_column("members", sa.Column("import_id", BIG, nullable=True))
    # SQLite can add a computed column in place only when it is not stored.
    stored = None if op.get_bind().dialect.name == "sqlite" else True
    for name, how in (("first_key", "lower(coalesce(first_name, full_name))"), ("last_key", "lower(last_name)")):
        op.add_column("members", sa.Column(name, sa.Text(), sa.Computed(how, persisted=stored), nullable=True))
    op.drop_index("ix_members_client_id_email", "members")
    for index, (column, operators) in KEYS.items():
        op.create_index(index, "members", ["client_id", column], postgresql_ops={column: operators})
    op.create_index(
        "ix_members_merged_into",
        "members",
        ["merged_into"],
        sqlite_where=MERGED,
        postgresql_where=MERGED,
    )
    op.create_table('bulk_edits',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('client_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('actor', sa.String(length=100), nullable=True),
    sa.Column('chosen', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql'), nullable=False),
    sa.Column('changes', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql'), nullable=False),
    sa.Column('status', sa.String(length=24), nullable=False),
    sa.Column('position', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('total', sa.Integer(), nullable=False),
    sa.Column('changed', sa.Integer(), nullable=False),
    sa.Column('unchanged', sa.Integer(), nullable=False),
    sa.Column('failed', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['client_id'], ['clients.id'], name=op.f('fk_bulk_edits_client_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_bulk_edits'))
    )
    op.create_index(op.f('ix_bulk_edits_client_id_id'), 'bulk_edits', ['client_id', 'id'], unique=False)
    op.create_index(op.f('ix_bulk_edits_status'), 'bulk_edits', ['status'], unique=False)
    op.create_table('erasures',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('client_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('member_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('digest', sa.String(length=32), nullable=False),
    sa.Column('actor', sa.String(length=100), nullable=True),
    sa.Column('erased', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql'), nullable=False),
    sa.Column('erased_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['client_id'], ['clients.id'], name=op.f('fk_erasures_client_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_erasures'))
    )
    op.create_index(op.f('ix_erasures_client_id_digest'), 'erasures', ['client_id', 'digest'], unique=False)
    op.create_index(op.f('ix_erasures_client_id_id'), 'erasures', ['client_id', 'id'], unique=False)
    op.create_table('touches',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('client_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('member_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['client_id'], ['clients.id'], name=op.f('fk_touches_client_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_touches'))
    )
    op.create_index(op.f('ix_touches_client_id_id'), 'touches', ['client_id', 'id'], unique=False)
    op.create_table('bulk_errors',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('client_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('bulk_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('member_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('field', sa.String(length=100), nullable=True),
    sa.Column('message', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['bulk_id'], ['bulk_edits.id'], name=op.f('fk_bulk_errors_bulk_id')),
    sa.ForeignKeyConstraint(['client_id'], ['clients.id'], name=op.f('fk_bulk_errors_client_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_bulk_errors'))
    )
    op.create_index(op.f('ix_bulk_errors_bulk_id_id'), 'bulk_errors', ['bulk_id', 'id'], unique=False)
    op.create_table('duplicates',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('client_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('first_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('second_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('score', sa.SmallInteger(), nullable=False),
    sa.Column('reasons', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql'), nullable=False),
    sa.Column('found_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('dismissed_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['client_id'], ['clients.id'], name=op.f('fk_duplicates_client_id')),
    sa.ForeignKeyConstraint(['first_id'], ['members.id'], name=op.f('fk_duplicates_first_id')),
    sa.ForeignKeyConstraint(['second_id'], ['members.id'], name=op.f('fk_duplicates_second_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_duplicates')),
    sa.UniqueConstraint('client_id', 'first_id', 'second_id', name=op.f('uq_duplicates_client_id_first_id_second_id'))
    )
    op.create_index(op.f('ix_duplicates_client_id_score_id'), 'duplicates', ['client_id', 'score', 'id'], unique=False)
    op.create_index(op.f('ix_duplicates_second_id'), 'duplicates', ['second_id'], unique=False)
    op.create_table('identities',
    sa.Column('client_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('kind', sa.String(length=32), nullable=False),
    sa.Column('value', sa.String(length=128), nullable=False),
    sa.Column('member_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.ForeignKeyConstraint(['client_id'], ['clients.id'], name=op.f('fk_identities_client_id')),
    sa.ForeignKeyConstraint(['member_id'], ['members.id'], name=op.f('fk_identities_member_id')),
    sa.PrimaryKeyConstraint('client_id', 'kind', 'value', name=op.f('pk_identities'))
    )
    op.create_index(op.f('ix_identities_member_id'), 'identities', ['member_id'], unique=False)
    op.create_table('member_changes',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('client_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('member_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('source', sa.String(length=40), nullable=False),
    sa.Column('actor', sa.String(length=100), nullable=True),
    sa.Column('changed', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql'), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['client_id'], ['clients.id'], name=op.f('fk_member_changes_client_id')),
    sa.ForeignKeyConstraint(['member_id'], ['members.id'], name=op.f('fk_member_changes_member_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_member_changes'))
    )
    op.create_index(op.f('ix_member_changes_client_id_member_id_id'), 'member_changes', ['client_id', 'member_id', 'id'], unique=False)
    op.create_index(op.f('ix_member_changes_client_id_source_id'), 'member_changes', ['client_id', 'source', 'id'], unique=False)
    op.create_table('member_notes',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('client_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('member_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('author', sa.String(length=100), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['client_id'], ['clients.id'], name=op.f('fk_member_notes_client_id')),
    sa.ForeignKeyConstraint(['member_id'], ['members.id'], name=op.f('fk_member_notes_member_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_member_notes'))
    )
    op.create_index(op.f('ix_member_notes_client_id_member_id_id'), 'member_notes', ['client_id', 'member_id', 'id'], unique=False)
    op.create_table('merges',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('client_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('survivor_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('absorbed_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('actor', sa.String(length=100), nullable=True),
    sa.Column('moved', sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), 'postgresql'), nullable=False),
    sa.Column('merged_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['absorbed_id'], ['members.id'], name=op.f('fk_merges_absorbed_id')),
    sa.ForeignKeyConstraint(['client_id'], ['clients.id'], name=op.f('fk_merges_client_id')),
    sa.ForeignKeyConstraint(['survivor_id'], ['members.id'], name=op.f('fk_merges_survivor_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_merges'))
    )
    op.create_index(op.f('ix_merges_client_id_absorbed_id'), 'merges', ['client_id', 'absorbed_id'], unique=False)
    op.create_index(op.f('ix_merges_client_id_survivor_id_id'), 'merges', ['client_id', 'survivor_id', 'id'], unique=False)


def downgrade() -> None:
    """Go back."""
    for table in TABLES:
        op.drop_table(table)
    op.drop_index("ix_members_merged_into", "members", sqlite_where=MERGED, postgresql_where=MERGED)
    for index in KEYS:
        op.drop_index(index, "members")
    op.create_index("ix_members_client_id_email", "members", ["client_id", "email"])
    for name in ("first_key", "last_key", "import_id", "merged_into"):
        op.drop_column("members", name)
