"""Run the simulators until standard input closes, or a signal asks them to end."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from channels.simulators.hooks import Hooks
from channels.simulators.script import Script
from channels.simulators.simulation import Options, Simulation
from core.errors import InvalidError

PROGRAM = "python -m channels.simulators"


def main(
    arguments: Sequence[str] | None = None, *, program: str = PROGRAM, reads_stdin: bool = True
) -> int:
    """Print one JSON line with the ports when ready; return 0 when told to end.

    SIGTERM and Ctrl+C tell it to; with `reads_stdin`, so does the end of standard input, and a
    program that started it cannot leave it behind.
    """
    parser = _parser(program, reads_stdin=reads_stdin)
    given = parser.parse_args(arguments)
    try:
        hooks = Hooks(given.webhook_base)
        hooks.set(given.webhooks)
        script = Script(given.seed, given.script, given.delay)
    except InvalidError as error:
        parser.error(f"{error.field or ''} {error}".strip())
    options = Options(given.log, script, hooks, given.ports)
    asyncio.run(_serve(options, reads_stdin=reads_stdin))
    return 0


async def _serve(options: Options, *, reads_stdin: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(ended.set)

    def ready(ports: dict[str, int]) -> None:
        sys.stdout.write(json.dumps(ports) + "\n")
        sys.stdout.flush()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if reads_stdin:
        Thread(target=listen, daemon=True).start()
    await Simulation(options).run(ready, ended)


def _parser(program: str, *, reads_stdin: bool) -> argparse.ArgumentParser:
    end = "stdin closes" if reads_stdin else "Ctrl+C or SIGTERM"
    parser = argparse.ArgumentParser(
        prog=program,
        description=f"SendGrid, Twilio, FCM and an SMTP relay on loopback, until {end}.",
    )
    parser.add_argument("--log", type=Path, required=True, help="file of accepted messages")
    parser.add_argument("--seed", type=int, default=1, help="decides keys, outcomes and faults")
    parser.add_argument("--webhook-base", help="where the engine listens, http on loopback")
    parser.add_argument(
        "--webhooks", type=_object, default={}, help='{"sendgrid": url, "fcm": …, "twilio_inbound"}'
    )
    parser.add_argument("--ports", type=_object, default={}, help='{"http": 0, "smtp": 0}')
    parser.add_argument(
        "--script",
        type=_object,
        default={},
        help='faults: {"twilio": {"lost": 0.002, "429": 0.01}}',
    )
    parser.add_argument(
        "--delay", type=float, default=1.0, help="the longest a webhook is late, in seconds"
    )
    return parser


def _object(text: str) -> dict[str, Any]:
    """Read a JSON object. Raises ValueError, which argparse reports."""
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("not an object")
    return document


if __name__ == "__main__":
    sys.exit(main())
