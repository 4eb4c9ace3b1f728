"""Mirrors channels/simulators: driven by the official SDKs, judged by the official validators."""

import hmac
import json
import smtplib
import subprocess
import sys
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from python_http_client.exceptions import BadRequestsError, UnauthorizedError
from sendgrid import SendGridAPIClient
from sendgrid.helpers.eventwebhook import EventWebhook
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from channels.adapter import OutgoingMessage, Ports, Sender
from channels.channel import Channel
from channels.outcome import Accepted, Ambiguous, NotSent, Outcome, Rejected
from channels.registry import sender
from channels.simulators.config import Keys
from channels.simulators.hooks import HookError, Hooks
from channels.simulators.script import Script
from channels.skeleton import Face, Skeleton
from core.clock import SystemClock
from core.http import Egress
from tests.architecture.tree import ROOT
from tests.channels.simulated import SEED, Receiver, Simulators, left_hanging, receiving, simulating

STORY = Script(SEED)
NUMBER = "+15005550006"
MEMBER = "+15005551234"
HTML = '<a href="{base}/c/tok-{ref}">Read</a> <img src="{base}/o/tok-{ref}.gif" alt="">'


@pytest.fixture(scope="module")
def receiver() -> Iterator[tuple[Receiver, str]]:
    with receiving() as found:
        yield found


@pytest.fixture
def inbox(receiver: tuple[Receiver, str]) -> Receiver:
    """The receiver, empty."""
    found = receiver[0]
    found.hooks, found.refused = [], []
    found.verdict = lambda _: 204
    return found


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


# -- the official SDKs ------------------------------------------------------------------------


def test_the_official_twilio_sdk_sends(sim: Simulators) -> None:
    made = twilio(sim).messages.create(to=MEMBER, from_=NUMBER, body="ñ" * 161)

    [accepted] = sim.accepts("twilio")
    assert made.sid == accepted["provider_id"]
    assert made.sid.startswith("SM")
    assert (made.status, made.num_segments, made.error_code) == ("queued", "2", None)
    assert made.date_created is not None
    assert (accepted["to"], accepted["ref"]) == (MEMBER, None)


def test_a_messaging_service_counts_segments_later(sim: Simulators) -> None:
    made = twilio(sim).messages.create(to=MEMBER, messaging_service_sid="MG" + "0" * 32, body="Hi")

    assert (made.status, made.num_segments, made.from_) == ("accepted", "0", None)


@pytest.mark.parametrize(
    ("code", "status", "changes"),
    [
        (21211, 400, {"to": "+12"}),
        (21602, 400, {"body": ""}),
        (21603, 400, {"from_": ""}),
        (21604, 400, {"to": ""}),
        (21609, 400, {"status_callback": "ftp://x.example/"}),
        (21617, 400, {"body": "x" * 1601}),
    ],
)
def test_twilio_says_what_is_wrong_by_its_codes(
    sim: Simulators, code: int, status: int, changes: dict[str, str]
) -> None:
    fields = {"to": MEMBER, "from_": NUMBER, "body": "Hi"} | changes

    with pytest.raises(TwilioRestException) as error:
        twilio(sim).messages.create(**fields)

    assert (error.value.code, error.value.status) == (code, status)


def test_twilio_knows_its_account(sim: Simulators) -> None:
    client = twilio(sim, token="guessed")

    with pytest.raises(TwilioRestException) as error:
        client.messages.create(to=MEMBER, from_=NUMBER, body="Hi")

    assert (error.value.code, error.value.status) == (20003, 401)


def test_the_official_sendgrid_sdk_sends(sim: Simulators) -> None:
    reply = sendgrid(sim).send(mail("r1", "r2"))

    assert (reply.status_code, reply.body) == (202, b"")
    message_id = reply.headers["X-Message-Id"]
    accepted = sim.accepts("sendgrid")
    assert [row["ref"] for row in accepted] == ["r1", "r2"]
    assert [row["provider_id"].partition(".")[0] for row in accepted] == [message_id] * 2


