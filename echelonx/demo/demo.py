"""Demo: the stages, from an empty directory to a table whose numbers add up.

Every stage finds what an earlier demo left and goes on from there, so that running it again sends
nothing twice, and one that was killed is finished by the next.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from core.clock import ticking
from core.condition.json import from_json
from core.db import read
from core.errors import UnavailableError
from core.log import configure
from core.settings import Settings
from echelonx import schema
from echelonx.demo import story
from echelonx.demo.engine import Distributed, Embedded, Engine
from echelonx.demo.figures import Figures, figures, table, webhooks
from echelonx.demo.journey import play_month
from echelonx.demo.providers import Providers
from echelonx.demo.screen import Screen
from echelonx.demo.workspace import Workspace
from echelonx.holding import current_hold
from echelonx.wiring import Services, build
from members.queries import count_rule, reach
from members.segment import Segment

LOOK_SECONDS = 0.25
PATIENCE_SECONDS = 30.0
"""Without any progress for so long, the demo says what is still open."""

Pause = Callable[[float], bool]
"""Waits for some seconds; says whether the demo was asked to stop."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a demo ended with."""

    figures: Figures
    owed: int
    """Webhook events the simulated providers could not deliver."""
    stopped: bool = False
    """Asked to stop before the end."""

    @property
    def complete(self) -> bool:
        """Whether nothing is open."""
        left = self.figures.queued + self.figures.waiting + self.owed
        return self.figures.expanded and not left and not self.stopped


class Demo:
    """One run of the demo in one workspace; a context that ends what it started."""

    def __init__(self, workspace: Workspace, settings: Settings, screen: Screen) -> None:
        self.workspace = workspace
        self.settings = settings
        self._screen = screen
        self._started = ticking()
        self._ends = ExitStack()
        self._stage = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.close()

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return round(ticking() - self._started, 1)

    def play(self, pause: Pause) -> tuple[Outcome, dict[str, Any]]:
        """Run every stage; return the outcome and the document that --json prints."""
        configure(self.settings)
        providers = self._providers()
        services = self._services()
        client_id = story.client_of(services, self.workspace)
        counts = self._people(services, client_id)
        segment = self._segment(services, client_id)
        self._engine(services, providers, client_id)
        outcome, channels = self._campaign(services, providers, client_id, segment, pause)
        received = webhooks(services, client_id)
        journey = {} if outcome.stopped else self._journey(services, client_id, segment)
        document = {
            "import": counts,
            "channels": channels,
            "webhooks": received,
            "journey": journey,
            "seconds": self.seconds,
        }
        self.key = story.key_of(services, self.workspace, client_id)
        return outcome, document

    def _providers(self) -> Providers:
        log = str(self.workspace.provider_log)
        found = Providers(log, self.workspace.state["seed"], self.settings.public_url)
        self._ends.callback(found.stop)
        return found

    def _services(self) -> Services:
        with self._timed("Database") as tell:
            services = build(self.settings)
            self._ends.callback(services.close)
            schema.migrate(services.engine)
            tell(f"ready ({services.engine.dialect.name})")
        return services

    def _people(self, services: Services, client_id: int) -> dict[str, int]:
        with self._timed("Members") as tell:
            counts = story.import_people(services, self.workspace, client_id)
            tell(
                f"{counts['rows']:,} rows: {counts['created']:,} new, {counts['updated']:,} "
                f"updated, {counts['rejected']:,} rejected -> {self.workspace.rejects.name}"
            )
        return counts

    def _segment(self, services: Services, client_id: int) -> Segment:
        with self._timed("Segment") as tell:
            segment = story.make_segment(services, client_id)
            rule, now = from_json(segment.rule), services.clock.now()
            with read(services.sessions) as session:
                size = count_rule(session, client_id, rule, now)
                near = reach(session, client_id, rule, now)
            channels = ", ".join(f"{near[kind]:,} {kind}" for kind in near)
            tell(f'"{segment.name}" means {size:,} people ({channels})')
        return segment

    def _engine(self, services: Services, providers: Providers, client_id: int) -> None:
        urls = story.make_accounts(services, client_id, providers.settings())
        kind: type[Engine] = Distributed if self.settings.broker_url else Embedded
        engine = kind(services, self.workspace)  # type: ignore[call-arg]  # both take these
        # Before the engine ends, the providers must: their posts would meet a closed door.
        self._ends.callback(engine.stop)
        self._ends.callback(providers.stop)
        engine.start()
        require_sending(services)
        providers.post_to(services.egress, urls)

    def _campaign(
        self,
        services: Services,
        providers: Providers,
        client_id: int,
        segment: Segment,
        pause: Pause,
    ) -> tuple[Outcome, dict[str, dict[str, int]]]:
        with self._timed("Campaign") as tell:
            run = story.launch_campaign(services, client_id, segment)
            tell(f'"{story.CAMPAIGN}", {run.audience_size:,} people, 3 channels')
        with self._timed("Webhooks") as tell:
            outcome = self._watch(services, providers, client_id, run.id, pause)
            received = webhooks(services, client_id)
            tell(
                f"{received['received']:,} events came back, {received['duplicates']:,} of them "
                f"repeats, {received['unmatched']:,} unmatched"
            )
        return outcome, table(outcome.figures.channels)

    def _journey(self, services: Services, client_id: int, segment: Segment) -> dict[str, Any]:
        with self._timed("Journey") as tell:
            told = play_month(services, client_id, segment)
            by = ", ".join(f"{count:,} {channel}" for channel, count in told["channels"].items())
            tell(
                f'"{told["journey"]}" played for {told["people"]} people and {told["days"]} days '
                f"of a virtual clock: {told['sends']:,} messages ({by}), none of them sent"
            )
        return told

    def _watch(
        self,
        services: Services,
        providers: Providers,
        client_id: int,
        run_id: int,
        pause: Pause,
    ) -> Outcome:
        """Look until nothing is open, nothing moves any more, or somebody wants to stop."""
        before, since = None, ticking()
        with self._screen.progress() as show:
            while True:
                now = figures(services, client_id, run_id)
                outcome = Outcome(now, providers.owed(services.egress))
                show(now)
                if outcome.complete and now.done:
                    # What was posted while we looked is counted too.
                    return Outcome(figures(services, client_id, run_id), outcome.owed)
                seen = (now, outcome.owed)
                if seen != before:
                    before, since = seen, ticking()
                if ticking() - since > PATIENCE_SECONDS:
                    return outcome
                if pause(LOOK_SECONDS):
                    return Outcome(now, outcome.owed, stopped=True)

    @contextmanager
    def _timed(self, name: str) -> Iterator[Callable[[str], None]]:
        """Give a function that says what a stage did; write its line when it has ended."""
        self._stage += 1
        started, said = ticking(), [""]
        yield lambda text: said.__setitem__(0, text)
        self._screen.stage(self._stage, name, said[0], ticking() - started)


def require_sending(services: Services) -> None:
    """Raise UnavailableError if this demo's database was copied, or left by a crash days ago."""
    with read(services.sessions) as session:
        hold = current_hold(session)
    if hold is not None:
        raise UnavailableError(
            f"nothing is sent from this demo: {hold.reason}",
            remedy="start a new one with another --dir; `echelonx resume` is for real ones",
        )
