"""Engines: what does the work in a demo, one process or several."""

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Protocol

from communications.reaper import reap
from core.db import read, write
from core.errors import UnavailableError
from echelonx.demo.workspace import Workspace, child_environment
from echelonx.factory import create_app
from echelonx.process import SendingRight, is_gone, process_name
from echelonx.runner import Role, Runner
from echelonx.server import WebServer
from echelonx.wiring import Services
from scheduling.worker import alive

ROLES = (("web", 1), ("worker", 2), ("scheduler", 1))
START_SECONDS = 30.0
STOP_SECONDS = 40.0


class Engine(Protocol):
    """Web, workers and scheduler of a demo."""

    def start(self) -> None:
        """Start; return when the web server answers."""
        ...

    def stop(self) -> None:
        """Finish what is in hand and end."""
        ...


class Embedded:
    """Everything in this process."""

    def __init__(self, services: Services, workspace: Workspace) -> None:
        """Take the right to send. Raises AlreadySendingError: the demo is running elsewhere."""
        settings = services.settings
        self._services = services
        self._workspace = workspace
        self._right = SendingRight(settings.database_url, process_name())
        self._runner = Runner(services, set(Role), exclusive=self._right.exclusive)
        self._server = WebServer(
            create_app(services), host=settings.host, port=settings.port, threads=settings.threads
        )

    def start(self) -> None:
        """Recover what an earlier demo left, then start the threads."""
        before = self._workspace.state.get("process")
        if before is not None and is_gone(before):
            with write(self._services.sessions) as session:
                reap(session, self._services.clock, owners=[before])
        self._workspace.keep(process=self._runner.name)
        self._server.start()
        self._runner.start()

    def stop(self) -> None:
        """Stop listening, finish what is in hand."""
        self._server.stop()
        self._runner.stop()
        self._right.release()


class Distributed:
    """A web server, two workers and a scheduler as processes of their own."""

    def __init__(self, services: Services, workspace: Workspace) -> None:
        self._services = services
        self._workspace = workspace
        self._processes: list[subprocess.Popen[bytes]] = []
        self._files = ExitStack()

    def start(self) -> None:
        """Start them and wait for each one's first heartbeat. Raises UnavailableError."""
        for role, count in ROLES:
            for number in range(count):
                path = self._workspace.directory / f"{role}-{number + 1}.log"
                output = self._files.enter_context(path.open("ab"))
                self._processes.append(self._spawn(role, output))
        deadline = time.monotonic() + START_SECONDS
        while not self._up():
            self._check(deadline)
            time.sleep(0.1)

    def stop(self) -> None:
        """Ask them all to end, and wait."""
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in self._processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._files.close()

    def _spawn(self, role: str, output: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "echelonx", role, "--until-stdin-closes"]
        return subprocess.Popen(  # noqa: S603  (our own module)
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=child_environment(self._services.settings),
        )

    def _up(self) -> bool:
        mine = {str(process.pid) for process in self._processes}
        with read(self._services.sessions) as session:
            found = {worker.name.split(":")[1] for worker in alive(session, self._services.clock)}
        return mine <= found and self._answers()

    def _answers(self) -> bool:
        url = f"{self._services.settings.public_url}/health/ready"
        return self._services.egress.request("GET", url).status == 200

    def _check(self, deadline: float) -> None:
        ended = [process for process in self._processes if process.poll() is not None]
        if ended or time.monotonic() > deadline:
            directory: Path = self._workspace.directory
            raise UnavailableError(
                "the processes did not come up", remedy=f"read {directory}/*.log for the reason"
            )
