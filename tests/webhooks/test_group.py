"""Mirrors webhooks/group.py."""

from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from webhooks.group import MAX_GROUP, GroupCommit, LeaderLostError


class Store:
    """Commits numbers, and holds the first group back until it is let go."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.busy, self.go = Event(), Event()
        self.broken: dict[int, Exception] = {}

    def commit(self, items: Sequence[int]) -> list[int]:
        self.groups.append(list(items))
        if len(self.groups) == 1:
            self.busy.set()
            assert self.go.wait(60)
        for item in items:
            if item in self.broken:
                raise self.broken[item]
        return [item * 10 for item in items]


class Counted(GroupCommit[int, int]):
    """Says when so many are waiting."""

    def __init__(self, commit: Callable[[Sequence[int]], Sequence[int]], wanted: int) -> None:
        super().__init__(commit)
        self.all_here = Event()
        self._waiting = Line(wanted, self.all_here)


class Line(list[Any]):
    """A list that tells when it is long enough."""

    def __init__(self, wanted: int, full: Event) -> None:
        super().__init__()
        self._wanted, self._full = wanted, full

    def append(self, item: object) -> None:
        super().append(item)
        if len(self) >= self._wanted:
            self._full.set()


class Crowd:
    """Threads that each put a number, the first alone and the others while it is at work."""

    def __init__(self, store: Store, count: int) -> None:
        self.told: dict[int, object] = {}
        self._store = store
        self._group = Counted(store.commit, count - 1)
        self._threads = [Thread(target=self._put, args=(n,)) for n in range(count)]

    def run(self) -> None:
        self._threads[0].start()
        assert self._store.busy.wait(60)
        for thread in self._threads[1:]:
            thread.start()
        assert self._group.all_here.wait(60)
        self._store.go.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _put(self, number: int) -> None:
        try:
            self.told[number] = self._group.put(number)
        except (OperationalError, IntegrityError, MemoryError, LeaderLostError) as error:
            self.told[number] = error


def test_alone_one_commits_alone() -> None:
    group = GroupCommit(lambda items: [item + 1 for item in items])

    assert [group.put(1), group.put(2)] == [2, 3]


def test_who_comes_while_one_commits_is_committed_together() -> None:
    store = Store()
    crowd = Crowd(store, 9)

    crowd.run()

    assert store.groups[0] == [0]
    assert sorted(store.groups[1]) == list(range(1, 9))
    assert crowd.told == {n: n * 10 for n in range(9)}


def test_a_group_has_a_size() -> None:
    store = Store()
    crowd = Crowd(store, MAX_GROUP + 9)

    crowd.run()

    assert [len(group) for group in store.groups] == [1, MAX_GROUP, 8]
    assert crowd.told == {n: n * 10 for n in range(MAX_GROUP + 9)}


def test_a_database_that_is_away_is_everybodys_error() -> None:
    store = Store()
    store.broken[3] = OperationalError("COMMIT", {}, Exception("away"))
    crowd = Crowd(store, 6)

    crowd.run()

    assert crowd.told[0] == 0
    assert [type(crowd.told[n]) for n in range(1, 6)] == [OperationalError] * 5
    assert len(store.groups) == 2, "nobody tried alone"


def test_a_row_that_cannot_be_kept_is_its_own_error() -> None:
    store = Store()
    store.broken[3] = IntegrityError("INSERT", {}, Exception("no such client"))
    crowd = Crowd(store, 6)

    crowd.run()

    assert type(crowd.told.pop(3)) is IntegrityError
    assert crowd.told == {n: n * 10 for n in (0, 1, 2, 4, 5)}


def test_whoever_waits_is_woken_when_the_leader_breaks_down() -> None:
    store = Store()
    store.broken[0] = MemoryError()
    crowd = Crowd(store, 4)

    crowd.run()

    assert type(crowd.told.pop(0)) is MemoryError
    assert crowd.told == {n: n * 10 for n in (1, 2, 3)}


def test_nobody_is_told_yes_by_a_leader_who_broke_down() -> None:
    store = Store()
    store.broken[2] = MemoryError()
    crowd = Crowd(store, 4)

    crowd.run()

    assert crowd.told.pop(0) == 0
    kinds = sorted(type(told).__name__ for told in crowd.told.values())
    assert kinds == ["LeaderLostError", "LeaderLostError", "MemoryError"]


@pytest.mark.parametrize("times", [1, 50])
def test_it_goes_on_after_an_error(times: int) -> None:
    away = OperationalError("COMMIT", {}, Exception("away"))
    answers: list[Exception | None] = [away] * times + [None]

    def commit(items: Sequence[int]) -> Sequence[int]:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return items

    group = GroupCommit(commit)
    for _ in range(times):
        with pytest.raises(OperationalError):
            group.put(1)

    assert group.put(7) == 7