def test_one_bad_address_refuses_the_whole_call(sim: Simulators) -> None:
    document = mail("r1", "r2")
    document["personalizations"][1]["to"][0]["email"] = "nobody"

    with pytest.raises(BadRequestsError) as error:
        sendgrid(sim).send(document)

    assert error.value.to_dict["errors"][0]["field"] == "personalizations.1.to.0.email"
    assert sim.accepts() == []


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("from.email", {"from": {"email": "x"}}),
        ("subject", {"subject": ""}),
        ("content", {"content": []}),
        ("content", {"content": [{"type": "text/html", "value": "x"}] * 2}),
        ("personalizations", {"personalizations": []}),
        ("personalizations", {"personalizations": [{"to": [{"email": "a@b.example"}]}] * 1001}),
        ("personalizations.0.to", {"personalizations": [{}]}),
        ("custom_args", {"custom_args": {"n": 1}}),
        ("custom_args", {"custom_args": {"n": "x" * 10_000}}),
        (None, {"personalizations": ["x"]}),
    ],
)
def test_sendgrid_names_the_field_that_is_wrong(
    sim: Simulators, field: str | None, changes: dict[str, Any]
) -> None:
    if changes.get("content"):
        changes["content"][1] = {"type": "text/plain", "value": "x"}

    with pytest.raises(BadRequestsError) as error:
        sendgrid(sim).send(mail("r1") | changes)

    assert error.value.to_dict["errors"][0]["field"] == field


def test_reserved_headers_cannot_be_set(sim: Simulators) -> None:
    document = mail("r1")
    document["personalizations"][0]["headers"] = {"Reply-To": "x@y.example"}

    with pytest.raises(BadRequestsError):
        sendgrid(sim).send(document)


def test_sendgrid_knows_its_key(sim: Simulators) -> None:
    with pytest.raises(UnauthorizedError):
        SendGridAPIClient("SG.guessed", host=sim.base).send(mail("r1"))


def test_the_sandbox_sends_nothing(sim: Simulators) -> None:
    document = mail("r1") | {"mail_settings": {"sandbox_mode": {"enable": True}}}

    assert sendgrid(sim).send(document).status_code == 200
    assert sim.accepts() == []


def test_smtplib_sends(sim: Simulators) -> None:
    letter = EmailMessage()
    letter["Subject"], letter["From"], letter["Message-ID"] = "Hi", "a@b.example", "<r1@b.example>"
    letter.set_content("One line\n.\nand a dot\n")

    with smtplib.SMTP("127.0.0.1", sim.ports["smtp"], local_hostname="b.example") as relay:
        refused = relay.send_message(letter, to_addrs=["m@x.example", "n@x.example"])
        extensions = set(relay.esmtp_features)

    assert refused == {}
    assert {"pipelining", "8bitmime", "enhancedstatuscodes", "size"} <= extensions
    accepted = sim.accepts("smtp")
    assert [(row["ref"], row["to"]) for row in accepted] == [
        ("r1", "m@x.example"),
        ("r1", "n@x.example"),
    ]


def test_smtp_commands_have_an_order(sim: Simulators) -> None:
    with smtplib.SMTP("127.0.0.1", sim.ports["smtp"], local_hostname="b.example") as relay:
        assert relay.docmd("MAIL FROM:<a@b.example>")[0] == 503
        assert relay.ehlo()[0] == 250
        assert relay.docmd("RCPT TO:<m@x.example>")[0] == 503
        assert relay.docmd("DATA")[0] == 503
        assert relay.docmd("MAIL FROM:<a b>")[0] == 501
        assert relay.docmd("MAIL FROM:<a@b.example> BODY=8BITMIME")[0] == 250
        assert relay.docmd("RCPT TO:<nobody>")[0] == 501
        assert relay.docmd("DATA")[0] == 554
        assert relay.rset()[0] == 250
        assert relay.docmd("TURN")[0] == 500


# -- our own adapters -------------------------------------------------------------------------


def test_the_settings_fit_our_adapters(sim: Simulators, http: Egress) -> None:
    for name in ("sendgrid", "smtp", "twilio", "fcm"):
        refs = [ref for ref in map("x{}".format, range(20)) if not STORY.unregistered(ref)]
        outcomes = send(sim, http, name, refs)

        assert {type(outcome) for outcome in outcomes.values()} == {Accepted}, outcomes
        assert sorted(row["ref"] for row in sim.accepts(name)) == sorted(refs)


