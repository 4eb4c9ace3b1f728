"""A town: the product in this process, its providers beside it, and people who read what they get.

Everything is the real thing: web server, threads, adapters and SDKs, the simulators on loopback.
Only time leaps, from one thing that is due to the next, for the product and its providers alike.
"""

import asyncio
import base64
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask

from accounts.client import create_client
from accounts.key import issue_key
from campaigns.journeys.enrolment import Enrolment
from campaigns.template import Template, TemplateVersion
from channels.simulators.config import Keys, config
from channels.simulators.hooks import Hooks
from channels.simulators.script import Script
from channels.simulators.simulation import Options, Simulation
from communications.account import AccountStatus, ProviderAccount
from communications.communication import Communication, Direction
from communications.status import OPEN, Status
from core.clock import SystemClock
from core.db import read, write
from core.settings import Settings
from echelonx.factory import create_app
from echelonx.relcheck.check import check
from echelonx.runner import Role, Runner
from echelonx.server import WebServer
from echelonx.wiring import Services, build
from members.member import Member
from members.signal import Signal
from tests.api.caller import Caller, good
from tests.e2e.processes import PATIENCE, free_port, until
from webhooks.click import Click
from webhooks.inbox import InboxItem, InboxState

C = Communication
SEED = 11
SOON = 0.01
"""Seconds: the longest a provider takes to tell."""
MERGED = timedelta(minutes=5)
"""What is due within so little time of each other is one leap."""
STRIPE, SHOPIFY = "whsec_of_a_town", "a secret of a town"
Told = tuple[str, str]
"""A member's id and a template's name."""


class Leaping:
    """A clock that goes as clocks do, and leaps ahead when told to."""

    def __init__(self, start: datetime) -> None:
        self._ahead = start - SystemClock().now()

    def now(self) -> datetime:
        return SystemClock().now() + self._ahead

    def leap(self, to: datetime) -> None:
        """Be at an instant, unless it is past."""
        self._ahead += max(to - self.now(), timedelta(0))


@dataclass(slots=True)
class Reading(Script):
    """Everything arrives; people do what the story says with it, and nothing else."""

    read: Callable[[str], Told | None] = lambda _: None
    story: Mapping[Told, str] = field(default_factory=dict)
    """`click`, `unsubscribe`, or the words of a reply."""

    def does(self, key: str) -> str:
        told = self.read(key)
        return self.story.get(told, "") if told else ""

    def email(self, key: str) -> list[str]:
        act = self.does(key)
        acts = {"click": ["open", "click"], "unsubscribe": ["open", "unsubscribe"]}
        return ["processed", "delivered", *acts.get(act, [])]

    def sms(self, key: str) -> tuple[str, str, str]:
        return "delivered", "", self.does(key)

    def push(self, key: str) -> list[str]:
        return ["delivered"]

    def unregistered(self, key: str) -> bool:
        return False

    def copies(self, event: str) -> int:
        return 2  # providers tell twice


