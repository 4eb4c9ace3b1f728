"""@segment/analytics-node, which `make sdk` installs from npm."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.sdk.conftest import EXPECTED, FOLDER, HERE


@pytest.mark.sdk
def test_the_node_library_needs_only_another_host(
    host: str, write_key: str, became: Callable[[], dict[str, Any]]
) -> None:
    told = subprocess.run(
        ["node", str(HERE / "tell.mjs"), str(FOLDER), host, write_key],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (told.returncode, told.stdout) == (0, ""), told.stderr
    assert became() == EXPECTED
