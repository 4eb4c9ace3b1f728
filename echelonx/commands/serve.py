"""`run`, `web`, `worker`, `scheduler`: the processes that stay."""

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

import click

from accounts.client import clients
from core.db import read
from core.settings import Settings
from echelonx import schema
from echelonx.commands.output import note
from echelonx.commands.workspace import settings as from_environment
from echelonx.factory import create_app
from echelonx.health.outside import require_no_eviction
from echelonx.process import AlreadySendingError, SendingRight, process_name
from echelonx.runner import Role, Runner
from echelonx.server import WebServer
from echelonx.stopping import Stop
from echelonx.wiring import Services, build

HUNG = 3
"""Exit code of a process whose threads hang: whoever keeps it running starts it anew."""
WATCH_SECONDS = 5.0

EVERYTHING = frozenset(Role)

_host = click.option("--host", help="The address to listen on, instead of ECHELONX_HOST.")
_port = click.option("--port", type=click.IntRange(0, 65535), help="Instead of ECHELONX_PORT.")
_stdin = click.option("--until-stdin-closes", "until_stdin_closes", is_flag=True, hidden=True)


def _listening(command: Callable[..., Any]) -> Callable[..., Any]:
    return _host(_port(_stdin(command)))


@click.command()
@_listening
def run(host: str | None, port: int | None, until_stdin_closes: bool) -> int:
    """Web, scheduler and workers in one process.

    On SQLite one process sends. A second one serves the web only, and says why.

    \b
    echelonx run
    echelonx run --port 8080
    ECHELONX_DATABASE_URL=postgresql://… echelonx run
    """
    settings = addressed(from_environment(), host, port)
    stop = Stop(until_stdin_closes=until_stdin_closes)
    try:
        right = SendingRight(settings.database_url, process_name())
    except AlreadySendingError as error:
        note(f"not sending: {error}\n    -> {error.remedy}")
        return serve(settings, {Role.WEB}, stop)
    with right:
        return serve(settings, EVERYTHING, stop, exclusive=right.exclusive)


@click.command()
@_listening
def web(host: str | None, port: int | None, until_stdin_closes: bool) -> int:
    """The web server alone: API, webhooks, links of messages.

    \b
    echelonx web
    echelonx web --host 0.0.0.0 --port 8080
    granian --interface wsgi --factory echelonx.factory:from_environment
    """
    settings = addressed(from_environment(), host, port)
    return serve(settings, {Role.WEB}, Stop(until_stdin_closes=until_stdin_closes))


@click.command()
@_stdin
def worker(until_stdin_closes: bool) -> int:
    """A worker: fans out, sends, applies webhooks. Start as many as you like.

    With ECHELONX_BROKER_URL it hears rings at once; without, it looks every few seconds.
    SIGTERM finishes the messages in hand and exits with 0.

    \b
    echelonx worker
    ECHELONX_BROKER_URL=redis://127.0.0.1/0 echelonx worker
    """
    settings = from_environment()
    stop = Stop(until_stdin_closes=until_stdin_closes)
    with SendingRight(settings.database_url, process_name()) as right:
        return serve(settings, {Role.WORKER}, stop, exclusive=right.exclusive)


@click.command()
@_stdin
def scheduler(until_stdin_closes: bool) -> int:
    """The scheduler alone: starts campaigns when their time has come.

    Several may run; each occurrence fires once.

    \b
    echelonx scheduler
    """
    stop = Stop(until_stdin_closes=until_stdin_closes)
    return serve(from_environment(), {Role.SCHEDULER}, stop)


def addressed(settings: Settings, host: str | None, port: int | None) -> Settings:
    """Return the settings with the address of the command line; links follow the default one."""
    default_url = Settings().public_url
    changed = dataclasses.replace(
        settings,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
    )
    if settings.public_url == default_url and changed.port:
        changed = dataclasses.replace(changed, public_url=f"http://127.0.0.1:{changed.port}")
    return changed


def serve(
    settings: Settings, roles: Collection[Role], stop: Stop, *, exclusive: bool = False
) -> int:
    """Run until asked to stop; return the exit code."""
    if set(roles) != {Role.WEB}:
        require_no_eviction(settings)
    services = build(settings)
    prepare(services, roles)
    server = listening(services) if Role.WEB in roles else None
    runner = Runner(services, roles, exclusive=exclusive)
    runner.start()
    if server is not None:
        server.start()
        note(f"listening on http://{settings.host}:{server.port}, Ctrl+C stops")
        begin(services)
    note(f"{runner.name} is up: {', '.join(sorted(roles))}")
    hung = watch(runner, stop)
    if server is not None:
        server.stop()
    ended = runner.stop()
    services.close()
    if hung or not ended:
        note("some threads hang; messages in their hands are recovered by their lease")
        return HUNG
    return 0


def begin(services: Services) -> None:
    """Say what comes first where nobody can sign in yet."""
    with read(services.sessions) as session:
        if not clients(session):
            note("there is no client yet\n    -> echelonx init, in another terminal")


def prepare(services: Services, roles: Collection[Role]) -> None:
    """Bring an embedded database up to date; require a shared one to be."""
    if services.engine.dialect.name == "sqlite" and Role.WORKER in roles:
        schema.migrate(services.engine)
    schema.require(services.engine)


def listening(services: Services) -> WebServer:
    """Bind the web server to its address. Raises PortTakenError."""
    settings = services.settings
    app = create_app(services)
    return WebServer(app, host=settings.host, port=settings.port, threads=settings.threads)


def watch(runner: Runner, stop: Stop) -> bool:
    """Wait until asked to stop, or until a thread hangs; say whether one does."""
    while not stop.wait(WATCH_SECONDS):
        stuck = runner.silent()
        if stuck is not None:
            note(f"thread {stuck} hangs; ending, so that a new process can take over")
            return True
    return False
