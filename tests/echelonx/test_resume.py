"""Mirrors echelonx/commands/resume.py."""

from pathlib import Path
from typing import Any

import pytest

from core.db import write
from core.settings import Settings
from echelonx import wiring
from echelonx.guard import Guard
from echelonx.logbook import FILE
from scheduling import instance
from tests.echelonx.conftest import Call


@pytest.fixture
def held(shop: dict[str, Any], tmp_path: Path) -> None:
    """An installation whose database is not where it was, as a worker finds it."""
    services = wiring.build(Settings(database_url=f"sqlite:///{tmp_path / 'echelonx.db'}"))
    Guard(services).start()
    with write(services.sessions) as session:
        row = instance.instance(session)
        assert row is not None
        row.home = "elsewhere"
    Guard(services).start()
    services.close()


def test_where_nothing_is_held_it_says_so(call: Call, shop: dict[str, Any]) -> None:
    done = call("resume", "--yes")

    assert (done.code, done.out.strip()) == (0, "nothing is held")


def test_it_shows_why_and_changes_nothing_until_told_to(call: Call, held: None) -> None:
    shown = call("resume")
    again = call("resume", "--json").json

    assert shown.code == 0
    assert "this database is a copy or was moved" in shown.out
    assert "echelonx resume --yes" in shown.err
    assert again["held"]
    assert again["messages now unknown"] == 0


def test_yes_sends_again_from_here(call: Call, held: None, tmp_path: Path) -> None:
    before = (tmp_path / FILE).read_text()

    assert not call("resume", "--yes", "--json").json["held"]

    assert call("resume", "--json").json == {"held": False}
    assert (tmp_path / FILE).read_text() != before
    services = wiring.build(Settings(database_url=f"sqlite:///{tmp_path / 'echelonx.db'}"))
    guard = Guard(services)
    guard.start()
    assert not guard.held()
    services.close()


def test_the_doctor_fails_and_names_the_command(call: Call, held: None) -> None:
    done = call("doctor", "--json")

    [finding] = [one for one in done.json["checks"] if one["name"] == "Sending"]
    assert (finding["state"], finding["remedy"]) == ("fail", "echelonx resume")
    assert done.code == 1
