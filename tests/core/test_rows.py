"""Mirrors core/rows.py."""

from decimal import Decimal

import pytest
from sqlalchemy import BigInteger, Numeric, String, column, select, update
from sqlalchemy import table as bare_table

from accounts.client import Client, create_client
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.rows import among, look_up, table
from core.sql import by_index


def test_many_values_are_one_condition(sessions: Sessions, clock: ManualClock) -> None:
    with write(sessions) as session:
        made = [create_client(session, clock, name=name).id for name in ("a", "b'\"", "ü")]

    with read(sessions) as session:
        by_name = select(Client.id).where(among(session, Client.name, ["b'\"", "ü", "other"]))
        by_id = select(Client.id).where(among(session, Client.id, [*made[:2], 10**9]))
        nobody = select(Client.id).where(among(session, Client.id, []))
        no_name = select(Client.id).where(among(session, Client.name, []))

        assert set(session.scalars(by_name)) == set(made[1:])
        assert set(session.scalars(by_id)) == set(made[:2])
        assert list(session.scalars(nobody)) == list(session.scalars(no_name)) == []


def test_a_column_without_a_type_takes_that_of_the_values(
    sessions: Sessions, clock: ManualClock
) -> None:
    clients = bare_table("clients", column("id"), column("name"))
    with write(sessions) as session:
        made = [create_client(session, clock, name=name).id for name in ("a", "b")]
        by_name = select(clients.c.id).where(among(session, clients.c.name, ["b", "c"]))
        by_id = select(clients.c.id).where(among(session, clients.c.id, made[:1]))

        assert list(session.scalars(by_name)) == made[1:]
        assert list(session.scalars(by_id)) == made[:1]


@pytest.mark.parametrize(
    "odd", ["b'\"", "back\\slash", '\\"', ",{}", "NULL", "new\nline", "ü", "two words"]
)
def test_a_value_is_found_whatever_letters_it_holds(
    sessions: Sessions, clock: ManualClock, odd: str
) -> None:
    with write(sessions) as session:
        made = [create_client(session, clock, name="A", notes=text).id for text in ("a", odd, "b")]
        query = select(Client.id).where(among(session, Client.notes, ["z", odd]))
        with by_index(session):
            found = look_up(session, select(Client.id), Client.notes, [odd, "z"])

            assert list(session.scalars(query)) == [made[1]] == list(session.scalars(found))


def test_each_value_is_looked_up(sessions: Sessions, clock: ManualClock) -> None:
    with write(sessions) as session:
        made = [create_client(session, clock, name=name).id for name in ("a", "b'\"", "ü", "a")]
        only = select(Client.id).where(Client.id != made[3])
        with by_index(session):
            names = look_up(session, only, Client.name, ["a", "ü", "other"])
            ids = look_up(session, select(Client.id, Client.name), Client.id, [made[1], 10**9])

            assert sorted(session.scalars(names)) == [made[0], made[2]]
            assert [tuple(row) for row in session.execute(ids)] == [(made[1], "b'\"")]


def test_rows_join_a_statement_as_a_table(sessions: Sessions, clock: ManualClock) -> None:
    with write(sessions) as session:
        made = [create_client(session, clock, name=name).id for name in ("a", "b", "c")]
        rows = table(
            session,
            {"id": BigInteger(), "notes": String(), "spend": Numeric(14, 4)},
            [(made[0], "first", Decimal("1.5")), (made[1], None, None)],
        )
        session.execute(
            update(Client)
            .where(Client.id == rows.c.id)
            .values(notes=rows.c.notes, total_revenue=rows.c.spend)
            .execution_options(synchronize_session=False)
        )

    with read(sessions) as session:
        found = session.execute(
            select(Client.notes, Client.total_revenue).order_by(Client.id)
        ).all()
    assert [tuple(row) for row in found] == [("first", Decimal("1.5")), (None, None), (None, None)]
