"""A zygote: it has imported the product and forks processes of it, so that a start costs nothing.

What it forks is the real command in a process of its own, to be killed like any other. It speaks
JSON lines: a request on standard input, `{"pid": …}` and later `{"pid": …, "code": …}` back.
"""

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.e2e.processes import clean_environment

LOOK_SECONDS = 0.02
ROOT = Path(__file__).parents[2]


class Process:
    """One forked process, much like subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises TimeoutExpired."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("forked", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has ended, and we are yet to be told
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self, code: int) -> None:
        self.returncode = code
        self._ended.set()


class Zygote:
    """The forking process as its user sees it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._born: list[int] = []
        self._processes: dict[int, Process] = {}
        self._codes: dict[int, int] = {}
        self._changed = threading.Condition()
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        output: Path,
        *,
        patch: str = "",
    ) -> Process:
        """Fork `echelonx <arguments>`; `patch` is a `module:function` to call there first."""
        request = {
            "arguments": list(arguments),
            "environment": clean_environment(environment),
            "output": str(output),
            "patch": patch,
        }
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            with self._changed:
                assert self._changed.wait_for(lambda: self._born, 300), "the zygote is silent"
                pid = self._born.pop()
                process = self._processes[pid] = Process(pid)
                if pid in self._codes:
                    process.end(self._codes.pop(pid))
                return process

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            with self._changed:
                if "code" not in told:
                    self._born.append(told["pid"])
                elif told["pid"] in self._processes:
                    self._processes.pop(told["pid"]).end(told["code"])
                else:
                    self._codes[told["pid"]] = told["code"]
                self._changed.notify_all()


@contextmanager
def hatching() -> Iterator[Zygote]:
    """A zygote; what it forked dies with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.zygote"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env=clean_environment({}),
    )  # fmt: skip
    try:
        yield Zygote(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(300)
        assert process.stdout is not None
        process.stdout.close()


def main() -> None:
    """Fork on request until standard input closes."""
    import echelonx.commands.serve  # noqa: PLC0415, F401  (before the first fork)

    living: set[int] = set()
    while True:
        ready, _, _ = select.select([sys.stdin], [], [], LOOK_SECONDS)
        if ready:
            line = sys.stdin.readline()
            if not line:
                break
            living.add(fork(json.loads(line)))
        for pid in list(living):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                living.discard(pid)
                tell({"pid": pid, "code": os.waitstatus_to_exitcode(status)})
    for pid in living:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def fork(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        tell({"pid": pid})
        return pid
    code = 1
    try:
        code = become(request)
    finally:
        os._exit(code)


def become(request: dict[str, Any]) -> int:
    """Be `echelonx` in this forked process."""
    from echelonx.cli import called  # noqa: PLC0415

    os.setsid()
    with open(request["output"], "wb", buffering=0) as output, open(os.devnull, "rb") as nothing:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        os.dup2(nothing.fileno(), 0)
    if request["patch"]:
        # Before the environment: what belongs to tests empties it when it is imported.
        module, _, function = request["patch"].partition(":")
        getattr(importlib.import_module(module), function)()
    os.environ.clear()
    os.environ.update(request["environment"])
    return called(request["arguments"])


def tell(document: dict[str, Any]) -> None:
    # One write, so that lines never mix; the children's output goes elsewhere.
    os.write(1, (json.dumps(document) + "\n").encode())
    time.sleep(0)


if __name__ == "__main__":
    main()
