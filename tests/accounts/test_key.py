"""Mirrors accounts/key.py."""

import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy import select

from accounts.client import ClientStatus, create_client, delete_client, update_client
from accounts.key import ApiKey, authenticate, issue_key, keys, note_use, revoke_key
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.errors import InvalidError, NotFoundError, UnauthenticatedError


@dataclasses.dataclass
class Issued:
    id: int
    text: str


def test_a_key_speaks_for_its_client(
    sessions: Sessions, clock: ManualClock, client_id: int, issued: Issued
) -> None:
    with read(sessions) as session:
        key = authenticate(session, clock, issued.text)

    assert (key.id, key.client_id) == (issued.id, client_id)


def test_the_database_cannot_tell_a_keys_text(sessions: Sessions, issued: Issued) -> None:
    with read(sessions) as session:
        row = session.execute(select(*ApiKey.__table__.columns)).one()

    prefix, secret = issued.text[:11], issued.text[12:]
    assert row.prefix == prefix
    assert secret not in repr(row)


@pytest.mark.parametrize(
    "text", ["", "ex_", "ex_1234_wrong", "Bearer x", "ex_é", "ex_" + "x" * 500]
)
def test_a_text_that_is_no_key_is_refused(
    sessions: Sessions, clock: ManualClock, issued: Issued, text: str
) -> None:
    refused(sessions, clock, text)
    refused(sessions, clock, issued.text + "x")
    refused(sessions, clock, issued.text.swapcase())


def test_a_revoked_key_is_refused_at_once(
    sessions: Sessions, clock: ManualClock, client_id: int, issued: Issued
) -> None:
    with write(sessions) as session:
        first = revoke_key(session, clock, client_id=client_id, key_id=issued.id).revoked_at
    clock.advance(hours=1)
    with write(sessions) as session:
        again = revoke_key(session, clock, client_id=client_id, key_id=issued.id).revoked_at

    assert first == again
    refused(sessions, clock, issued.text)


def test_a_key_ends_when_it_expires(sessions: Sessions, clock: ManualClock, client_id: int) -> None:
    with write(sessions) as session:
        _, text = issue_key(
            session, clock, client_id=client_id, name="ci",
            expires_at=clock.now() + timedelta(hours=1),
        )  # fmt: skip

    clock.advance(minutes=59)
    with read(sessions) as session:
        authenticate(session, clock, text)
    clock.advance(minutes=1)
    refused(sessions, clock, text)


@pytest.mark.parametrize("status", [ClientStatus.SUSPENDED, ClientStatus.INACTIVE])
def test_a_client_that_may_not_use_the_engine_has_no_keys_in_force(
    sessions: Sessions, clock: ManualClock, client_id: int, issued: Issued, status: ClientStatus
) -> None:
    with write(sessions) as session:
        update_client(session, clock, client_id=client_id, status=status)

    refused(sessions, clock, issued.text)


def test_a_deleted_client_has_no_keys_in_force(
    sessions: Sessions, clock: ManualClock, client_id: int, issued: Issued
) -> None:
    with write(sessions) as session:
        delete_client(session, clock, client_id=client_id)

    refused(sessions, clock, issued.text)


def test_nobody_revokes_or_lists_another_clients_key(
    sessions: Sessions, clock: ManualClock, client_id: int, issued: Issued
) -> None:
    with write(sessions) as session:
        other = create_client(session, clock, name="Other").id

    with write(sessions) as session, pytest.raises(NotFoundError):
        revoke_key(session, clock, client_id=other, key_id=issued.id)
    with read(sessions) as session:
        assert keys(session, other) == []
        assert [key.id for key in keys(session, client_id)] == [issued.id]


def test_use_is_written_once_a_minute(
    sessions: Sessions, clock: ManualClock, issued: Issued
) -> None:
    noted = []
    for seconds in (0, 30, 30, 30):
        clock.advance(seconds=seconds)
        with write(sessions) as session:
            noted.append(note_use(session, clock, key_id=issued.id))

    assert noted == [True, False, True, False]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "x" * 101}),
        ("scopes", {"name": "x", "scopes": []}),
        ("scopes", {"name": "x", "scopes": ["members:fly"]}),
        ("scopes", {"name": "x", "scopes": ["me:write"]}),
        ("expires_at", {"name": "x", "expires_at": ManualClock}),
    ],
)
def test_a_key_that_could_not_be_used_is_not_made(
    sessions: Sessions, clock: ManualClock, client_id: int, field: str, wrong: dict[str, object]
) -> None:
    if field == "expires_at":
        wrong = {**wrong, "expires_at": clock.now()}

    with write(sessions) as session, pytest.raises(InvalidError) as error:
        issue_key(session, clock, client_id=client_id, **wrong)  # type: ignore[arg-type]

    assert error.value.field == field


@pytest.fixture
def issued(sessions: Sessions, clock: ManualClock, client_id: int) -> Issued:
    with write(sessions) as session:
        key, text = issue_key(session, clock, client_id=client_id, name="ci")
        return Issued(key.id, text)


def refused(sessions: Sessions, clock: ManualClock, text: str) -> None:
    """Every refusal reads the same."""
    with read(sessions) as session, pytest.raises(UnauthenticatedError) as error:
        authenticate(session, clock, text)
    assert str(error.value) == "this API key is not valid"
