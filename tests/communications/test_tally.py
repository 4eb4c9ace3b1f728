"""Mirrors communications/tally.py."""

import json
from threading import Thread

from communications.tally import Tally


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_counts_by_account_and_outcome_and_its_report_is_json() -> None:
    tally = Tally(Time())

    tally.count(3, "accepted", 5)
    tally.count(3, "ambiguous")
    tally.count(4, "rejected", 2)
    tally.found_lost(3)

    assert json.loads(json.dumps(tally.report())) == {
        "sends": {"3": {"accepted": 5, "ambiguous": 1}, "4": {"rejected": 2}},
        "recent": {"3": [6, 1], "4": [2, 0]},
        "lost": 3,
    }


def test_recent_is_the_last_five_minutes_and_totals_stay() -> None:
    time = Time()
    tally = Tally(time)
    tally.count(3, "ambiguous", 4)
    time.now += 290
    tally.count(3, "accepted", 6)
    assert tally.report()["recent"] == {"3": [10, 4]}

    time.now += 10

    assert tally.report()["recent"] == {"3": [6, 0]}
    time.now += 300
    assert tally.report()["recent"] == {}
    assert tally.report()["sends"] == {"3": {"ambiguous": 4, "accepted": 6}}


def test_nothing_is_lost_between_threads() -> None:
    tally = Tally()
    threads = [
        Thread(target=lambda: [tally.count(1, "accepted") for _ in range(2000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert tally.report()["sends"] == {"1": {"accepted": 8000}}