@dataclass(slots=True)
class Town:
    """One installation of the product, and the providers that it uses."""

    services: Services
    clock: Leaping
    script: Reading
    log: Path
    ports: Mapping[str, int]
    app: Flask
    shops: dict[str, "Shop"] = field(default_factory=dict)

    def told(self, reference: str) -> Told | None:
        """Say to whom a message goes, and which template it is."""
        found = self.services.references.read(reference)
        query = (
            sa.select(Member.member_id, Template.name)
            .join(C, C.member_id == Member.id)
            .join(TemplateVersion, TemplateVersion.id == C.template_version_id)
            .join(Template, Template.id == TemplateVersion.template_id)
            .where(C.id == (found[0] if found else 0))
        )
        with read(self.services.sessions) as session:
            row = session.execute(query).one_or_none()
            return (row[0], row[1]) if row else None

    def rest(self) -> None:
        """Wait until nothing is due, on its way, or still to be told."""
        until(lambda: self._quiet() and not self._owed() and self._quiet(), "the quiet")
        with read(self.services.sessions) as session:
            paused = sa.select(ProviderAccount.status_reason).where(
                ProviderAccount.status != AccountStatus.ACTIVE
            )
            assert session.scalars(paused).all() == []

    def next_due(self) -> datetime | None:
        """Say when anybody goes on next."""
        with read(self.services.sessions) as session:
            return session.scalar(sa.select(sa.func.min(Enrolment.due_at)))

    def verdict(self) -> dict[str, Any]:
        """What relcheck says of everything."""
        expected = {"complete": True, "at_rest": True}
        with read(self.services.sessions) as session:
            return check(
                session, self.clock, self.services.references,
                provider_log=self.log, expected=expected,
            )  # fmt: skip

    def taken(self, *addresses: str) -> list[datetime]:
        """When providers took messages to these addresses."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        found = [line["at"] for line in lines if line.get("to") in addresses]
        return [datetime.fromtimestamp(at, self.clock.now().tzinfo) for at in found]

    def _owed(self) -> int:
        return int(self.ask("GET", "/_sim/state")["owed"])

    def ask(self, method: str, path: str, document: object = None) -> Any:
        """Ask whoever runs the providers."""
        url = f"http://127.0.0.1:{self.ports['http']}{path}"
        body = json.dumps(document).encode() if document else None
        reply = self.services.egress.request(method, url, body=body)
        assert reply.status == 200, reply
        return json.loads(reply.body)

    def _quiet(self) -> bool:
        now = self.clock.now()
        waiting = (
            sa.select(Enrolment.id).where(Enrolment.due_at <= now),
            sa.select(Signal.id),
            sa.select(Click.id),
            sa.select(C.id).where(C.status.in_(OPEN)),
            sa.select(InboxItem.id).where(InboxItem.state == InboxState.NEW),
        )
        with read(self.services.sessions) as session:
            return all(session.scalar(query.limit(1)) is None for query in waiting)


@dataclass(slots=True)
class Shop:
    """One client of the town, by its API."""

    town: Town
    api: Caller
    client_id: int
    journeys: dict[str, int] = field(default_factory=dict)
    hooks: dict[str, str] = field(default_factory=dict)

    def provider(self, adapter: str, settings: Mapping[str, Any]) -> str:
        """Add an account; return where its webhooks go."""
        told = {"name": adapter, "adapter": adapter, "config": settings}
        made = self.api.post("/providers", told)
        self.hooks[adapter] = made["webhook_url"]
        return self.hooks[adapter]

    def recipe(self, name: str) -> None:
        """Install a recipe as it is shipped, and publish it."""
        made = self.api.post("/recipes/install", {"name": name})
        self.journeys[name] = made["journey_id"]
        self.api.post(f"/journeys/{self.journeys[name]}/publish")

    def did(self, person: str, event: str) -> None:
        told = {"name": event, "message_id": f"{person}-{event}", "person": {"member_id": person}}
        self.api.post("/events", {"events": [told]})

    def bought(self, email: str, order: str) -> None:
        """Stripe tells of a payment."""
        row = {
            "id": f"cs_{order}", "payment_status": "paid", "amount_total": 4990, "currency": "usd",
            "payment_intent": order, "invoice": None, "customer_details": {"email": email},
        }  # fmt: skip
        at = int(self.town.clock.now().timestamp())
        event = {"id": f"evt_{order}", "type": "checkout.session.completed", "created": at}
        body = json.dumps(event | {"data": {"object": row}}).encode()
        signed = int(SystemClock().now().timestamp())
        made = hmac.new(STRIPE.encode(), f"{signed}.".encode() + body, "sha256").hexdigest()
        self._tell("stripe", body, {"Stripe-Signature": f"t={signed},v1={made}"})

    def ordered(self, email: str, number: int) -> None:
        """Shopify tells of an order."""
        row = {
            "id": number, "total_price": "199.00", "current_total_price": "199.00",
            "currency": "USD", "email": email, "phone": None, "test": False,
            "processed_at": self.town.clock.now().isoformat(), "customer": None,
        }  # fmt: skip
        self._shopify("orders/paid", row)

    def refunded(self, number: int) -> None:
        """Shopify tells of a refund."""
        paid_back = {"kind": "refund", "status": "success", "amount": "199.00", "currency": "USD"}
        at = self.town.clock.now().isoformat()
        row = {"id": number + 1, "order_id": number, "created_at": at, "transactions": [paid_back]}
        self._shopify("refunds/create", row)

    def member(self, person: str) -> Any:
        """A member as the API shows them."""
        return self.api.get("/members", member_id=person)["data"][0]

    def timeline(self, person: str, kind: str) -> Any:
        """What happened with a member, of one kind."""
        return self.api.get(f"/members/{self.member(person)['id']}/timeline", kind=kind)["data"]

    def sent(self, person: str) -> list[str]:
        """The templates of what somebody was sent, in order."""
        query = (
            sa.select(Template.name)
            .join(TemplateVersion, TemplateVersion.template_id == Template.id)
            .join(C, C.template_version_id == TemplateVersion.id)
            .join(Member, Member.id == C.member_id)
            .where(
                Member.member_id == person,
                Member.client_id == self.client_id,
                C.direction == Direction.OUTBOUND,
                C.status != Status.SKIPPED,
            )
            .order_by(C.id)
        )
        with read(self.town.services.sessions) as session:
            return list(session.scalars(query))

    def ends(self, person: str) -> dict[str, str]:
        """How somebody's ways through the recipes ended."""
        names = {id: name for name, id in self.journeys.items()}
        query = (
            sa.select(Enrolment.journey_id, Enrolment.status)
            .join(Member, Member.id == Enrolment.member_id)
            .where(Member.member_id == person, Member.client_id == self.client_id)
            .order_by(Enrolment.id)
        )
        with read(self.town.services.sessions) as session:
            return {names[id]: status.value for id, status in session.execute(query)}

    def _shopify(self, topic: str, row: Mapping[str, Any]) -> None:
        body = json.dumps(row).encode()
        made = base64.b64encode(hmac.digest(SHOPIFY.encode(), body, "sha256")).decode()
        headers = {"X-Shopify-Hmac-Sha256": made, "X-Shopify-Topic": topic}
        self._tell("shopify", body, headers)

    def _tell(self, adapter: str, body: bytes, headers: Mapping[str, str]) -> None:
        egress = self.town.services.egress
        reply = egress.request("POST", self.hooks[adapter], headers=dict(headers), body=body)
        assert reply.status in (200, 204), reply


