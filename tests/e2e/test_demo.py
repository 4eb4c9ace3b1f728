"""The demo as a user runs it: once, again, and after it was killed."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import PATIENCE, STOP_SECONDS, accepts, echelonx, free_port, until

pytestmark = pytest.mark.e2e
WARM_LEADS = 702
"""Members the demo's file says that of: tagged, and with an engagement score of 30 at least."""


def start(directory: Path, port: int, output: Path | None = None) -> subprocess.Popen[str]:
    """Start a demo. Its port must stay: it is in the callbacks of what was sent."""
    options = ("--no-serve", "--json", "--dir", str(directory), "--port", str(port))
    return echelonx("demo", *options, output=output)


def demo(directory: Path, port: int) -> dict[str, Any]:
    """Run the demo to its end and return its one JSON object."""
    process = start(directory, port)
    said, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    result: dict[str, Any] = json.loads(said)
    return result


def adds_up(result: dict[str, Any]) -> None:
    """Every message is accounted for."""
    rows = result["import"]
    assert rows["rows"] == 2418
    assert rows["rejected"] == 41
    for name, got in result["channels"].items():
        parts = got["sent"] + got["skipped"] + got["failed"] + got["unknown"]
        assert got["audience"] == parts == WARM_LEADS, name
        assert got["sent"] == got["delivered"] + got["bounced"] + got["pending"], name


def keeps_its_promises(directory: Path, **expected: int) -> None:
    """Every oracle of relcheck says yes; the simulators keep no receipt back."""
    told = directory / "expect.json"
    told.write_text(json.dumps({"complete": True} | expected))
    process = echelonx(
        "relcheck", "--provider-log", str(directory / "provider-log.jsonl"),
        "--expect", str(told), "--json",
        environment={
            "ECHELONX_DATABASE_URL": f"sqlite:///{directory / 'demo.db'}",
            "ECHELONX_DATA_DIR": str(directory),
        },
    )  # fmt: skip
    said, problem = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said or problem
    assert json.loads(said)["oracles"]["O6"]["checked"] > 1000


def test_the_numbers_add_up_and_a_second_run_sends_nothing(tmp_path) -> None:
    port = free_port()
    first = demo(tmp_path / "shop", port)
    log = tmp_path / "shop" / "provider-log.jsonl"
    sent = accepts(log)

    adds_up(first)
    assert first["import"]["created"] + first["import"]["updated"] == 2377
    assert first["webhooks"]["duplicates"] > 0
    assert first["journey"]["people"] == 200
    assert first["journey"]["sends"] > 1_000
    assert set(sent.values()) == {1}

    again = demo(tmp_path / "shop", port)

    assert accepts(log) == sent
    adds_up(again)
    assert again["channels"] == first["channels"]
    assert again["import"] == first["import"]
    keeps_its_promises(tmp_path / "shop", kills=0, ambiguous=0)


def test_a_demo_killed_while_sending_goes_on_and_sends_nobody_twice(tmp_path) -> None:
    directory = tmp_path / "shop"
    log = directory / "provider-log.jsonl"
    port = free_port()
    process = start(directory, port, tmp_path / "first.txt")
    until(lambda: accepts(log).total() > 30 or process.poll() is not None, "sending")
    assert process.poll() is None, (tmp_path / "first.txt").read_text()
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = accepts(log).total()

    result = demo(directory, port)

    adds_up(result)
    after = accepts(log)
    assert after.total() > before, "it was killed after everything had been sent"
    assert set(after.values()) == {1}, "somebody was sent the same message twice"
    taken = sum(got["sent"] + got["unknown"] for got in result["channels"].values())
    refused = sum(got["failed"] for got in result["channels"].values())
    assert taken <= after.total() + sum(got["unknown"] for got in result["channels"].values())
    assert after.total() <= taken + refused
    keeps_its_promises(directory, kills=1, window=1200)


def test_a_second_process_on_the_same_file_refuses_to_send_and_says_why(tmp_path) -> None:
    settings = {
        "ECHELONX_DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}",
        "ECHELONX_DATA_DIR": str(tmp_path),
    }
    migrated = echelonx("migrate", environment=settings)
    migrated.communicate(timeout=PATIENCE)
    assert migrated.returncode == 0
    ports = [free_port(), free_port()]
    outputs = [tmp_path / "one.txt", tmp_path / "two.txt"]

    def serve(number: int) -> subprocess.Popen[str]:
        more = {"ECHELONX_PORT": str(ports[number])}
        return echelonx("run", environment=settings | more, output=outputs[number])

    first = serve(0)
    try:
        until(lambda: answers(ports[0]), "the first web server")
        second = serve(1)
        try:
            until(lambda: answers(ports[1]) or second.poll() is not None, "the second")
            said = outputs[1].read_text()
            assert "send" in said, said
            assert second.poll() is None, "it should still serve the API"
        finally:
            second.terminate()
            second.wait(STOP_SECONDS)
    finally:
        first.terminate()
        assert first.wait(STOP_SECONDS) == 0


def answers(port: int) -> bool:
    """Whether a web server is up."""
    import http.client  # noqa: PLC0415  (used once)

    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        line.request("GET", "/health/ready")
        return line.getresponse().status == 200
    except OSError:
        return False
    finally:
        line.close()
