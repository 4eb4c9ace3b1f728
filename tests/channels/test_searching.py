"""The searching half of adapters: what a provider says of a message nobody can tell about."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from channels.adapter import CannotSay, Found, OutgoingMessage, Ports, Query, Searcher
from channels.channel import Channel
from channels.registry import SEARCHABLE, adapter_names, searcher, sender
from channels.skeleton import Face, Skeleton
from core.clock import SystemClock
from core.http import Egress
from tests.channels.loopback import (
    Act,
    HttpServer,
    answer,
    garbage,
    hang_up,
    reset,
    running,
    silence,
)
from tests.channels.simulated import Simulators, simulating

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CONFIG = {
    "sendgrid": {"api_key": "SG.key", "from_email": "a@elevate.example"},
    "twilio": {"account_sid": "AC1", "auth_token": "t", "from_number": "+15005550001"},
}
TO = {"sendgrid": "ana@example.com", "twilio": "+15005551234"}
EACH = pytest.mark.parametrize("name", sorted(SEARCHABLE))


def query(name: str, **values: Any) -> Query:
    """Ask about a message that left at noon."""
    given = {
        "references": ("ref2", "ref1"),
        "to": TO[name],
        "body": "Hi Ana",
        "begun": NOON,
        "ended": NOON + timedelta(minutes=4),
    }
    return Query(**given | values)


def listed(**values: Any) -> dict[str, Any]:
    """A message as Twilio lists it."""
    return {
        "sid": "SM1",
        "direction": "outbound-api",
        "body": "Hi Ana",
        "status": "sent",
        "messaging_service_sid": None,
        "date_created": format_datetime(NOON + timedelta(seconds=30)),
        "date_sent": None,
    } | values


def twilio(*messages: dict[str, Any]) -> Act:
    body = {"messages": list(messages), "page": 0, "page_size": 50, "next_page_uri": None}
    return answer(200, json.dumps(body).encode())


def sendgrid(*messages: Any) -> Act:
    return answer(200, json.dumps({"messages": list(messages)}).encode())


def activity(**values: Any) -> dict[str, Any]:
    """A message as SendGrid's Email Activity lists it."""
    return {"msg_id": "m1.recvd-1", "to_email": "Ana@example.com", "status": "delivered"} | values


def asked(
    name: str, act: Act, given: Query | None = None, **settings: Any
) -> tuple[Any, HttpServer]:
    """Ask a server that does `act`; return what the adapter makes of it."""
    with running(HttpServer(act)) as server:
        patience = 0.5 if act is silence else 60.0
        http = Egress(allow_private=True, read_timeout=patience, total_timeout=2 * patience)
        adapter = built(name, CONFIG[name] | {"base_url": server.url} | settings, http)
        found = adapter.find(given or query(name))
        adapter.close()
        http.close()
    return found, server


def built(name: str, config: dict[str, Any], http: Egress) -> Searcher:
    kind = searcher(name)
    assert kind is not None
    return kind.from_config(config, Ports(http=http))


def test_who_can_be_asked_is_known_without_importing_them() -> None:
    assert {name for name in adapter_names() if hasattr(sender(name), "find")} == SEARCHABLE
    assert searcher("smtp") is None


@EACH
def test_absence_is_no_proof(name: str) -> None:
    kind = searcher(name)
    assert kind is not None
    assert not kind.search_complete


@EACH
def test_nothing_listed_is_nothing_found(name: str) -> None:
    found, _ = asked(name, {"twilio": twilio(), "sendgrid": sendgrid()}[name])
    assert found == ()


@EACH
@pytest.mark.parametrize(
    ("act", "of_account", "again"),
    [
        (answer(401), True, False),
        (answer(403), True, False),
        (answer(404), True, False),
        (answer(429), True, True),
        (answer(503), True, True),
        (answer(500), False, True),
        (answer(400), False, False),
        (answer(200, b"<html>"), False, False),
        (answer(200, b"[]"), False, False),
        (answer(200, b'{"messages": 3}'), False, False),
        (garbage, False, True),
        (hang_up, False, True),
        (reset, False, True),
        (silence, False, True),
    ],
)
def test_whatever_else_it_answers_it_cannot_say(
    name: str, act: Act, of_account: bool, again: bool
) -> None:
    found, _ = asked(name, act)

    assert isinstance(found, CannotSay)
    assert (found.of_account, found.again) == (of_account, again)
    assert TO[name] not in found.reason


# -- Twilio: by number, text and time ---------------------------------------------------------


def test_twilio_is_asked_by_number_and_day() -> None:
    _, server = asked("twilio", twilio())

    [request] = server.requests
    parts = urlsplit(request.path)
    assert (request.method, parts.path) == ("GET", "/2010-04-01/Accounts/AC1/Messages.json")
    assert parse_qs(parts.query) == {
        "To": ["+15005551234"],
        "From": ["+15005550001"],
        "DateSent>": ["2026-11-21T12:00:00Z"],
        "DateSent<": ["2026-11-21T22:04:00Z"],
        "PageSize": ["50"],
    }


def test_twilio_never_proves_whose_it_is() -> None:
    found, _ = asked("twilio", twilio(listed()))

    assert found == (Found("SM1", False, NOON + timedelta(seconds=30), "sent"),)


