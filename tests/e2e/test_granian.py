"""The application as scale-out serves it, by the command of docs/howto/scale.md."""

import os
import re
import shlex
import signal
import subprocess
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.e2e.processes import clean_environment, free_port, until
from tests.echelonx.test_server import ENDS_TWICE, exchanged

pytestmark = pytest.mark.e2e
PAGE = Path(__file__).parents[2] / "docs/howto/scale.md"
INNER = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"


def test_b096_no_request_hides_in_another(tmp_path: Path) -> None:
    """Granian, too, believes chunks before a length; it then ends the connection (RFC 9112 6.1)."""
    shown = re.search(r"^(granian .*\\\n.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert shown is not None
    port = free_port()
    command = shlex.split(shown[1].replace("\\\n", " ").replace("8080", str(port)))
    told = {"ECHELONX_DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}"}
    told |= {"ECHELONX_DATA_DIR": str(tmp_path), "ECHELONX_PORT": str(port)}
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        env=clean_environment(told),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    try:
        until(lambda: status(port) == 200, "granian")
        for name, request in ENDS_TWICE.items():
            if not name.startswith("64 kB"):  # which is a request like others to it
                answers = exchanged(port, request + INNER)
                assert len(re.findall(rb"HTTP/1\.[01] \d+", answers)) <= 1, name
                assert b'"ok"' not in answers, name
    finally:  # asked kindly, it waits for workers that still start
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def status(port: int) -> int | None:
    """What the probe says."""
    line = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        line.request("GET", "/health/live")
        return line.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        line.close()
