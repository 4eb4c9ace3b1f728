"""Mirrors accounts/user_queries.py."""

import pytest

from accounts.audit import record
from accounts.key import issue_key
from accounts.user import Role, UserStatus, create_user, note_login
from accounts.user_queries import (
    search_users,
    seen_by_email,
    seen_user,
    user_activity,
    user_statistics,
    users_page,
)
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.errors import NotFoundError
from core.page import Walk
from tests.accounts.people import People, make_people


@pytest.fixture
def people(sessions: Sessions, clock: ManualClock, client_id: int) -> People:
    return make_people(sessions, clock, client_id)


def test_a_client_sees_its_own_and_a_super_admin_everybody(
    sessions: Sessions, people: People
) -> None:
    here = [people.admin, people.manager, people.both]
    with read(sessions) as session:
        assert [one.user.id for one in users_page(session, people.here)] == here
        assert [one.role for one in users_page(session, people.here)] == [
            Role.ADMIN, Role.MANAGER, Role.MANAGER,
        ]  # fmt: skip
        everybody = users_page(session, None)
        assert [one.user.id for one in everybody] == [*here, people.stranger, people.root]
        assert [one.role for one in everybody][2:] == [Role.ADMIN, Role.ADMIN, Role.SUPER_ADMIN]
        assert seen_by_email(session, people.here, "BO@Example.com").role is Role.MANAGER
        for unseen in (people.stranger, people.root, 999):
            with pytest.raises(NotFoundError):
                seen_user(session, people.here, unseen)
        with pytest.raises(NotFoundError):
            seen_by_email(session, people.here, "zoe@example.com")
        assert seen_user(session, None, people.stranger).role is Role.ADMIN


def test_filters_and_pages(sessions: Sessions, clock: ManualClock, people: People) -> None:
    with write(sessions) as session:
        create_user(
            session, clock, email="kim@100%.example.com".replace("%", ""), first_name="Kim",
            client_id=people.here,
        )  # fmt: skip

    def ids(client_id: int | None = people.here, **given: object) -> list[int]:
        with read(sessions) as session:
            return [one.user.id for one in users_page(session, client_id, **given)]  # type: ignore[arg-type]

    assert ids(role=Role.MANAGER) == [people.manager, people.both]
    assert ids(None, role=Role.ADMIN) == [people.admin, people.both, people.stranger]
    assert ids(None, role=Role.SUPER_ADMIN) == [people.root]
    assert len(ids(status=UserStatus.PENDING)) == 1
    assert ids(words="LI max") == [people.manager]
    assert ids(words="%") == []
    assert ids(walk=Walk(edge=(people.manager,)), limit=1) == [people.both]


def test_a_search_puts_the_best_first(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    with write(sessions) as session:
        longer = create_user(
            session, clock, email="q@max.example.com", first_name="Maxine",
            client_id=people.here,
        ).id  # fmt: skip
    with read(sessions) as session:
        found = [one.user.id for one in search_users(session, people.here, "max")]
        assert found == [people.manager, longer]
        assert search_users(session, people.here, "zoe") == []
        assert search_users(session, people.here, " ") == []


def test_users_are_counted(sessions: Sessions, clock: ManualClock, people: People) -> None:
    with write(sessions) as session:
        note_login(session, clock, user_id=people.admin)
        create_user(session, clock, email="new@example.com", client_id=people.here)
    with read(sessions) as session:
        here, all_of = (user_statistics(session, clock, one) for one in (people.here, None))
    assert (here.total, all_of.total) == (4, 6)
    assert here.by_role == {"admin": 1, "manager": 2, "user": 1}
    assert all_of.by_role["super_admin"] == 1
    assert here.by_status == {"active": 3, "inactive": 0, "suspended": 0, "pending": 1}
    assert (here.never_logged_in, here.logged_in_lately, here.created_lately) == (3, 1, 4)


def test_activity_is_what_they_did_and_what_was_done_to_them(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    with write(sessions) as session:
        key, _ = issue_key(session, clock, client_id=people.here, name="k", user_id=people.both)
        for client_id, actor, target in (
            (people.here, f"user:{people.both}", "campaign:1"),
            (people.here, f"key:{key.id}", "campaign:2"),
            (people.here, "user:1000", f"user:{people.both}"),
            (people.there, f"user:{people.both}", "campaign:9"),
            (people.here, "user:1000", "campaign:3"),
        ):
            record(session, clock, client_id=client_id, actor=actor, action="x.y", target=target)
    with read(sessions) as session:
        seen = user_activity(session, people.here, people.both, before=None)
        everything = user_activity(session, None, people.both, before=None)
    assert [one.target for one in seen] == [f"user:{people.both}", "campaign:2", "campaign:1"]
    assert len(everything) == 4
