"""core.planner: a table that was filled a moment ago is read by the right index."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, text

from core.db import Sessions, read, write
from core.planner import meet_tables
from members.member import Member, MemberStatus, Tier
from tests.conftest import only_postgresql

pytestmark = only_postgresql  # SQLite has no planner that guesses
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROWS = 3_000
KEY = "SELECT id FROM members WHERE client_id = :client AND member_id = ANY(:keys)"
ONE = "SELECT id FROM members WHERE client_id = :client AND member_id = 'c-7' AND tier = 'basic'"


@pytest.fixture(autouse=True)
def forgotten(sessions: Sessions) -> Iterator[None]:
    """What an earlier test has left PostgreSQL to know of the table, until it is told to look."""
    with write(sessions) as session:
        session.execute(text("ALTER TABLE members SET (autovacuum_enabled = off)"))
        session.execute(text("ANALYZE members"))
    yield
    with write(sessions) as session:
        session.execute(text("ALTER TABLE members RESET (autovacuum_enabled)"))


def fill(sessions: Sessions, client_id: int, first: int, rows: int) -> None:
    with write(sessions) as session:
        session.execute(
            insert(Member),
            [
                {
                    "client_id": client_id, "member_id": f"c-{n}", "tier": Tier.BASIC,
                    "status": MemberStatus.ACTIVE, "attributes": {}, "version": 1,
                    "created_at": AT, "updated_at": AT,
                }
                for n in range(first, first + rows)
            ],
        )  # fmt: skip


def test_a_key_is_looked_up_by_its_own_index_in_a_table_filled_a_moment_ago(
    sessions: Sessions, client_id: int
) -> None:
    fill(sessions, client_id, 0, ROWS)
    with write(sessions) as session:
        session.execute(text("SELECT pg_stat_force_next_flush()"))
    with write(sessions) as session:
        assert "members" in meet_tables(session)
    with read(sessions) as session:
        for query, given in ((KEY, {"keys": [f"c-{n}" for n in range(3)]}), (ONE, {})):
            plan = session.scalars(text(f"EXPLAIN {query}"), {"client": client_id, **given}).all()
            assert "uq_members_client_id_member_id" in "\n".join(plan)


def test_tables_are_met_once_until_they_are_ten_times_what_they_were(
    sessions: Sessions, client_id: int
) -> None:
    for first, rows, grown in ((0, ROWS, True), (ROWS, ROWS, False), (2 * ROWS, 9 * ROWS, True)):
        fill(sessions, client_id, first, rows)
        with write(sessions) as session:
            session.execute(text("SELECT pg_stat_force_next_flush()"))
        with write(sessions) as session:
            assert ("members" in meet_tables(session)) is grown
