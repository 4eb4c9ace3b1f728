"""Chaos: `make chaos` plays everything at full size, `make test` a short selection."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATABASES
from tests.faults.zygote import Zygote, hatching

RESULTS = os.environ.get("ECHELONX_TEST_CHAOS")
"""The file that the long runs write their numbers to; unset, the runs are short."""
LONG = bool(RESULTS)


def note(scenario: str, **numbers: Any) -> None:
    """Write down what a long run came to."""
    if RESULTS:
        with Path(RESULTS).open("a") as file:
            file.write(json.dumps({"scenario": scenario} | numbers) + "\n")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what is marked `chaos` to `make chaos`."""
    if LONG:
        return
    long = [item for item in items if item.get_closest_marker("chaos")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Forks processes of the product."""
    with hatching() as found:
        yield found


@pytest.fixture(params=DATABASES)
def kind(request: pytest.FixtureRequest) -> str:
    """Each database in turn."""
    return str(request.param)
