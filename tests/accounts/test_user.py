"""Mirrors accounts/user.py."""

import pytest

from accounts.client import create_client
from accounts.user import (
    Role,
    UserStatus,
    create_user,
    grant_role,
    note_login,
    role_at,
    user,
    user_by_email,
)
from core.address import AddressError
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.errors import ConflictError, NotFoundError


def test_two_spellings_of_an_email_are_one_user(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        made = create_user(session, clock, email="Ana@Example.com", first_name="Ana").id

    with write(sessions) as session:
        with pytest.raises(ConflictError):
            create_user(session, clock, email=" ana@EXAMPLE.com ")
        create_user(session, clock, email="bob@example.com")  # the transaction is still good

    with read(sessions) as session:
        found = user_by_email(session, "ANA@example.com")
        assert found is not None
        assert (found.id, found.email, found.full_name) == (made, "ana@example.com", "Ana")
        assert found.status is UserStatus.PENDING
        assert user_by_email(session, "carol@example.com") is None


def test_a_role_holds_at_its_client_and_nowhere_else(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        other = create_client(session, clock, name="Other").id
        made = create_user(
            session, clock, email="ana@example.com", client_id=client_id, role=Role.MANAGER
        ).id

    with read(sessions) as session:
        assert role_at(session, user_id=made, client_id=client_id) is Role.MANAGER
        assert role_at(session, user_id=made, client_id=other) is None


def test_a_new_role_takes_the_place_of_the_old(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        made = create_user(session, clock, email="ana@example.com", client_id=client_id).id
        grant_role(session, clock, user_id=made, client_id=client_id, role=Role.ADMIN)

    with read(sessions) as session:
        assert role_at(session, user_id=made, client_id=client_id) is Role.ADMIN


def test_a_super_admin_may_enter_everywhere(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        made = create_user(session, clock, email="ana@example.com", role=Role.SUPER_ADMIN).id

    with read(sessions) as session:
        assert role_at(session, user_id=made, client_id=client_id) is Role.SUPER_ADMIN


def test_an_ordinary_user_without_a_client_may_do_nothing_there(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        made = create_user(session, clock, email="ana@example.com", role=Role.ADMIN).id

    with read(sessions) as session:
        assert role_at(session, user_id=made, client_id=client_id) is None


def test_what_is_no_email_makes_no_user(sessions: Sessions, clock: ManualClock) -> None:
    with write(sessions) as session, pytest.raises(AddressError) as refused:
        create_user(session, clock, email="ana")

    assert refused.value.field == "email"


def test_a_deleted_or_unknown_user_is_not_found(sessions: Sessions, clock: ManualClock) -> None:
    with write(sessions) as session:
        made = create_user(session, clock, email="ana@example.com")
        made.deleted_at = clock.now()
        made_id = made.id

    with read(sessions) as session:
        assert user_by_email(session, "ana@example.com") is None
        for gone in (made_id, 999):
            with pytest.raises(NotFoundError):
                user(session, gone)


def test_every_login_is_counted_and_forgives_failed_attempts(
    sessions: Sessions, clock: ManualClock
) -> None:
    with write(sessions) as session:
        made = create_user(session, clock, email="ana@example.com")
        made.failed_login_attempts = 3
        made_id = made.id
    for _ in range(2):
        clock.advance(hours=1)
        with write(sessions) as session:
            note_login(session, clock, user_id=made_id)

    with read(sessions) as session:
        found = user(session, made_id)
    assert (found.last_login, found.login_count) == (clock.now(), 2)
    assert found.failed_login_attempts == 0
