"""The simulators' faults, seen from the other end of the wire."""

import hmac
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sendgrid.helpers.eventwebhook import EventWebhook
from twilio.request_validator import RequestValidator

from channels.outcome import Accepted, Ambiguous, NotSent, Rejected
from channels.simulators.fcm import TOKEN_PATH
from channels.simulators.script import Script
from core.clock import ticking
from core.http import Egress, Reply
from tests.architecture.tree import ROOT
from tests.channels.simulated import (
    SEED,
    Hook,
    Receiver,
    Simulators,
    left_hanging,
    receiving,
    simulating,
)
from tests.channels.test_simulators import send

STORY = Script(SEED)
PROVIDERS = ("sendgrid", "smtp", "twilio", "fcm")
KNOWN = next(ref for ref in map("x{}".format, range(99)) if not STORY.unregistered(ref))
"""A reference whose app is still on its device."""


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, str]]:
    with receiving() as found:
        yield found


@pytest.fixture
def inbox(receiver: tuple[Receiver, str]) -> Receiver:
    return receiver[0]


@pytest.fixture
def base(receiver: tuple[Receiver, str]) -> str:
    return receiver[1]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "accepts.jsonl"


@pytest.fixture
def http() -> Iterator[Egress]:
    made = Egress(allow_private=True)
    yield made
    made.close()


@pytest.fixture
def impatient(http: Egress) -> Iterator[Egress]:
    made = ImpatientWithMessages(http)
    yield made
    made.close()


class ImpatientWithMessages(Egress):
    """Waits 0.3 s for an answer, but for an access token as long as a busy machine needs."""

    def __init__(self, patient: Egress) -> None:
        super().__init__(allow_private=True, read_timeout=0.3)
        self._patient = patient

    def request(self, method: str, url: str, **given: Any) -> Reply:
        if url.endswith(TOKEN_PATH):
            return self._patient.request(method, url, **given)
        return super().request(method, url, **given)


def test_who_is_left_hanging_knows_nothing(log: Path, impatient: Egress) -> None:
    refs = [f"x{number}" for number in range(16)]

    with simulating(log, script={"twilio": {"hang": 1}}) as sim:
        outcomes = send(sim, impatient, "twilio", refs)

        assert all(isinstance(outcome, Ambiguous) for outcome in outcomes.values())
        sim.until(lambda: len(sim.accepts("twilio")) > 2)
        assert len(sim.accepts("twilio")) < 14


@pytest.mark.parametrize("name", ["sendgrid", "twilio", "fcm"])
def test_a_connection_left_open_is_never_answered(log: Path, impatient: Egress, name: str) -> None:
    with simulating(log, script={name: {"hang": 1}}) as sim:
        outcome = send(sim, impatient, name, [KNOWN])[KNOWN]

        assert isinstance(outcome, Ambiguous)


def test_a_relay_hangs_after_the_final_dot(log: Path) -> None:
    with simulating(log, script={"smtp": {"hang": 1}}) as sim:
        for ref in (f"x{number}" for number in range(16)):
            left_hanging(sim, ref)

        sim.until(lambda: len(sim.accepts("smtp")) > 2)
        assert len(sim.accepts("smtp")) < 14


OUTAGE = {"503": 1.0, "retry_after": 7}


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_outage_takes_nothing(log: Path, http: Egress, name: str) -> None:
    with simulating(log, script={name: OUTAGE}) as sim:
        outcome = send(sim, http, name, [KNOWN])[KNOWN]

        assert not isinstance(outcome, Accepted)
        assert sim.accepts(name) == []


@pytest.mark.parametrize("name", ["sendgrid", "twilio", "fcm"])
@pytest.mark.parametrize("kind", ["429", "503"])
def test_it_says_when_to_come_back(log: Path, http: Egress, name: str, kind: str) -> None:
    with simulating(log, script={name: {kind: 1.0, "retry_after": 7}}) as sim:
        outcome = send(sim, http, name, [KNOWN])[KNOWN]

        assert getattr(outcome, "retry_after", 7.0) == 7.0
        assert kind == "503" or isinstance(outcome, NotSent)


