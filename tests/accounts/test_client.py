"""Mirrors accounts/client.py."""

import pytest

from accounts.client import client, clients, create_client, delete_client, update_client
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.errors import InvalidError, NotFoundError


def test_a_client_is_stored_in_normal_form(sessions: Sessions, clock: ManualClock) -> None:
    with write(sessions) as session:
        made = create_client(
            session, clock, name=" Shop ", country="us", timezone="Europe/Berlin",
            address="1 Main St", email="Shop@Example.COM", phone="(201) 555-0123",
        )  # fmt: skip
        made_id = made.id

    with read(sessions) as session:
        found = client(session, made_id)
    assert (found.name, found.country, found.timezone) == ("Shop", "US", "Europe/Berlin")
    assert (found.email, found.phone) == ("shop@example.com", "+12015550123")
    assert found.created_at == found.updated_at == clock.now()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", "x" * 201),
        ("name", "Shop\r\nBcc: x@y.co"),  # B023
        ("country", "XX"),
        ("country", "USA"),
        ("timezone", "Mars/Olympus"),
        ("timezone", "../../etc/passwd"),
        ("timezone", "/etc/passwd"),
        ("timezone", ""),
        ("email", "not an address"),
        ("phone", "0612345678"),
        ("total_revenue", 1_000_000),
        ("id", 7),
        ("created_at", None),
        ("no_such_field", 1),
    ],
)
def test_what_a_client_cannot_have_is_refused_by_name(
    sessions: Sessions, clock: ManualClock, client_id: int, field: str, value: object
) -> None:
    with write(sessions) as session:
        update_client(session, clock, client_id=client_id, country=None)
    with write(sessions) as session, pytest.raises(InvalidError) as refused:
        update_client(session, clock, client_id=client_id, **{field: value})
    assert refused.value.field == field

    with write(sessions) as session, pytest.raises(InvalidError) as refused:
        create_client(session, clock, **{"name": "Shop", field: value})  # type: ignore[arg-type]
    assert refused.value.field == field


def test_a_change_leaves_the_rest_alone(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    made_at = clock.now()
    clock.advance(hours=1)
    with write(sessions) as session:
        update_client(session, clock, client_id=client_id, phone="2015550123", notes="")

    with read(sessions) as session:
        found = client(session, client_id)
    assert (found.name, found.phone, found.notes) == ("Elevate", "+12015550123", "")
    assert (found.created_at, found.updated_at) == (made_at, clock.now())


def test_a_deleted_client_is_not_found_again(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        other = create_client(session, clock, name="Other").id
        delete_client(session, clock, client_id=client_id)

    with read(sessions) as session:
        assert [each.id for each in clients(session)] == [other]
        for gone in (client_id, 999):
            with pytest.raises(NotFoundError):
                client(session, gone)