def test_an_app_that_was_removed_is_unregistered(sim: Simulators, http: Egress) -> None:
    ref = next(ref for ref in map("x{}".format, range(999)) if STORY.unregistered(ref))

    outcome = send(sim, http, "fcm", [ref])[ref]

    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.address_invalid) == ("UNREGISTERED", True)
    assert sim.accepts() == []


def test_fcm_believes_its_own_service_account_only(sim: Simulators, http: Egress) -> None:
    stranger = Keys.of_seed(SEED + 1).fcm_private
    config = sim.config | {"fcm": sim.config["fcm"] | {"private_key": stranger}}

    outcome = send(sim, http, "fcm", ["x1"], config=config)["x1"]

    assert isinstance(outcome, Rejected)
    assert outcome.account_fault


FAULTS = {
    # fault: what HTTP adapters make of it, whether the message was taken; the same for SMTP
    "lost": (Ambiguous, True, Ambiguous, True),
    "reset": (Ambiguous, False, Ambiguous, False),
    "429": (NotSent, False, NotSent, False),
    "400": (Rejected, False, Rejected, False),
    "empty": (Accepted, True, Accepted, True),
    "odd": (Accepted, True, Accepted, True),
    "500": (Ambiguous, None, NotSent, False),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_what_the_adapters_know_it_as(log: Path, http: Egress, kind: str) -> None:
    web, web_taken, relay, relay_taken = FAULTS[kind]
    script = {name: {kind: 1.0} for name in ("sendgrid", "smtp", "twilio", "fcm")}
    ref = next(ref for ref in map("x{}".format, range(99)) if not STORY.unregistered(ref))

    with simulating(log, script=script) as sim:
        for name in script:
            outcome = send(sim, http, name, [ref])[ref]

            wanted, taken = (relay, relay_taken) if name == "smtp" else (web, web_taken)
            assert isinstance(outcome, wanted), (name, outcome)
            assert taken is None or bool(sim.accepts(name)) is taken, name


def test_a_429_says_when_to_come_back(log: Path, http: Egress) -> None:
    with simulating(log, script={"twilio": {"429": 1}}) as sim:
        outcome = send(sim, http, "twilio", ["x1"])["x1"]

        assert isinstance(outcome, NotSent)
        assert outcome.retry_after == 1.0


def test_half_of_the_internal_errors_had_taken_the_message(log: Path, http: Egress) -> None:
    refs = [f"x{number}" for number in range(60)]

    with simulating(log, script={"twilio": {"500": 1}}) as sim:
        outcomes = send(sim, http, "twilio", refs)

        assert all(isinstance(outcome, Ambiguous) for outcome in outcomes.values())
        assert 15 < len(sim.accepts("twilio")) < 45


def test_a_second_try_has_its_own_luck(log: Path, http: Egress) -> None:
    with simulating(log, script={"twilio": {"429": 0.5}}) as sim:
        outcomes = [type(send(sim, http, "twilio", ["x1"])["x1"]) for _ in range(12)]

        assert {Accepted, NotSent} == set(outcomes)


# -- the log ----------------------------------------------------------------------------------


def test_an_accept_is_in_the_log_before_its_answer(log: Path) -> None:
    script = {name: {"slow": 1, "slow_seconds": 3600} for name in ("sendgrid", "smtp", "twilio")}
    impatient = Egress(allow_private=True, read_timeout=0.4)

    with simulating(log, script=script) as sim:
        for name in ("sendgrid", "twilio"):
            assert isinstance(send(sim, impatient, name, ["x1"])["x1"], Ambiguous)
            sim.until(lambda name=name: [row["ref"] for row in sim.accepts(name)] == ["x1"])
        left_hanging(sim, "x1")
        sim.until(lambda: [row["ref"] for row in sim.accepts("smtp")] == ["x1"])
    impatient.close()


def test_a_line_torn_by_a_kill_is_no_accept(log: Path, http: Egress) -> None:
    log.write_text('{"provider":"twilio","ref":"x0","to":"+1')

    with simulating(log) as sim:
        send(sim, http, "twilio", ["x1"])

        assert sim.state()["accepted"] == {"twilio": 1}
        assert json.loads(log.read_text().splitlines()[1])["ref"] == "x1"


def test_two_sends_of_one_reference_are_two_messages(log: Path, http: Egress) -> None:
    for _ in range(2):
        with simulating(log) as sim:
            send(sim, http, "twilio", ["x1"])

    rows = sim.accepts("twilio")
    assert [row["ref"] for row in rows] == ["x1", "x1"]
    assert rows[0]["provider_id"] != rows[1]["provider_id"]


# -- webhooks ---------------------------------------------------------------------------------


def test_twilio_signs_what_the_official_validator_believes(
    log: Path, http: Egress, inbox: Receiver, base: str
) -> None:
    refs = [f"x{number}" for number in range(40)]

    with simulating(log, hooks=base) as sim:
        send(sim, http, "twilio", refs, callback=f"{base}/tw?b=%20z&a=")
        sim.settled(inbox)

        validator = RequestValidator(sim.keys.auth_token)
        hooks = inbox.at("/tw") + inbox.at("/in")
        assert len(inbox.at("/tw")) >= 2 * len(refs)
        for hook in hooks:
            signature = hook.headers["x-twilio-signature"]
            assert validator.validate(base + hook.path, hook.form, signature)
            assert not validator.validate(base + hook.path + "0", hook.form, signature)


def test_sendgrid_signs_what_the_official_validator_believes(
    posting: Simulators, http: Egress, inbox: Receiver
) -> None:
    send(posting, http, "sendgrid", [f"x{number}" for number in range(150)])
    posting.settled(inbox)

    validator = EventWebhook(posting.keys.sendgrid_public)
    for hook in inbox.at("/sg"):
        signature = hook.headers["x-twilio-email-event-webhook-signature"]
        timestamp = hook.headers["x-twilio-email-event-webhook-timestamp"]
        assert validator.verify_signature(hook.body.decode(), signature, timestamp)
        assert hook.body.endswith(b"\r\n")
        assert len(hook.events) <= 100


def test_the_app_signs_its_acknowledgements(
    posting: Simulators, http: Egress, inbox: Receiver
) -> None:
    send(posting, http, "fcm", [f"x{number}" for number in range(50)])
    posting.settled(inbox)

    key = posting.keys.ack_key.encode()
    for hook in inbox.at("/fcm"):
        made = hmac.new(key, hook.body, "sha256").hexdigest()
        assert hook.headers["x-echelonx-signature"] == made
    words = {event["event"] for hook in inbox.at("/fcm") for event in hook.events}
    assert words == {"delivered", "opened"}


def test_every_event_arrives_some_repeatedly_and_in_no_order(
    posting: Simulators, http: Egress, inbox: Receiver
) -> None:
    refs = [f"x{number}" for number in range(400)]
    before = posting.state()["acked_by"].get("sendgrid", 0)

    send(posting, http, "sendgrid", refs)
    after = posting.settled(inbox)["acked_by"]["sendgrid"]

    events = [event for hook in inbox.at("/sg") for event in hook.events]
    told = {(event["ex_ref"], word(event)) for event in events}
    silent = {"open", "machine_open", "click", "unsubscribe"}  # our own tracking, not SendGrid's
    assert told == {(r, act) for r in refs for act in STORY.email(r) if act not in silent}
    copies = Counter(event["sg_event_id"] for event in events)
    assert len(copies) == len(told)
    assert len(copies) < len(events) < 1.5 * len(copies)
    assert max(copies.values()) >= 3
    assert after - before == len(events)
    times = [event["timestamp"] for event in events]
    assert times != sorted(times)
    order = [event["ex_ref"] for event in events if event["event"] == "processed"]
    assert order != sorted(order, key=refs.index)


def test_an_event_tells_the_same_each_time(
    posting: Simulators, http: Egress, inbox: Receiver
) -> None:
    send(posting, http, "sendgrid", [f"x{number}" for number in range(300)])
    posting.settled(inbox)

    told: dict[str, dict[str, Any]] = {}
    for event in (event for hook in inbox.at("/sg") for event in hook.events):
        assert told.setdefault(event["sg_event_id"], event) == event


def test_with_its_own_tracking_on_sendgrid_reports_opens_and_clicks(
    posting: Simulators, inbox: Receiver
) -> None:
    refs = [f"x{number}" for number in range(200)]

    sendgrid(posting).send(mail(*refs))
    posting.settled(inbox)

    told = {(e["ex_ref"], word(e)) for hook in inbox.at("/sg") for e in hook.events}
    assert told == {(r, act) for r in refs for act in STORY.email(r) if act != "unsubscribe"}
    assert {act for _, act in told} >= {"open", "machine_open", "click"}


def test_a_reader_follows_the_messages_own_links(
    posting: Simulators, http: Egress, inbox: Receiver, base: str
) -> None:
    refs = [f"x{number}" for number in range(600)]
    lives = {ref: STORY.email(ref) for ref in refs}

    send(posting, http, "sendgrid", refs, links=base)
    posting.settled(inbox)

    assert {hook.path for hook in inbox.at("/c/")} == {
        f"/c/tok-{ref}" for ref, life in lives.items() if "click" in life
    }
    assert {hook.path for hook in inbox.at("/o/")} == {
        f"/o/tok-{ref}.gif" for ref, life in lives.items() if {"open", "machine_open"} & {*life}
    }
    posts = inbox.at("/u/")
    assert {hook.path for hook in posts} == {
        f"/u/tok-{ref}" for ref, life in lives.items() if "unsubscribe" in life
    }
    assert {(hook.method, hook.body) for hook in posts} == {("POST", b"List-Unsubscribe=One-Click")}


def test_a_public_link_is_followed_at_the_webhook_base_only(log: Path, base: str) -> None:
    reached = Hooks(base).reach("https://mail.example.org/c/token?x=1")

    assert reached == f"{base}/c/token?x=1"
    assert Hooks().reach("https://mail.example.org/c/token") is None
    assert Hooks().reach("http://10.0.0.1/c/token") is None
    with pytest.raises(HookError):
        Hooks("https://mail.example.org")


def test_a_webhook_comes_again_until_it_is_acknowledged(
    log: Path, http: Egress, inbox: Receiver, base: str
) -> None:
    answers = iter([403, 503, 500, 404, 302])
    inbox.verdict = lambda _: next(answers, 204)

    with simulating(log, hooks=base, delay=0.0) as sim:
        send(sim, http, "twilio", ["x1", "x2", "x3"], callback=f"{base}/tw?a=")
        state = sim.settled(inbox)

    assert state["failed"] == len(inbox.refused) == 5
    assert {urllib.parse.urlsplit(hook.path).query for hook in inbox.hooks} == {
        "a=x1",
        "a=x2",
        "a=x3",
    }


def test_webhooks_wait_for_an_address(log: Path, http: Egress, inbox: Receiver, base: str) -> None:
    with simulating(log) as sim:
        send(sim, http, "sendgrid", ["x1", "x2"])
        owed = sim.state()["owed"]

        sim.ask("POST", "/_sim/webhooks", {"sendgrid": f"{base}/late"})
        sim.settled(inbox)

        assert owed >= 4
        assert sum(len(hook.events) for hook in inbox.at("/late")) == owed


def test_a_wrong_webhook_name_is_refused(sim: Simulators) -> None:
    answer = sim.ask("POST", "/_sim/webhooks", {"sendgird": "http://127.0.0.1/"})

    assert answer["field"] == "sendgird"


def test_a_restart_posts_what_was_not_acknowledged_and_nothing_else(
    log: Path, http: Egress, inbox: Receiver, base: str
) -> None:
    refs = [f"x{number}" for number in range(30)]
    inbox.verdict = lambda hook: 204 if "MessageStatus=sent" in hook.body.decode() else 503
    with simulating(log, hooks=base, killed=True) as sim:
        send(sim, http, "twilio", refs, callback=f"{base}/tw?a=")
        inbox.wait(
            lambda: {hook.path for hook in inbox.refused} >= {f"/tw?a={r}" for r in refs[:9]}
        )
        inbox.wait(lambda: sum("webhook" in line for line in sim.lines()) >= 25)
    acked = [line["webhook"] for line in sim.lines() if "webhook" in line]
    inbox.hooks, inbox.verdict = [], lambda _: 204

    with simulating(log, hooks=base) as sim:
        sim.settled(inbox)

    told = {(hook.path.partition("=")[2], hook.form["MessageStatus"]) for hook in inbox.at("/tw")}
    finals = {(ref, fate) for ref in refs if (fate := STORY.sms(ref)[0]) != "sent"}
    assert finals <= told
    repeated = [line["webhook"] for line in sim.lines() if "webhook" in line][len(acked) :]
    assert not set(repeated) & set(acked)
    # Posts of the killed process may still have been on their way, so what is told is compared.
    posted = {f"{hook.form['MessageSid']}.{hook.form['MessageStatus']}" for hook in inbox.at("/tw")}
    assert posted == {name.partition("#")[0] for name in repeated}


def test_two_runs_of_one_seed_tell_one_story(
    tmp_path: Path, http: Egress, inbox: Receiver, base: str
) -> None:
    stories = []
    for seed in (SEED, SEED, SEED + 1):
        inbox.hooks = []
        with simulating(tmp_path / f"{len(stories)}", seed=seed, hooks=base) as sim:
            send(sim, http, "twilio", [f"x{n}" for n in range(150)], callback=f"{base}/tw?a=")
            sim.settled(inbox)
        stories.append(
            {
                (hook.path, hook.form.get("MessageStatus", hook.form.get("Body")))
                for hook in inbox.hooks
            }
        )

    assert stories[0] == stories[1] != stories[2]


def test_who_replied_stop_is_not_sent_to_again(
    log: Path, http: Egress, inbox: Receiver, base: str
) -> None:
    ref = next(r for r in map("x{}".format, range(9999)) if STORY.sms(r)[2] == "STOP")
    with simulating(log, hooks=base) as sim:
        send(sim, http, "twilio", [ref])
        inbox.wait(lambda: inbox.at("/in"))
        form = inbox.at("/in")[0].form
        again = send(sim, http, "twilio", ["x1"], to=form["From"])["x1"]
    with simulating(log, hooks=base) as sim:
        later = send(sim, http, "twilio", ["x2"], to=form["From"])["x2"]

    assert (form["Body"], form["OptOutType"], form["To"]) == ("STOP", "STOP", NUMBER)
    for outcome in (again, later):
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.opted_out) == ("21610", True)


