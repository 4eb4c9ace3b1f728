"""segment-analytics-python, with and without gzip; analytics-python, its predecessor."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from segment.analytics.client import Client

from tests.sdk.conftest import EXPECTED, FOLDER, HERE


@pytest.mark.parametrize("zipped", [False, True])
def test_the_python_library_needs_only_another_host(
    zipped: bool, host: str, write_key: str, became: Callable[[], dict[str, Any]]
) -> None:
    failures: list[Exception] = []

    def fail(error: Exception, items: object) -> None:
        del items
        failures.append(error)

    sdk = Client(write_key, host=host, gzip=zipped, on_error=fail, max_retries=2)
    sdk.track(anonymous_id="v-1", event="Viewed", properties={"sku": "A"})
    sdk.identify(
        "u-1", {"email": "ana@example.com", "name": "Ana Lee", "plan": "pro"}, anonymous_id="v-1"
    )
    sdk.track("u-1", "Order Completed", {"total": 12.5})
    sdk.page("u-1", "Docs", "Home")
    sdk.screen("u-1", "App", "Start")
    sdk.group("u-1", "acme", {"size": 3})
    sdk.alias("v-1", "u-1")
    sdk.shutdown()

    assert failures == []
    assert became() == EXPECTED


@pytest.mark.sdk
def test_the_old_python_library_does_too(
    host: str, write_key: str, became: Callable[[], dict[str, Any]]
) -> None:
    path = f"{FOLDER}/python"
    told = subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE / "tell.py"), host, write_key],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (told.returncode, told.stdout) == (0, ""), told.stderr
    assert became() == EXPECTED