@pytest.mark.parametrize("name", ["sendgrid", "twilio", "fcm"])
def test_a_key_that_is_not_believed_is_the_accounts_fault(
    log: Path, http: Egress, name: str
) -> None:
    with simulating(log, script={name: {"401": 1}}) as sim:
        outcome = send(sim, http, name, [KNOWN])[KNOWN]

        assert isinstance(outcome, Rejected)
        assert outcome.account_fault
        assert sim.accepts(name) == []


def test_a_relay_wants_a_password(log: Path, http: Egress) -> None:
    with simulating(log, script={"smtp": {"401": 1}}) as sim:
        outcome = send(sim, http, "smtp", ["x1"])["x1"]

        assert not isinstance(outcome, Accepted | Ambiguous)
        assert sim.accepts("smtp") == []


def test_a_receipt_may_come_before_the_answer(
    log: Path, impatient: Egress, inbox: Receiver, base: str
) -> None:
    script = {"twilio": {"early": 1, "early_seconds": 3600}}

    with simulating(log, hooks=base, script=script, delay=3600) as sim:
        outcome = send(sim, impatient, "twilio", ["x1"], callback=f"{base}/tw?a=")["x1"]
        inbox.wait(lambda: inbox.at("/tw"))

        assert isinstance(outcome, Ambiguous)
        sim.until(lambda: [row["ref"] for row in sim.accepts("twilio")] == ["x1"])


def test_an_early_receipt_is_followed_by_the_answer(log: Path, http: Egress) -> None:
    with simulating(log, script={"twilio": {"early": 1, "early_seconds": 0.01}}) as sim:
        assert isinstance(send(sim, http, "twilio", ["x1"])["x1"], Accepted)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_answer_takes_its_time(log: Path, http: Egress, name: str) -> None:
    with simulating(log) as sim:
        sim.ask("POST", "/_sim/faults", {name: {"latency": 0.05}})
        started = ticking()
        outcome = send(sim, http, name, [KNOWN])[KNOWN]
        took = ticking() - started

    assert isinstance(outcome, Accepted)
    assert took >= 0.05


def test_an_outage_begins_and_ends(log: Path, http: Egress) -> None:
    with simulating(log, script={"fcm": {"429": 1}}) as sim:
        assert isinstance(send(sim, http, "twilio", ["x1"])["x1"], Accepted)

        told = sim.ask("POST", "/_sim/faults", {"twilio": OUTAGE})
        assert told == {"fcm": {"429": 1}, "twilio": OUTAGE}
        assert not isinstance(send(sim, http, "twilio", ["x2"])["x2"], Accepted)

        sim.ask("POST", "/_sim/faults", {"twilio": {}})
        assert isinstance(send(sim, http, "twilio", ["x2"])["x2"], Accepted)
        assert [row["ref"] for row in sim.accepts("twilio")] == ["x1", "x2"]


@pytest.mark.parametrize(
    ("faults", "named"),
    [
        ({"twillio": {}}, "twillio"),
        ({"twilio": {"hang": 2}}, "twilio"),
        ({"twilio": {"latency": "long"}}, "twilio.latency"),
        ({"webhooks": {"copies": 47}}, "webhooks.copies"),
        ({"webhooks": {"copies": 0}}, "webhooks.copies"),
        ({"webhooks": {"shuffle": False}}, "webhooks.shuffle"),
        ({"webhooks": {"forged": 1.5}}, "webhooks.forged"),
        ({"webhooks": {"late": -1}}, "webhooks.late"),
        ({"webhooks": {"lost": 1}}, "webhooks.lost"),
        ({"webhooks": 3}, "webhooks"),
        ([], None),
    ],
)
def test_faults_that_cannot_be_followed_change_nothing(
    quiet: Simulators, faults: object, named: str | None
) -> None:
    refused = quiet.ask("POST", "/_sim/faults", faults)

    assert refused.get("field") == named
    assert refused["error"]
    assert quiet.ask("POST", "/_sim/faults", {}) == {}


