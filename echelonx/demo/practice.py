"""Practice: a shop of one's own with simulated providers, in which a recipe runs for real.

Everything is what it will be live, except that the providers only pretend: the same engine, the
same journey, the same log. Running it again goes on where it stopped, and nobody enters twice.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import func, select

from accounts.client import Client, create_client
from campaigns.journeys.ask import ask
from campaigns.journeys.enrolment import Enrolment
from campaigns.journeys.journey import Journey
from campaigns.journeys.publish import publish
from campaigns.journeys.recipe import install
from communications.communication import Communication
from communications.status import Rank
from core.db import read, write
from core.log import configure
from core.settings import Settings
from echelonx import schema
from echelonx.demo import story
from echelonx.demo.engine import Embedded
from echelonx.demo.providers import Providers
from echelonx.demo.workspace import Workspace
from echelonx.wiring import Services, build
from members.consent import ConsentState, Word, record_many
from members.edit import create_member
from members.member import Member

SHOP = "My practice shop"
CUSTOMERS = (
    ("Ana", "US", "+12015550111"), ("Bo", "SE", None), ("Chidi", "US", "+12015550113"),
    ("Dara", "IE", "+12015550114"), ("Emeka", "US", None), ("Freja", "DK", "+12015550116"),
)  # fmt: skip
"""Invented, with addresses that belong to nobody (RFC 2606; NANP 555-01xx)."""
CHANNELS = ("email", "sms")
KEY = "practice-"
FACTS = {
    "sender": "Ana",
    "gift": "the five-page checklist",
    "gift_url": "https://shop.example/checklist",
    "offer": "the Starter Course",
    "offer_url": "https://shop.example/start",
    "next_offer": "the Master Course",
    "next_offer_url": "https://shop.example/master",
}


def by_day(now: datetime) -> str:
    """Return a zone where it is ten in the morning: nobody practises quiet hours first."""
    east = (10 - now.hour + 11) % 24 - 11
    return f"Etc/GMT{-east:+d}" if east else "Etc/GMT"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the practice is."""

    journey: str
    people: int
    """Inside, or through."""
    messages: int
    delivered: int


class Practice:
    """One practice in one workspace; a context that ends what it started."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self.workspace, self.settings = workspace, settings
        self.key = ""
        self._ends = ExitStack()
        self._services: Services
        self._client_id = 0
        self._journey_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.close()

    def start(self, recipe: str) -> Journey:
        """Make what is missing, start the engine, and let the customers in.

        Raises RecipeNotFoundError, and AlreadySendingError where it runs elsewhere.
        """
        configure(self.settings)
        log, seed = str(self.workspace.provider_log), self.workspace.state["seed"]
        providers = Providers(log, seed, self.settings.public_url)
        self._ends.callback(providers.stop)
        services = self._services = build(self.settings)
        self._ends.callback(services.close)
        schema.migrate(services.engine)
        self._client_id = self._shop()
        urls = story.make_accounts(services, self._client_id, providers.settings())
        engine = Embedded(services, self.workspace)
        self._ends.callback(engine.stop)
        self._ends.callback(providers.stop)
        engine.start()
        providers.post_to(services.egress, urls)
        self.key = story.key_of(services, self.workspace, self._client_id)
        return self._run(recipe)

    def progress(self) -> Progress:
        """Count where it stands."""
        with read(self._services.sessions) as session:
            found = session.get_one(Journey, self._journey_id)
            people = (
                select(func.count())
                .select_from(Enrolment)
                .join(Member, Member.id == Enrolment.member_id)
                .where(Enrolment.journey_id == found.id, Member.member_id.startswith(KEY))
            )
            mine = select(func.count()).where(Communication.campaign_id == found.campaign_id)
            arrived = mine.where(Communication.rank >= Rank.DELIVERED)
            counts: list[Any] = [session.scalar(query) for query in (people, mine, arrived)]
            return Progress(found.name, *counts)

    def _shop(self) -> int:
        """Return the practice's client, with its customers, making them the first time."""
        services = self._services
        with write(services.sessions) as session:
            found = session.scalar(select(Client.id).where(Client.name == SHOP))
            if found is not None:
                return found
            client = create_client(
                session, services.clock, name=SHOP, country="US",
                address="1 Shop Street, Springfield", settings={"foundation": FACTS},
                timezone=by_day(services.clock.now()),
            )  # fmt: skip
            for number, (name, country, phone) in enumerate(CUSTOMERS, 1):
                made = create_member(
                    session, services.clock, services.hasher, client_id=client.id,
                    first_name=name, email=f"{name.lower()}@people.example", phone=phone,
                    country=country, member_id=f"{KEY}{number}", source="practice",
                )  # fmt: skip
                words = [
                    Word(made.id, channel, ConsentState.GRANTED, "practice") for channel in CHANNELS
                ]
                record_many(session, services.clock, client_id=client.id, words=words)
            return client.id

    def _run(self, recipe: str) -> Journey:
        services, client_id = self._services, self._client_id
        with write(services.sessions) as session:
            made = install(session, services.clock, client_id=client_id, name=recipe).journey
            publish(session, services.clock, client_id=client_id, journey_id=made.id)
            invented = [f"{KEY}{number}" for number in range(1, len(CUSTOMERS) + 1)]
            everybody = session.scalars(
                select(Member.id).where(
                    Member.client_id == client_id, Member.member_id.in_(invented)
                )
            )
            ask(
                session, services.clock, client_id=client_id, journey_id=made.id,
                member_ids=everybody.all(),
            )  # fmt: skip
            self._journey_id = made.id
        services.bell.ring()
        return made
