"""Mirrors accounts/user_edit.py."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from accounts.client import create_client, hold
from accounts.client_queries import clients_of
from accounts.invitation import Inviter, invite
from accounts.key import authenticate, issue_key
from accounts.permission import allowed
from accounts.principal import key_holder, places
from accounts.user import (
    Role,
    UserStatus,
    create_user,
    grant_role,
    held_at,
    role_at,
    user,
)
from accounts.user_edit import (
    Editor,
    add_user,
    bulk_update_users,
    delete_user,
    set_permissions,
    update_user,
)
from accounts.user_queries import seen_user, seen_users, user_statistics, users_page
from core.clock import ManualClock
from core.db import Sessions, is_sqlite, read, write
from core.errors import (
    ConflictError,
    EngineError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnauthenticatedError,
)
from tests.accounts.people import People, make_people
from tests.conftest import only_postgresql
from tests.waiting import until_waiting


@pytest.fixture
def people(sessions: Sessions, clock: ManualClock, client_id: int) -> People:
    return make_people(sessions, clock, client_id)


def test_a_change_is_stored_in_normal_form(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    changes = {
        "first_name": " Maxi ", "phone": "+1 (201) 555-0123", "timezone": "Europe/Berlin",
        "language": "de", "avatar_url": "https://a.example/m.png", "preferences": {"dark": True},
        "role": "user", "status": "suspended",
    }  # fmt: skip
    with write(sessions) as session:
        seen = update_user(session, clock, editor=people.boss, user_id=people.manager, **changes)
        assert (seen.role, seen.status) == (Role.USER, UserStatus.SUSPENDED)

    with read(sessions) as session:
        found = user(session, people.manager)
        assert (found.full_name, found.phone) == ("Maxi Li", "+12015550123")
        assert role_at(session, user_id=people.manager, client_id=people.here) is Role.USER
        assert role_at(session, user_id=people.manager, client_id=people.there) is None


def test_who_may_change_whom(sessions: Sessions, clock: ManualClock, people: People) -> None:
    manager = people.editor(Role.MANAGER, people.manager)
    root = people.editor(Role.SUPER_ADMIN, people.root)
    refusals: list[tuple[Editor, int, dict[str, Any], type[EngineError], str | None]] = [
        (people.boss, people.stranger, {"first_name": "Hi"}, NotFoundError, None),
        (people.boss, people.root, {"first_name": "Hi"}, NotFoundError, None),
        (people.boss, people.manager, {"role": "super_admin"}, ForbiddenError, "role"),
        (people.boss, people.both, {"first_name": "Hi"}, ForbiddenError, "first_name"),
        (people.boss, people.manager, {"email": "evil@example.com"}, ForbiddenError, "email"),
        (people.boss, people.admin, {"role": "user"}, ForbiddenError, "role"),
        (people.boss, people.admin, {"status": "inactive"}, ForbiddenError, "status"),
        (people.boss, people.manager, {"status": "pending"}, InvalidError, "status"),
        (people.boss, people.manager, {"login_count": 7}, InvalidError, "login_count"),
        (people.boss, people.manager, {"password_hash": "x"}, InvalidError, "password_hash"),
        (people.boss, people.manager, {"timezone": "Mars/North"}, InvalidError, "timezone"),
        (people.boss, people.manager, {"language": "German!"}, InvalidError, "language"),
        (people.boss, people.manager, {"avatar_url": "javascript:x"}, InvalidError, "avatar_url"),
        (people.boss, people.manager, {"preferences": [1]}, InvalidError, "preferences"),
        (people.boss, people.manager, {"first_name": "x" * 101}, InvalidError, "first_name"),
        (people.boss, people.manager, {"status": None}, InvalidError, "status"),
        (manager, people.admin, {"first_name": "Hi"}, ForbiddenError, None),
        (manager, people.both, {"role": "admin"}, ForbiddenError, "role"),
        (root, people.manager, {"email": "ANA@example.com"}, ConflictError, "email"),
    ]
    for editor, user_id, changes, error, field in refusals:
        with write(sessions) as session, pytest.raises(error) as refused:
            update_user(session, clock, editor=editor, user_id=user_id, **changes)
        assert refused.value.field == field, changes

    with write(sessions) as session:
        update_user(session, clock, editor=people.boss, user_id=people.both, role="user")
        update_user(session, clock, editor=root, user_id=people.stranger, email="z@example.com")
        update_user(session, clock, editor=manager, user_id=people.manager, first_name="Maxi")
    with read(sessions) as session:
        assert role_at(session, user_id=people.both, client_id=people.here) is Role.USER
        assert role_at(session, user_id=people.both, client_id=people.there) is Role.ADMIN
        assert user(session, people.stranger).email == "z@example.com"


def test_the_last_admin_stays(sessions: Sessions, clock: ManualClock, people: People) -> None:
    root = people.editor(Role.SUPER_ADMIN, people.root)

    def refuse_all() -> None:
        for changes in ({"role": "user"}, {"status": "suspended"}):
            with write(sessions) as session, pytest.raises(ConflictError, match="last admin"):
                update_user(session, clock, editor=root, user_id=people.admin, **changes)
        with write(sessions) as session, pytest.raises(ConflictError, match="last admin"):
            delete_user(session, clock, editor=root, user_id=people.admin)

    refuse_all()
    with write(sessions) as session:
        pending = create_user(
            session, clock, email="p@example.com", role=Role.ADMIN, client_id=people.here
        )
        assert pending.status is UserStatus.PENDING
    refuse_all()  # who cannot log in is no admin to rely on

    with write(sessions) as session:
        grant_role(session, clock, user_id=people.manager, client_id=people.here, role=Role.ADMIN)
        update_user(session, clock, editor=root, user_id=people.admin, role="user")


def test_who_takes_an_admin_away_waits_for_no_row_that_only_names_the_client(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    with sessions() as other, write(sessions) as session:
        if not is_sqlite(other):  # where there is one writer at a time anyway
            grant_role(
                other, clock, user_id=people.stranger, client_id=people.here, role=Role.ADMIN
            )
            session.execute(text("SET LOCAL lock_timeout = '10s'"))
        root = people.editor(Role.SUPER_ADMIN, people.root)
        with pytest.raises(ConflictError, match="last admin"):
            update_user(session, clock, editor=root, user_id=people.admin, role="user")


@pytest.mark.parametrize("how", ["role", "status", "permissions", "deleted"])
def test_what_somebody_and_their_keys_invited_to_ends_with_their_power(
    sessions: Sessions, clock: ManualClock, people: People, how: str
) -> None:
    with write(sessions) as session:
        boss, who = people.boss, people.manager
        set_permissions(session, clock, editor=boss, user_id=who, actions=["users:write"])
        key, _ = issue_key(session, clock, client_id=people.here, name="k", user_id=who)
        actors = [f"user:{who}", f"key:{key.id}", f"user:{people.admin}"]
        made = [
            invite(
                session, clock, email=f"{n}@example.com", role=Role.USER,
                inviter=Inviter(people.here, actor, Role.ADMIN, allowed(Role.ADMIN), mails=True),
            )[0]
            for n, actor in enumerate(actors)
        ]  # fmt: skip

        if how == "deleted":
            delete_user(session, clock, editor=boss, user_id=who)
        elif how == "permissions":
            set_permissions(session, clock, editor=boss, user_id=who, actions=[])
        else:
            less = {"role": {"role": "user"}, "status": {"status": "suspended"}}[how]
            update_user(session, clock, editor=boss, user_id=who, **less)

        session.expire_all()
        assert [one.status_at(clock.now()) for one in made] == ["revoked", "revoked", "open"]


def test_who_speaks_for_no_client_sees_nobody(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    nowhere = Editor(Role.ADMIN, None)
    with write(sessions) as session, pytest.raises(NotFoundError):
        update_user(session, clock, editor=nowhere, user_id=people.manager, first_name="Max")


def test_a_client_stops_somebody_there_and_only_there(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    both, there = people.both, Editor(Role.ADMIN, people.there, people.stranger)

    def status(editor: Editor, to: str) -> None:
        with write(sessions) as session:
            update_user(session, clock, editor=editor, user_id=both, status=to)

    with write(sessions) as session:
        keys = [
            issue_key(session, clock, client_id=one, name="k", user_id=both)[1]
            for one in (people.here, people.there)
        ]
    status(people.boss, "suspended")

    with read(sessions) as session:
        assert [place.client_id for place in places(session, user(session, both))] == [people.there]
        assert clients_of(session, both) == [people.there]
        with pytest.raises(UnauthenticatedError):
            authenticate(session, clock, keys[0])
        assert key_holder(session, authenticate(session, clock, keys[1])).role is Role.ADMIN
        told = [
            (seen_user(session, at, both).status, user_statistics(session, clock, at).by_status)
            for at in (people.here, people.there, None)
        ]
        suspended = [
            [one.user.id for one in users_page(session, at, status=UserStatus.SUSPENDED)]
            for at in (people.here, people.there, None)
        ]
    assert [one for one, _ in told] == [UserStatus.SUSPENDED, UserStatus.ACTIVE, UserStatus.ACTIVE]
    assert [counts["suspended"] for _, counts in told] == [1, 0, 0]
    assert suspended == [[both], [], []]

    root = people.editor(Role.SUPER_ADMIN, people.root)
    status(people.boss, "active")
    status(root, "suspended")
    with pytest.raises(ForbiddenError, match="super admin"):
        status(there, "active")
    with read(sessions) as session:
        assert seen_user(session, people.there, both).status is UserStatus.SUSPENDED


def test_an_admin_who_is_suspended_there_is_none_to_rely_on(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    with write(sessions) as session:
        grant_role(session, clock, user_id=people.both, client_id=people.here, role=Role.ADMIN)
        boss = people.editor(Role.ADMIN, people.both)
        update_user(session, clock, editor=people.boss, user_id=people.both, status="suspended")
    with write(sessions) as session, pytest.raises(ConflictError, match="last admin"):
        update_user(session, clock, editor=boss, user_id=people.admin, role="user")


def test_deleting_ends_account_keys_and_roles_and_frees_the_email(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    with write(sessions) as session:
        _, secret = issue_key(
            session, clock, client_id=people.here, name="k", user_id=people.manager
        )
        assert delete_user(session, clock, editor=people.boss, user_id=people.manager)

    with write(sessions) as session:
        with pytest.raises(NotFoundError):
            user(session, people.manager)
        with pytest.raises(UnauthenticatedError):
            authenticate(session, clock, secret)
        again = create_user(session, clock, email="max@example.com", client_id=people.here)
        assert again.id != people.manager
    with write(sessions) as session, pytest.raises(ConflictError, match="your own"):
        delete_user(session, clock, editor=people.boss, user_id=people.admin)


def test_who_is_deleted_comes_back_by_no_older_invitation(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    with write(sessions) as session:
        inviter = Inviter(people.here, "key:1", Role.ADMIN, allowed(Role.ADMIN), mails=True)
        made, _ = invite(session, clock, inviter, email="nia@example.com", role=Role.ADMIN)
        nia = create_user(session, clock, email="nia@example.com", client_id=people.here)
        delete_user(session, clock, editor=people.boss, user_id=nia.id)

        session.expire_all()
        assert made.status_at(clock.now()) == "revoked"


def test_deleting_who_works_elsewhere_ends_only_the_role_here(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    with write(sessions) as session:
        _, here = issue_key(session, clock, client_id=people.here, name="k", user_id=people.both)
        _, there = issue_key(session, clock, client_id=people.there, name="k", user_id=people.both)
        assert not delete_user(session, clock, editor=people.boss, user_id=people.both)

    with write(sessions) as session:
        assert role_at(session, user_id=people.both, client_id=people.here) is None
        assert role_at(session, user_id=people.both, client_id=people.there) is Role.ADMIN
        authenticate(session, clock, there)
        with pytest.raises(UnauthenticatedError):
            authenticate(session, clock, here)
        with pytest.raises(NotFoundError):
            delete_user(session, clock, editor=people.boss, user_id=people.stranger)


def test_many_are_changed_each_with_its_result_or_none_at_all(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    ids = [people.manager, people.both, people.admin]

    def change(all_or_nothing: bool) -> list[str]:
        with write(sessions) as session:
            results = bulk_update_users(
                session, clock, editor=people.boss, user_ids=ids,
                changes={"status": "suspended"}, all_or_nothing=all_or_nothing,
            )  # fmt: skip
            return [one.status for one in results]

    def stopped() -> list[bool]:
        with read(sessions) as session:
            found = seen_users(session, people.here, ids)
        return [found[one].status is UserStatus.SUSPENDED for one in ids]

    assert change(True) == ["not_done", "not_done", "failed"]
    assert stopped() == [False, False, False]
    assert change(False) == ["changed", "changed", "failed"]
    assert change(False) == ["unchanged", "unchanged", "failed"]
    assert stopped() == [True, True, False]


@only_postgresql
def test_many_at_several_clients_are_changed_by_two_at_once(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    root = people.editor(Role.SUPER_ADMIN, people.root)
    with write(sessions) as session:
        a, b, between = (create_client(session, clock, name=name).id for name in ("A", "B", "M"))

        def admin(number: int, client_id: int) -> int:
            made = create_user(
                session, clock, email=f"a{number}@example.com", role=Role.ADMIN,
                client_id=client_id, status=UserStatus.ACTIVE,
            )  # fmt: skip
            return made.id

        order = [a, between, b, b, between, a, a, between, b]  # the last three stay
        ids = [admin(number, client_id) for number, client_id in enumerate(order)]

    def stop(user_ids: list[int]) -> set[str]:
        with write(sessions) as session:
            told = bulk_update_users(
                session, clock, editor=root, user_ids=user_ids, changes={"status": "suspended"}
            )
            return {one.status for one in told}

    with ThreadPoolExecutor(2) as pool:
        with write(sessions) as session:
            hold(session, between)  # each has a client that the other wants, and comes to this one
            stops = [pool.submit(stop, some) for some in (ids[:3], ids[3:6])]
            until_waiting(session, *stops)
        assert [one.result() for one in stops] == [{"changed"}] * 2


def test_many_with_a_foreign_one_are_refused_as_a_whole(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    for ids, changes, error in (
        ([people.manager, people.stranger], {"role": "user"}, NotFoundError),
        ([people.manager] * 201, {"role": "user"}, InvalidError),
        ([], {"role": "user"}, InvalidError),
        ([people.manager], {}, InvalidError),
        ([people.manager], {"id": 9}, InvalidError),
    ):
        with write(sessions) as session, pytest.raises(error):
            bulk_update_users(session, clock, editor=people.boss, user_ids=ids, changes=changes)
    with read(sessions) as session:
        assert role_at(session, user_id=people.manager, client_id=people.here) is Role.MANAGER


def test_a_user_is_added_with_what_the_adder_may(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    narrow = Editor(Role.ADMIN, people.here, actions=frozenset({"users:write"}))
    root = people.editor(Role.SUPER_ADMIN, people.root)
    with write(sessions) as session:
        for editor, role in (
            (people.boss, Role.SUPER_ADMIN),
            (people.editor(Role.MANAGER), Role.ADMIN),
            (narrow, Role.USER),
        ):
            with pytest.raises(ForbiddenError) as refused:
                add_user(session, clock, editor=editor, email="new@example.com", role=role)
            assert refused.value.field == "role"
        for profile in ({"status": "active"}, {"id": 7}, {"email_verified": True}):
            with pytest.raises(InvalidError):
                add_user(
                    session, clock, editor=root, email="new@example.com", role=Role.USER, **profile
                )
        with pytest.raises(ConflictError):
            add_user(session, clock, editor=people.boss, email="ZOE@example.com", role=Role.USER)
        made = add_user(
            session, clock, editor=people.boss, email=" New@Example.com", role=Role.MANAGER,
            first_name="Nia", phone="+12015550123",
        )  # fmt: skip
        assert (made.role, made.user.full_name) == (Role.MANAGER, "Nia")
        assert made.user.status is UserStatus.PENDING
        boss = add_user(session, clock, editor=root, email="r2@example.com", role=Role.SUPER_ADMIN)
        assert (boss.role, boss.roles) == (Role.SUPER_ADMIN, ())


def test_single_actions_are_added_by_who_may_do_them(
    sessions: Sessions, clock: ManualClock, people: People
) -> None:
    narrow = Editor(Role.ADMIN, people.here, actions=allowed(Role.USER) | {"users:write"})

    def give(editor: Editor, user_id: int, *actions: str) -> list[str]:
        with write(sessions) as session:
            return set_permissions(session, clock, editor=editor, user_id=user_id, actions=actions)

    for editor, user_id, action, error in (
        (narrow, people.manager, "audit:read", ForbiddenError),
        (people.editor(Role.MANAGER), people.admin, "members:read", ForbiddenError),
        (people.boss, people.admin, "audit:read", ForbiddenError),
        (people.boss, people.manager, "clients:read", InvalidError),
        (people.boss, people.stranger, "audit:read", NotFoundError),
    ):
        with pytest.raises(error):
            give(editor, user_id, action)
    assert give(people.boss, people.both, "audit:read") == []
    assert give(narrow, people.both, "members:read", "audit:read") == ["audit:read"]

    with read(sessions) as session:
        assert held_at(session, user_id=people.both, client_id=people.here) == (
            Role.MANAGER, ["members:read", "audit:read"],
        )  # fmt: skip
        assert held_at(session, user_id=people.both, client_id=people.there) == (Role.ADMIN, [])
