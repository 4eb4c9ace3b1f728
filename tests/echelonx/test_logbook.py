"""Mirrors echelonx/logbook.py."""

from datetime import timedelta
from pathlib import Path

import pytest

from core.clock import ManualClock
from echelonx.logbook import Logbook, Note


@pytest.fixture
def logbook(tmp_path: Path) -> Logbook:
    return Logbook(tmp_path / "data")


def test_several_databases_share_it(logbook: Logbook, clock: ManualClock) -> None:
    one, two = Note(3, clock.now()), Note(8, clock.now() + timedelta(minutes=1))

    logbook.write("one", "here", one)
    logbook.write("two", "here", two)

    assert (logbook.read("one", "here"), logbook.read("two", "here")) == (one, two)
    assert logbook.read("three", "here") is None


def test_a_clone_is_known_by_where_it_is(logbook: Logbook, clock: ManualClock) -> None:
    original, clone = Note(3, clock.now()), Note(8, clock.now() + timedelta(minutes=1))

    logbook.write("one", "here", original)
    logbook.write("one", "there", clone)

    assert logbook.read("one", "here") == original
    assert logbook.read("one", "elsewhere") is None
    assert logbook.latest("one") == clone
    assert logbook.latest("on") is None


def test_an_epoch_never_falls(logbook: Logbook, clock: ManualClock) -> None:
    logbook.write("one", "here", Note(3, clock.now()))
    logbook.write("one", "here", Note(2, clock.now()))

    note = logbook.read("one", "here")
    assert note is not None
    assert note.epoch == 3


def test_what_cannot_be_read_or_written_ends_nothing(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").write_text("")
    nowhere = Logbook(tmp_path / "file")
    nowhere.write("one", "here", Note(1, clock.now()))
    torn = Logbook(tmp_path)
    torn.path.write_text("{")

    assert nowhere.read("one", "here") is None
    assert torn.read("one", "here") is None
    torn.write("one", "here", Note(1, clock.now()))
    assert torn.read("one", "here") == Note(1, clock.now())
