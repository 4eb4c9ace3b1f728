"""Mirrors channels/lanes.py."""

import threading
from collections.abc import Iterator

import pytest

from channels import lanes
from channels.adapter import PULSE
from channels.lanes import Halt, Lanes, Result
from channels.outcome import Accepted, NotSent, Rejected

DONE = Accepted()


def echo(taken: Iterator[str]) -> Iterator[Result]:
    return ((unit, DONE) for unit in taken)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("units", [0, 1, 2, 500])
def test_every_unit_is_carried_once(count: int, units: int) -> None:
    pool = Lanes(count, "test")
    found = [ref for ref, _ in pool.run([str(n) for n in range(units)], echo)]
    pool.close()
    assert sorted(found) == sorted(str(n) for n in range(units))


def test_no_more_lanes_work_than_were_asked_for() -> None:
    pool, names = Lanes(3, "test"), set()

    def carry(taken: Iterator[int]) -> Iterator[Result]:
        for unit in taken:
            names.add(threading.current_thread().name)
            yield str(unit), DONE

    assert len(list(pool.run(range(300), carry))) == 300
    pool.close()
    assert len(names) <= 3


def test_an_outcome_is_told_while_others_are_still_on_the_wire() -> None:
    pool, told = Lanes(2, "test"), threading.Event()

    def carry(taken: Iterator[str]) -> Iterator[Result]:
        for unit in taken:
            if unit == "slow":
                assert told.wait(60)
            yield unit, DONE

    results = pool.run(["slow", "quick"], carry)
    first = next(results)
    told.set()
    assert [first, *results] == [("quick", DONE), ("slow", DONE)]
    pool.close()


def test_who_waits_for_an_outcome_is_told_that_nothing_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "PULSE_SECONDS", 0.0)
    pool, told = Lanes(2, "test"), threading.Event()

    def carry(taken: Iterator[str]) -> Iterator[Result]:
        for unit in taken:
            assert told.wait(60)
            yield unit, DONE

    results = pool.run(["a", "b"], carry)
    first = next(results)
    told.set()
    assert first == PULSE
    assert sorted(ref for ref, _ in results if ref) == ["a", "b"]
    pool.close()


def test_abandoning_the_results_stops_new_work() -> None:
    pool, begun, carried = Lanes(2, "test"), threading.Event(), []

    def carry(taken: Iterator[int]) -> Iterator[Result]:
        for unit in taken:
            carried.append(unit)
            yield str(unit), DONE
            assert begun.wait(60)

    results = pool.run(range(1000), carry)
    next(results)
    threading.Timer(0.5, begun.set).start()
    results.close()
    pool.close()
    assert len(carried) < 1000


@pytest.mark.parametrize("count", [1, 3])
def test_a_bug_in_a_lane_is_raised(count: int) -> None:
    pool = Lanes(count, "test")

    def carry(taken: Iterator[int]) -> Iterator[Result]:
        for unit in taken:
            if unit == 5:
                raise ZeroDivisionError
            yield str(unit), DONE

    with pytest.raises(ZeroDivisionError):
        list(pool.run(range(10), carry))
    pool.close()


def test_what_one_answer_says_of_the_account_holds_for_the_rest() -> None:
    for spoken in (NotSent("HTTP 429", 7.0), Rejected("401", "", account_fault=True)):
        halt = Halt(lambda: False)
        assert not halt()
        halt.note(Rejected("400", "bad number"))
        halt.note(NotSent("the connection was refused"))
        assert not halt()
        assert halt.note(spoken) is spoken
        assert halt()
    assert Halt(lambda: True)()