# -- the script -------------------------------------------------------------------------------


def test_shares_are_those_of_the_real_world() -> None:
    people = [f"x{number}" for number in range(20_000)]
    mails = Counter(act for ref in people for act in STORY.email(ref))
    texts = Counter(part for ref in people for part in STORY.sms(ref))
    pushes = Counter(act for ref in people for act in STORY.push(ref))

    def share(count: int) -> float:
        return round(100 * count / len(people), 1)

    assert share(mails["delivered"]) == pytest.approx(97.5, abs=0.5)
    assert share(mails["bounce"]) == pytest.approx(1.5, abs=0.3)
    assert share(mails["blocked"] + mails["dropped"]) == pytest.approx(1.0, abs=0.3)
    assert share(mails["open"]) == pytest.approx(34, abs=1)
    assert share(mails["click"]) == pytest.approx(12, abs=1)
    assert share(texts["delivered"]) == pytest.approx(94, abs=0.6)
    assert share(texts["undelivered"]) == pytest.approx(4, abs=0.5)
    assert share(texts["yes"]) == pytest.approx(2.8, abs=0.5)
    assert share(pushes["delivered"]) == pytest.approx(95, abs=0.6)
    assert share(pushes["opened"]) == pytest.approx(7.6, abs=0.8)


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ('{"twillio": {}}', "twillio"),
        ('{"twilio": {"loss": 0.1}}', "twilio.loss"),
        ('{"twilio": {"lost": "much"}}', "twilio.lost"),
        ('{"twilio": {"lost": 0.7, "slow": 0.7}}', "twilio"),
        ("[]", "--script"),
    ],
)
def test_a_script_that_cannot_be_followed_is_refused(log: Path, script: str, named: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "channels.simulators", "--log", str(log), "--script", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )

    assert ended.returncode == 2
    assert named in ended.stderr


