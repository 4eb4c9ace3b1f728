"""Real processes for end-to-end tests: started, watched, and always ended."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

PATIENCE = 300.0
"""Seconds until a test gives up; none waits that long when all is well."""
STOP_SECONDS = 120.0
"""Until a process that was asked to end is killed."""


PORTS = iter(range(20_000, 32_000))
"""Below those that systems hand out by themselves."""


def free_port() -> int:
    """A port nobody listens on, and no other test process is given while this one lives."""
    for port in PORTS:
        mark = socket.socket(type=socket.SOCK_DGRAM)  # UDP: the port is free for what is tested
        with mark, socket.socket() as probe, contextlib.suppress(OSError):
            mark.bind(("127.0.0.1", port))
            probe.bind(("127.0.0.1", port))
            mark.detach()
            return port
    raise AssertionError("no port is free")


def clean_environment(given: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with our settings only."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ECHELONX_")}
    return {**kept, **given}


def echelonx(
    *arguments: str, environment: Mapping[str, str] | None = None, output: Path | None = None
) -> subprocess.Popen[str]:
    """Start `echelonx`; what it says goes to `output`, or is kept to read."""
    with ExitStack() as stack:
        file = stack.enter_context(output.open("w")) if output is not None else None
        return subprocess.Popen(
            [sys.executable, "-m", "echelonx", *arguments],
            env=clean_environment(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=file or subprocess.PIPE,
            stderr=subprocess.STDOUT if file else subprocess.PIPE,
            text=True,
        )


@contextmanager
def running(*processes: subprocess.Popen[str]) -> Iterator[None]:
    """End every process at the end, kindly and then not."""
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(so: Callable[[], bool], what: str) -> None:
    """Wait until it is so."""
    give_up = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < give_up, f"{what} did not happen in {PATIENCE:.0f} s"
        time.sleep(0.05)


def accepts(log: Path) -> Counter[tuple[str, str]]:
    """How often each provider took a message to each address."""
    if not log.exists():
        return Counter()
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return Counter((line["provider"], line["to"]) for line in lines if "provider" in line)
