"""Mirrors scheduling/instance.py, and occurrence.miss, which goes with a hold."""

from datetime import timedelta

from core.clock import ManualClock
from core.db import Sessions, read, write
from scheduling import instance
from scheduling.occurrence import OccurrenceState, miss, occurrences, plan


def test_a_first_start_makes_the_row_and_others_find_it(
    sessions: Sessions, clock: ManualClock
) -> None:
    with read(sessions) as session:
        assert instance.instance(session) is None
        assert instance.name_of(session) is None

    with write(sessions) as session:
        made = instance.begin(session, clock, home="here").name
    with write(sessions) as session:
        found = instance.begin(session, clock, home="there")

    assert (found.name, found.home, found.epoch) == (made, "here", 0)


def test_the_epoch_rises_until_it_is_held_and_leaps_when_that_ends(
    sessions: Sessions, clock: ManualClock
) -> None:
    with write(sessions) as session:
        instance.begin(session, clock, home="here")
        assert (instance.rise(session, clock), instance.rise(session, clock)) == (1, 2)
        instance.note_epoch(session, 50)
        assert instance.lift(session, clock, home="here") is None

        assert instance.hold(session, clock, reason="restored")
        assert not instance.hold(session, clock, reason="again")
        assert instance.rise(session, clock) is None
        instance.note_epoch(session, 50)
        instance.note_epoch(session, 40)

        assert instance.lift(session, clock, home="there") == 50 + instance.LEAP
        found = instance.instance(session)
        assert found is not None
        assert (found.home, found.held_at, found.held_reason) == ("there", None, None)


def test_what_was_due_is_missed_and_the_rest_stays_planned(
    sessions: Sessions, clock: ManualClock
) -> None:
    with write(sessions) as session:
        for key, minutes in (("campaign:1", -5), ("campaign:2", 5)):
            at = clock.now() + timedelta(minutes=minutes)
            plan(session, clock, schedule_key=key, occurrence_key="x", due_at=at)
        before = clock.now() - timedelta(hours=1)

        assert miss(session, until=clock.now(), born=before) == []
        assert miss(session, until=clock.now()) == ["campaign:1"]

        assert occurrences(session, "campaign:1")[0].state is OccurrenceState.MISSED
        assert occurrences(session, "campaign:2")[0].state is OccurrenceState.PLANNED
