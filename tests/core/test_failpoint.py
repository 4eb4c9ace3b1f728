"""Failpoints: armed by text, struck by a real signal in a real process."""

import os
import signal

import pytest

from core.failpoint import FailpointError, arm, reach
from core.settings import Settings, SettingsError


def fate(plan: str, visits: int, point: str = "C6") -> int:
    """Fork, pass the point so often, and return the signal that ended the child; 0 for none."""
    child = os.fork()
    if child == 0:
        arm(plan)
        for _ in range(visits):
            reach(point)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("plan", "visits", "ends"),
    [("", 9, 0), ("C6:kill@3", 2, 0), ("C6:kill@3", 3, -signal.SIGKILL), ("C7:kill@1", 9, 0),
     ("C7:kill@1, C6:kill%1", 1, -signal.SIGKILL), ("C6:kill%.000", 99, 0)],
)  # fmt: skip
def test_a_process_ends_where_it_was_told_to(plan: str, visits: int, ends: int) -> None:
    assert fate(plan, visits) == ends


@pytest.mark.parametrize("plan", ["C99:kill@1", "C6", "C6:explode@1", "C6:kill", "C6:kill@0.5"])
def test_a_failpoint_that_is_not_there_is_refused(plan: str) -> None:
    with pytest.raises(FailpointError):
        arm(plan)
    arm("")


def test_production_refuses_failpoints() -> None:
    key = {"ECHELONX_MODE": "production", "ECHELONX_SECRET_KEY": "k" * 40}
    with pytest.raises(SettingsError):
        Settings.from_environment(key | {"ECHELONX_FAILPOINTS": "C6:kill@1"})
