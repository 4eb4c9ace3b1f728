"""What tests make processes do with time, each a patch for a Fleet."""

import os
from pathlib import Path
from typing import Any

from echelonx import runner, scheduler

FIRED = "fired.txt"
HEART_SECONDS = 0.5


def hurried() -> None:
    """Let the heart beat as often as the stage's workers look."""
    runner.BEAT_SECONDS = HEART_SECONDS  # type: ignore[assignment]


def counted() -> None:
    """Write down how many occurrences each tick fired: a unique key would hide a second firing."""
    tick = scheduler.tick

    def counting(*arguments: Any) -> int:
        fired = tick(*arguments)
        if fired:
            with (Path(os.environ["ECHELONX_DATA_DIR"]) / FIRED).open("a") as file:
                file.write(f"{fired}\n")
        return fired

    scheduler.tick = counting


def fired(data: Path) -> int:
    """How many fired in all processes that count."""
    path = data / FIRED
    return sum(map(int, path.read_text().split())) if path.exists() else 0