def test_what_is_no_request_ends_the_connection(sim: Simulators) -> None:
    line = Egress(allow_private=True)

    assert line.request("GET", f"{sim.base}/nothing").status == 404
    assert line.request("POST", f"{sim.base}/x", headers={"Transfer-Encoding": "x"}).status in (
        None,
        411,
    )
    line.close()


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    with simulating(tmp_path_factory.mktemp("silent") / "log") as found:
        yield found


@pytest.fixture
def sim(silent: Simulators) -> Simulators:
    """A process that posts nowhere, with nothing accepted yet."""
    silent.mark()
    return silent


@pytest.fixture(scope="module")
def posting(
    receiver: tuple[Receiver, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Simulators]:
    """A process that posts to the receiver; for SendGrid and the app, which remember nobody."""
    log = tmp_path_factory.mktemp("posting") / "log"
    with simulating(log, hooks=receiver[1]) as found:
        yield found


def twilio(sim: Simulators, token: str | None = None) -> Client:
    client = Client(
        sim.keys.account_sid,
        token or sim.keys.auth_token,
        http_client=TwilioHttpClient(pool_connections=False),
    )
    client.api.base_url = sim.base
    return client


def sendgrid(sim: Simulators) -> SendGridAPIClient:
    return SendGridAPIClient(sim.keys.api_key, host=sim.base)


def mail(*refs: str) -> dict[str, Any]:
    """Return a call as somebody makes it who leaves tracking to SendGrid."""
    return {
        "from": {"email": "hello@elevate.example"},
        "subject": "Hi",
        "content": [{"type": "text/html", "value": "<p>Hi</p>"}],
        "personalizations": [
            {"to": [{"email": f"{ref}@x.example"}], "custom_args": {"ex_ref": ref}} for ref in refs
        ],
    }


def word(event: dict[str, Any]) -> str:
    """Return the script's word for a SendGrid event."""
    if event.get("sg_machine_open"):
        return "machine_open"
    return "blocked" if event.get("type") == "blocked" else str(event["event"])


def send(
    sim: Simulators,
    http: Egress,
    name: str,
    refs: list[str],
    *,
    to: str | None = None,
    callback: str = "http://127.0.0.1:9/tw?a=",
    links: str = "",
    config: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Outcome]:
    """Send with our own adapter; return the outcomes by reference."""
    settings = (config or sim.config)[name]
    adapter: Sender = sender(name).from_config(settings, Ports(http, SystemClock()))
    try:
        return dict(
            adapter.send(messages(adapter.channel, refs, to, callback, links), lambda: False)
        )
    finally:
        adapter.close()


def messages(
    channel: Channel, refs: list[str], to: str | None, callback: str, links: str
) -> list[OutgoingMessage]:
    faces = {
        Channel.EMAIL: (Face("subject", ("Hi",)), Face("html", ("<p>", "</p>"))),
        Channel.SMS: (Face("body", ("Hi ", "")),),
        Channel.PUSH: (Face("title", ("Hi",)), Face("body", ("Hi ", ""))),
    }
    address = {Channel.EMAIL: "{}@x.example", Channel.SMS: "+15005{:06}", Channel.PUSH: "token-{}"}
    skeleton = Skeleton(channel, faces[channel])
    return [
        OutgoingMessage(
            reference=ref,
            to=to or address[channel].format(int(ref[1:]) if channel is Channel.SMS else ref),
            skeleton=skeleton,
            values=(HTML.format(base=links, ref=ref) if links else "Ana",),
            headers=(
                ("List-Unsubscribe", f"<{links or 'https://x.example'}/u/tok-{ref}>"),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ),
            status_url=callback + ref,
        )
        for ref in refs
    ]
