"""Adapters as they answer on a machine that is never late."""

import math

import pytest

from channels import lanes


@pytest.fixture(autouse=True)
def no_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody be told that nothing is new: on a busy machine that is so at any time."""
    monkeypatch.setattr(lanes, "PULSE_SECONDS", math.inf)