def test_the_command_line_refuses_them_too(log: Path) -> None:
    faults = '{"webhooks": {"copies": 47}}'
    ended = subprocess.run(
        [sys.executable, "-m", "channels.simulators", "--log", str(log), "--script", faults],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )

    assert ended.returncode == 2
    assert "webhooks.copies" in ended.stderr


def test_events_come_as_often_as_the_script_says(
    log: Path, http: Egress, inbox: Receiver, base: str
) -> None:
    refs = [f"x{number}" for number in range(40)]

    with simulating(log, hooks=base, script={"webhooks": {"copies": 46}}) as sim:
        send(sim, http, "sendgrid", refs)
        sim.settled(inbox)

    times = Counter(event["sg_event_id"] for hook in inbox.hooks for event in hook.events)
    assert len(times) == sum(len(STORY.email(ref)) for ref in refs if ref) - visits(refs)
    assert max(times.values()) > 40
    assert min(times.values()) < 6


def visits(refs: list[str]) -> int:
    """What readers do, not SendGrid."""
    acts = ("machine_open", "open", "click", "unsubscribe")
    return sum(act in acts for ref in refs for act in STORY.email(ref))


def test_some_webhooks_are_late(log: Path, http: Egress, inbox: Receiver, base: str) -> None:
    refs = [f"x{number}" for number in range(40)]
    script = {"webhooks": {"late": 0.5, "late_seconds": 1.0, "copies": 1}}

    with simulating(log, hooks=base, script=script, delay=0.01) as sim:
        started = ticking()
        send(sim, http, "twilio", refs, callback=f"{base}/tw?a=")
        sim.settled(inbox)
        took = ticking() - started

    assert took >= 1.0


@pytest.mark.parametrize("name", ["sendgrid", "twilio", "fcm"])
def test_a_forger_is_known_by_the_signature(
    log: Path, http: Egress, inbox: Receiver, base: str, name: str
) -> None:
    refs = [f"x{number}" for number in range(12)]

    with simulating(log, hooks=base, script={"webhooks": {"forged": 1}}) as sim:
        inbox.verdict = lambda hook: 204 if genuine(sim, hook, base) else 403
        send(sim, http, name, refs, callback=f"{base}/tw?a=")
        state = sim.settled(inbox)

    assert state["forged_refused"] == len(inbox.refused) > 0
    assert state["forged_taken"] == 0
    assert state["failed"] == 0


def test_a_forger_who_is_believed_is_counted(
    log: Path, http: Egress, inbox: Receiver, base: str
) -> None:
    with simulating(log, hooks=base, script={"webhooks": {"forged": 1}}) as sim:
        send(sim, http, "twilio", ["x1"], callback=f"{base}/tw?a=")
        state = sim.settled(inbox)

    lies = [hook for hook in inbox.hooks if hook.form.get("ErrorCode") == "30034"]
    assert state["forged_taken"] == len(lies) > 0
    assert {hook.path for hook in lies} == {"/tw?a=x1"}


def genuine(sim: Simulators, hook: Hook, base: str) -> bool:
    """Judge a post by its signature, as its provider's documentation says."""
    headers = hook.headers
    if hook.path == "/fcm":
        made = hmac.digest(sim.keys.ack_key.encode(), hook.body, "sha256").hex()
        return hmac.compare_digest(made, headers["x-echelonx-signature"])
    if hook.path.startswith("/sg"):
        official = EventWebhook(sim.keys.sendgrid_public)
        found: bool = official.verify_signature(
            hook.body.decode(),
            headers["x-twilio-email-event-webhook-signature"],
            headers["x-twilio-email-event-webhook-timestamp"],
        )
        return found
    return validated(sim, base + hook.path, hook.form, headers["x-twilio-signature"])


def validated(sim: Simulators, url: str, form: dict[str, Any], signature: str) -> bool:
    return bool(RequestValidator(sim.keys.auth_token).validate(url, form, signature))


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    with simulating(tmp_path_factory.mktemp("quiet") / "log") as found:
        yield found
