"""Mirrors accounts/client_queries.py."""

from datetime import timedelta

import pytest

from accounts.audit import record
from accounts.client import ClientStatus, SubscriptionTier, create_client, delete_client
from accounts.client_queries import (
    client_activity,
    client_statistics,
    clients_of,
    clients_page,
    expiring_contracts,
    require_seen,
    search_clients,
    seen_client,
)
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.errors import InvalidError, NotFoundError
from tests.accounts.people import make_people


@pytest.fixture
def shops(sessions: Sessions, clock: ManualClock, client_id: int) -> list[int]:
    """Elevate, and four more: the last is deleted."""
    made = [client_id]
    now = clock.now()
    with write(sessions) as session:
        for name, fields in (
            ("Bakery", {"industry": "food", "email": "hi@bakery.example",
                        "contract_end": now + timedelta(days=10)}),
            ("Tea Bakery", {"status": "trial", "contract_end": now - timedelta(days=2)}),
            ("Garage", {"subscription_tier": "premium", "contract_end": now + timedelta(days=60)}),
            ("Gone", {"contract_end": now}),
        ):  # fmt: skip
            tier = fields.pop("subscription_tier", "basic")
            one = create_client(session, clock, name=name, **fields)  # type: ignore[arg-type]
            one.subscription_tier = SubscriptionTier(tier)
            made.append(one.id)
        delete_client(session, clock, client_id=made[-1])
    return made


def test_clients_are_listed_filtered_and_paged(sessions: Sessions, shops: list[int]) -> None:
    elevate, bakery, tea, garage, _ = shops
    with read(sessions) as session:

        def ids(among: list[int] | None = None, **given: object) -> list[int]:
            return [one.id for one in clients_page(session, among, **given)]  # type: ignore[arg-type]

        assert ids() == [elevate, bakery, tea, garage]
        assert ids([tea, garage]) == [tea, garage]
        assert ids([]) == []
        assert ids(status=ClientStatus.TRIAL) == [tea]
        assert ids(tier=SubscriptionTier.PREMIUM) == [garage]
        assert ids(industry="food") == [bakery]
        assert ids(words="BAK tea") == [tea]
        assert ids(after=bakery, limit=1) == [tea]
        assert [one.id for one in search_clients(session, None, "bakery")] == [bakery, tea]
        assert [one.id for one in search_clients(session, [tea], "bakery")] == [tea]
        assert search_clients(session, None, " ") == []
        assert seen_client(session, None, bakery).name == "Bakery"
        require_seen(session, [tea, garage], [garage])
        for allowed, wanted in (([tea], bakery), (None, shops[-1]), (None, 999)):
            with pytest.raises(NotFoundError):
                seen_client(session, allowed, wanted)
            with pytest.raises(NotFoundError):
                require_seen(session, allowed, [wanted])


def test_contracts_that_end_are_told_the_earliest_first(
    sessions: Sessions, clock: ManualClock, shops: list[int]
) -> None:
    _, bakery, tea, garage, _ = shops
    with read(sessions) as session:
        found = expiring_contracts(session, clock, None)
        assert [(one.client.id, one.days_left, one.overdue) for one in found] == [
            (tea, -2, True), (bakery, 10, False),
        ]  # fmt: skip
        edge = (found[0].client.contract_end, tea)
        assert edge[0] is not None
        later = expiring_contracts(session, clock, None, days=90, after=(edge[0], tea))
        assert [one.client.id for one in later] == [bakery, garage]
        assert expiring_contracts(session, clock, [garage]) == []
        with pytest.raises(InvalidError):
            expiring_contracts(session, clock, None, days=-1)


def test_clients_are_counted(sessions: Sessions, clock: ManualClock, shops: list[int]) -> None:
    with read(sessions) as session:
        every = client_statistics(session, clock, None)
        some = client_statistics(session, clock, shops[2:])
    assert (every.total, some.total) == (4, 2)
    assert every.by_status == {"active": 3, "inactive": 0, "suspended": 0, "trial": 1}
    assert every.by_tier == {"basic": 3, "premium": 1, "enterprise": 0, "custom": 0}
    assert (every.contracts_expiring, every.contracts_overdue, every.created_lately) == (1, 1, 4)


def test_what_a_user_may_see_and_what_was_done_at_a_client(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    people = make_people(sessions, clock, client_id)
    with write(sessions) as session:
        for where, target in ((client_id, "a:1"), (people.there, "a:2"), (client_id, "a:3")):
            record(session, clock, client_id=where, actor="cli", action="x.y", target=target)
    with read(sessions) as session:
        assert clients_of(session, people.both) == [people.here, people.there]
        assert clients_of(session, people.root) == []
        seen = client_activity(session, client_id, before=None)
        assert [one.target for one in seen] == ["a:3", "a:1"]
        older = client_activity(session, client_id, before=seen[0].id)
        assert [one.target for one in older] == ["a:1"]
