"""Mirrors echelonx/commands/simulator.py: a process of its own, as a shell starts it."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.echelonx.conftest import Call

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_the_background_it_serves_until_a_signal_and_leaves_nothing(
    number: signal.Signals, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "echelonx", "simulator", "--log", str(tmp_path / "log.jsonl")],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,  # what a shell gives to what it starts with &
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout is not None
            ports = json.loads(process.stdout.readline())
            # An end of input would have been seen by now: the answer comes from the same loop.
            for _ in range(3):
                with urlopen(f"http://127.0.0.1:{ports['http']}/_sim/state") as answer:
                    assert answer.status == 200
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            assert not children.exists() or children.read_text() == ""

            process.send_signal(number)

            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def test_help_and_nonsense_have_their_exit_codes(call: Call) -> None:
    helped, wrong = call("simulator", "--help"), call("simulator", "--nonsense")

    assert (helped.code, wrong.code) == (0, 2)
    assert helped.out.startswith("usage: echelonx simulator ")
    assert "Ctrl+C or SIGTERM" in " ".join(helped.out.split())
    assert "--log" in wrong.err