@contextmanager
def town(
    database_url: str, folder: Path, start: datetime, story: Mapping[Told, str]
) -> Iterator[Town]:
    """Run everything until the end of the block; the database has all tables."""
    port = free_port()
    settings = Settings(
        database_url=database_url, data_dir=folder, port=port, pump_seconds=0.2,
        public_url=f"http://127.0.0.1:{port}", allow_private_egress=True, log_level="ERROR",
    )  # fmt: skip
    clock, log = Leaping(start), folder / "accepts.jsonl"
    script = Reading(SEED, delay=SOON, story=story)
    with closing(build(settings, clock)) as services:
        app = create_app(services)
        server = WebServer(app, host="127.0.0.1", port=port, threads=4)
        runner = Runner(services, set(Role))
        with simulated(Options(log, script, Hooks(settings.public_url)), clock) as ports:
            made = Town(services, clock, script, log, ports, app)
            script.read = made.told
            server.start()
            runner.start()
            try:
                yield made
            finally:
                assert runner.stop()
                server.stop()


@contextmanager
def simulated(options: Options, clock: Leaping) -> Iterator[Mapping[str, int]]:
    """Run the providers in a thread, by the town's clock."""
    ready: Future[dict[str, int]] = Future()
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ended.set))
        await Simulation(options, clock).run(ready.set_result, ended)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield ready.result(PATIENCE)
    finally:
        stop[0]()
        thread.join()


def shop(on: Town, name: str, email: str, facts: Mapping[str, str]) -> Shop:
    """Open a shop that writes by phone, push, and one of `sendgrid` and `smtp`."""
    with write(on.services.sessions) as session:
        told = {"name": name, "country": "US", "address": "1 Test Street", "timezone": "UTC"}
        client_id = create_client(session, on.clock, **told).id
        _, key = issue_key(session, on.clock, client_id=client_id, name="tests")
    made = on.shops[name] = Shop(on, Caller(on.app.test_client(), key), client_id)
    settings = config(on.ports, Keys.of_seed(SEED))
    for adapter in (email, "twilio", "fcm"):
        made.provider(adapter, settings[adapter])
    made.provider("stripe", {"signing_secret": STRIPE})
    made.provider("shopify", {"secret": SHOPIFY})
    good(made.api.ask("PUT", "/foundation", {"foundation": facts}))
    return made


def listen(of: Shop) -> None:
    """Have the providers tell this shop what becomes of messages, and what people write back."""
    urls = {"sendgrid": of.hooks["sendgrid"], "fcm": of.hooks["fcm"]}
    of.town.ask("POST", "/_sim/webhooks", urls | {"twilio_inbound": of.hooks["twilio"]})


def person(of: Shop, name: str, **addresses: str) -> None:
    """Make a member who agreed to be written to at these addresses."""
    kinds = {"email": "email", "phone": "sms", "push_token": "push"}
    consents = [{"channel": kinds[one], "state": "granted"} for one in addresses]
    of.api.post("/members", {"member_id": name, "consents": consents, **addresses})


def play(on: Town, acts: Mapping[Told, Callable[[], None]], most: int = 300) -> None:
    """Let time go by until nobody is inside; each act follows a message, once."""
    left = dict(acts)
    for _ in range(most):
        on.rest()
        due = [told for told in left if _has_got(on, told)]
        for told in due:
            left.pop(told)()
        if due:
            continue
        coming = on.next_due()
        if coming is None:
            assert not left, f"nobody got {list(left)}"
            return
        on.clock.leap(coming + MERGED)
    raise AssertionError("the story has no end")


def _has_got(on: Town, told: Told) -> bool:
    return any(told[1] in one.sent(told[0]) for one in on.shops.values())