@pytest.mark.parametrize(
    "values",
    [
        {"body": "Hi Bo"},
        {"body": None},
        {"direction": "inbound"},
        {"sid": None},
        {"date_created": format_datetime(NOON - timedelta(seconds=1))},
        {"date_created": format_datetime(NOON + timedelta(seconds=241))},
        {"date_created": None},
        {"date_created": "yesterday"},
    ],
)
def test_twilio_lists_others_that_are_not_meant(values: dict[str, Any]) -> None:
    found, _ = asked("twilio", twilio(listed(**values)))
    assert found == ()


def test_all_that_look_alike_are_told() -> None:
    found, _ = asked("twilio", twilio(listed(), listed(sid="SM2", body="Hi Ana\n")))
    assert [one.provider_id for one in found] == ["SM1", "SM2"]


def test_a_number_with_too_many_messages_is_not_looked_through() -> None:
    found, _ = asked("twilio", twilio(*[listed(sid=f"SM{n}") for n in range(50)]))
    assert found == CannotSay("too many messages to one number")


def test_a_messaging_service_is_compared_instead_of_the_sender() -> None:
    act = twilio(listed(messaging_service_sid="MG1"), listed(sid="SM2"))

    found, server = asked("twilio", act, from_number=None, messaging_service_sid="MG1")

    assert [one.provider_id for one in found] == ["SM1"]
    assert "From" not in parse_qs(urlsplit(server.requests[0].path).query)


# -- SendGrid: by our reference ---------------------------------------------------------------


def test_sendgrid_is_asked_by_our_references() -> None:
    _, server = asked("sendgrid", sendgrid())

    [request] = server.requests
    parts = urlsplit(request.path)
    assert (request.method, parts.path) == ("GET", "/v3/messages")
    assert parse_qs(parts.query) == {
        "limit": ["10"],
        "query": ["(unique_args['ex_ref']=\"ref2\") OR (unique_args['ex_ref']=\"ref1\")"],
    }
    assert request.headers["authorization"] == "Bearer SG.key"


def test_what_sendgrid_has_under_our_reference_is_proven() -> None:
    found, _ = asked("sendgrid", sendgrid(activity()))
    assert found == (Found("m1.recvd-1", True, None, "delivered"),)


def test_a_filter_that_was_not_understood_proves_nothing() -> None:
    act = sendgrid(activity(), activity(to_email="bo@example.com"))

    found, _ = asked("sendgrid", act)

    assert isinstance(found, CannotSay)
    assert found.of_account


@pytest.mark.parametrize("row", [None, 3, {}, {"msg_id": "m1"}, {"to_email": "ana@example.com"}])
def test_what_is_no_message_is_passed_over(row: Any) -> None:
    found, _ = asked("sendgrid", sendgrid(row))
    assert found == ()


# -- on the wire, at the simulators -----------------------------------------------------------


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    with simulating(Path(tmp_path_factory.mktemp("sim")) / "log") as found:
        yield found


def sent(sim: Simulators, http: Egress, name: str, reference: str, body: str) -> None:
    channel = {"twilio": Channel.SMS, "sendgrid": Channel.EMAIL}[name]
    faces = {"twilio": ("body",), "sendgrid": ("subject", "text")}[name]
    message = OutgoingMessage(
        reference=reference,
        to=TO[name],
        skeleton=Skeleton(channel, tuple(Face(face, (body,)) for face in faces)),
        values=(),
    )
    adapter = sender(name).from_config(sim.config[name], Ports(http=http))
    list(adapter.send([message], lambda: False))
    adapter.close()


@EACH
def test_a_simulated_provider_finds_what_it_took(name: str, sim: Simulators) -> None:
    http = Egress(allow_private=True)
    sent(sim, http, name, "there1", "Hi Ana, there")
    adapter = built(name, sim.config[name], http)
    now = SystemClock().now()
    span = {"begun": now - timedelta(minutes=1), "ended": now + timedelta(minutes=1)}

    there = adapter.find(query(name, references=("there1",), body="Hi Ana, there", **span))
    absent = adapter.find(query(name, references=("other1",), body="Hi Ana, not", **span))

    [accepted] = [one for one in sim.accepts(name) if one["to"] == TO[name]]
    assert isinstance(there, tuple)
    assert [one.provider_id for one in there] == [accepted["provider_id"]]
    assert absent == ()
    adapter.close()
    http.close()


@EACH
def test_a_simulated_provider_knows_its_account(name: str, sim: Simulators) -> None:
    secret = {"twilio": "auth_token", "sendgrid": "api_key"}[name]
    http = Egress(allow_private=True)
    adapter = built(name, sim.config[name] | {secret: "guessed"}, http)

    found = adapter.find(query(name))

    assert isinstance(found, CannotSay)
    assert found.of_account
    adapter.close()
    http.close()


def test_sendgrid_is_not_asked_about_nothing() -> None:
    """An empty filter would list anybody's messages, and they would count as proof."""
    found, server = asked("sendgrid", sendgrid(activity()), query("sendgrid", references=()))

    assert found == CannotSay("nothing to ask for")
    assert server.requests == []
