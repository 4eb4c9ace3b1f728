"""Mirrors echelonx/commands/demo.py: what it says of what it serves. tests/e2e plays it whole."""

from collections.abc import Callable
from typing import Any

import pytest

from echelonx.commands import demo as command
from echelonx.demo.demo import Demo, Outcome
from echelonx.demo.figures import Figures
from echelonx.demo.screen import Screen, standard
from tests.echelonx.conftest import Call


class Stopped:
    """Somebody presses Ctrl+C as soon as it serves."""

    def wait(self, seconds: float) -> bool:
        del seconds
        return True


def play(demo: Demo, pause: Callable[[float], bool]) -> tuple[Outcome, dict[str, Any]]:
    """A demo whose messages have all landed."""
    del pause
    demo.key = "ex_1"
    return Outcome(Figures({}, expanded=True, done=True, waiting=0), 0), {
        "channels": {},
        "seconds": 1.0,
    }


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Demo, "play", play)
    monkeypatch.setattr(command, "Stop", Stopped)


@pytest.fixture
def lively(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal."""

    def made(*, as_json: bool) -> Screen:
        screen = standard(as_json=as_json)
        screen.lively = True
        return screen

    monkeypatch.setattr(command, "standard", made)


@pytest.mark.usefixtures("lively")
def test_while_it_serves_it_says_where_and_afterwards_how(call: Call) -> None:
    told = call("demo", "--port", "0")

    assert told.code == 0
    served, _, ended = told.out.partition("Serving. Ctrl+C stops.")
    assert "Open  http://127.0.0.1:" in served
    assert "No longer serving. . echelonx-demo/env; echelonx run does again." in ended


@pytest.mark.usefixtures("lively")
def test_it_opens_nothing_that_is_not_served(call: Call) -> None:
    told = call("demo", "--port", "0", "--no-serve")

    assert told.code == 0
    assert "Open " not in told.out
    assert "Serving" not in told.out
    assert "Serve  . echelonx-demo/env; echelonx run" in told.out
