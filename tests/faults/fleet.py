"""A fleet of real processes; its supervisor starts anew whatever ended, as systemd would."""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.faults.zygote import Process, Zygote

PATIENCE = 300.0
LOOK_SECONDS = 0.05
STOP_SECONDS = 120.0


@dataclass(slots=True)
class Fleet:
    """So many processes of one role; ended at the end of the block, kindly and then not."""

    zygote: Zygote
    environment: Mapping[str, str]
    folder: Path
    count: int = 4
    role: str = "worker"
    patch: str = ""
    """What every process is made to call before it starts, as `module:function`."""
    failpoints: Callable[[int], str] = lambda _: ""
    """What the number-th process is told to fail at."""
    revive: bool = True
    started: int = 0
    ended: list[int] = field(default_factory=list)
    """Exit codes of processes that ended by themselves or were struck."""
    processes: list[Process] = field(default_factory=list)

    def __enter__(self) -> Self:
        for _ in range(self.count):
            self.processes.append(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def tend(self) -> None:
        """Start anew what has ended."""
        for place, process in enumerate(self.processes):
            code = process.poll()
            if code is not None:
                self.ended.append(code)
                if self.revive:
                    self.processes[place] = self._start()

    def strike(self, number: signal.Signals, dice: random.Random) -> Process:
        """Send a signal to a random process that runs; return it."""
        self.until(lambda: any(one.poll() is None for one in self.processes), "a living process")
        living = [process for process in self.processes if process.poll() is None]
        chosen = dice.choice(living)
        chosen.send_signal(number)
        return chosen

    def stop(self) -> list[int]:
        """Ask everybody to end; return the exit codes."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return [process.wait() for process in self.processes]

    def until(self, so: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
        """Tend until it is so."""
        give_up = time.monotonic() + patience
        while not so():
            assert time.monotonic() < give_up, f"{what} did not happen in {patience:.0f} s"
            self.tend()
            time.sleep(LOOK_SECONDS)

    def _start(self) -> Process:
        number = self.started
        self.started += 1
        given = {**self.environment, "ECHELONX_FAILPOINTS": self.failpoints(number)}
        output = self.folder / f"{self.role}-{number}.txt"
        return self.zygote.start([self.role], given, output, patch=self.patch)
