"""Simulation: the four providers, their log and their outbox, behind two ports."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from channels.simulators import fcm, sendgrid, smtp, twilio
from channels.simulators.config import Keys
from channels.simulators.hooks import HookError, Hooks
from channels.simulators.log import Accept, Log
from channels.simulators.outbox import Outbox, Owed
from channels.simulators.provider import World
from channels.simulators.reader import DOOR as READER
from channels.simulators.reader import Reader
from channels.simulators.script import Script
from channels.simulators.server import Answer, Conversation, Handler, Request
from channels.simulators.table import NO_FAULT, Fault, ScriptError
from core.clock import Clock, SystemClock

LOOPBACK = "127.0.0.1"
JSON = {"Content-Type": "application/json"}
BACKLOG = 512
C = TypeVar("C", Conversation, smtp.Smtp)


@dataclass(frozen=True, slots=True)
class Options:
    """What a process is started with."""

    log: Path
    script: Script
    hooks: Hooks
    ports: Mapping[str, int] = field(default_factory=dict)
    """`http` and `smtp`; 0 or none for any that is free."""


class Simulation:
    """All four, from the first accepted message of the log on."""

    def __init__(self, options: Options, clock: Clock | None = None) -> None:
        self._options = options
        self._log = Log(options.log)
        self._accepted = Counter(accept.provider for accept in self._log.accepts)
        world = World(
            keys=Keys.of_seed(options.script.seed),
            script=options.script,
            hooks=options.hooks,
            reader=Reader(options.script, options.hooks),
            clock=clock or SystemClock(),
            take=self._take,
            find=self._log.find,
            serial=itertools.count(len(self._log.accepts)).__next__,
        )
        self._world = world
        self._sendgrid, self._twilio, self._fcm = (
            sendgrid.SendGrid(world),
            twilio.Twilio(world),
            fcm.Fcm(world),
        )
        self._callers: WeakSet[Conversation | smtp.Smtp] = WeakSet()
        self._plans: dict[str, Callable[[Accept], list[Owed]]] = {
            sendgrid.NAME: self._sendgrid.owed,
            twilio.NAME: self._twilio.owed,
            fcm.NAME: self._fcm.owed,
        }
        doors = self._sendgrid.doors | self._twilio.doors | self._fcm.doors
        self._outbox = Outbox(options.script, self._log, doors | {READER: world.reader.door})

    async def run(self, ready: Callable[[dict[str, int]], None], ended: asyncio.Event) -> None:
        """Serve until `ended`; tell `ready` the ports as soon as they are open."""
        loop = asyncio.get_running_loop()
        self._recall()
        ports = self._options.ports
        http = await loop.create_server(
            lambda: self._met(Conversation(self._answer)),
            LOOPBACK,
            ports.get("http", 0),
            backlog=BACKLOG,
        )
        mail = await loop.create_server(
            lambda: self._met(smtp.Smtp(self._world)),
            LOOPBACK,
            ports.get("smtp", 0),
            backlog=BACKLOG,
        )
        posting = asyncio.create_task(self._outbox.run())
        ready({"http": _port(http), "smtp": _port(mail)})
        try:
            await ended.wait()
        finally:
            http.close()
            mail.close()
            for caller in list(self._callers):
                caller.hang_up()
            posting.cancel()
            await asyncio.gather(posting, return_exceptions=True)
            self._log.close()

    def _met(self, caller: C) -> C:
        self._callers.add(caller)
        return caller

    def _recall(self) -> None:
        """Take on what an earlier process did not get acknowledged."""
        accepts, acked = self._log.accepts, self._log.acked
        self._twilio.recall(accepts)
        for accept in accepts:
            self._outbox.add(owed for owed in self._owed(accept) if owed.id not in acked)
        accepts.clear()
        acked.clear()

    def _take(self, accepts: Sequence[Accept], fault: Fault = NO_FAULT) -> None:
        self._log.accept(accepts)
        for accept in accepts:
            self._accepted[accept.provider] += 1
            owed = self._owed(accept)
            if fault.kind == "early":
                for one in owed:
                    one.after = 0.0
            self._outbox.add(owed)

    def _owed(self, accept: Accept) -> list[Owed]:
        plan = self._plans.get(accept.provider)
        return plan(accept) if plan else []

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith("/_sim/"):
            return self._told(request)
        provider = self._asked(request)
        if provider is None:
            return Answer(404)
        name, handle = provider
        answer = handle(request)
        return replace(answer, wait=answer.wait + self._world.script.setting(name, "latency"))

    def _asked(self, request: Request) -> tuple[str, Handler] | None:
        """Return the provider that is asked, and what answers."""
        path = request.path
        if path == sendgrid.PATH and request.method == "POST":
            return sendgrid.NAME, self._sendgrid.answer
        if path == sendgrid.SEARCH_PATH and request.method == "GET":
            return sendgrid.NAME, self._sendgrid.search
        if path == fcm.TOKEN_PATH:
            return fcm.NAME, self._fcm.token
        if path.startswith("/v1/projects/"):
            return fcm.NAME, self._fcm.answer
        if path.startswith("/2010-04-01/"):
            return twilio.NAME, self._twilio.answer
        return None

    def _told(self, request: Request) -> Answer:
        """Answer whoever runs the simulation."""
        match request.method, request.path:
            case "POST", "/_sim/webhooks":
                return self._set_hooks(request)
            case "POST", "/_sim/faults":
                return self._set_faults(request)
            case _, "/_sim/state":
                return _document(200, self._state())
            case _:
                return Answer(404)

    def _set_faults(self, request: Request) -> Answer:
        script = self._world.script
        try:
            script.change(json.loads(request.body))
        except (ValueError, AttributeError):
            return _document(400, {"error": "the body is a JSON object of faults"})
        except ScriptError as error:
            return _document(400, {"error": str(error), "field": error.field})
        return _document(200, script.faults)

    def _set_hooks(self, request: Request) -> Answer:
        try:
            urls = json.loads(request.body)
            self._options.hooks.set(urls)
        except (ValueError, AttributeError):
            return _document(400, {"error": "the body is a JSON object of webhook addresses"})
        except HookError as error:
            return _document(400, {"error": str(error), "field": error.field})
        self._outbox.release()
        return _document(200, self._options.hooks.all())

    def _state(self) -> dict[str, Any]:
        outbox = self._outbox
        return {
            "accepted": dict(self._accepted),
            "owed": outbox.owed.total(),
            "acked": outbox.acked.total(),
            "failed": outbox.failed.total(),
            "forged_refused": outbox.forged["refused"],
            "forged_taken": outbox.forged["taken"],
            "owed_by": {name: count for name, count in outbox.owed.items() if count},
            "acked_by": dict(outbox.acked),
            "webhooks": self._options.hooks.all(),
        }


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


def _document(status: int, document: Mapping[str, Any]) -> Answer:
    return Answer(status, json.dumps(document).encode(), JSON)
