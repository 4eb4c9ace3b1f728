"""Mirrors channels/providers/sendgrid.py."""

import base64
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from channels.adapter import EventType, RawWebhook
from channels.channel import Channel
from channels.outcome import Accepted, NotSent, Rejected
from channels.settings import ConfigError
from tests.channels.conformance import (
    HttpSenderConformance,
    ReceiverConformance,
    messages,
    never,
)
from tests.channels.loopback import Act, HttpServer, Request, answer, running

KEY = ec.generate_private_key(ec.SECP256R1())


def public_text(key: Any) -> str:
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(der).decode()


def errors(*found: tuple[str | None, str]) -> bytes:
    return json.dumps(
        {"errors": [{"field": field, "message": message, "help": None} for field, message in found]}
    ).encode()


class TestSending(HttpSenderConformance):
    provider: ClassVar[str] = "sendgrid"
    ok: ClassVar[Act] = staticmethod(answer(202, X_Message_Id="MSGID"))

    def config(self, server: HttpServer) -> dict[str, Any]:
        return {
            "api_key": "SG.k",
            "from_email": "shop@example.com",
            "from_name": "Shop",
            "base_url": server.url,
        }

    def arrived(self, server: HttpServer) -> int:
        return sum(len(request.json()["personalizations"]) for request in server.requests)

    def sent(self, batch: list[Any]) -> list[dict[str, Any]]:
        """Send and return the calls the server saw."""
        with running(self.server()) as server:
            adapter = self.build(server, reply_to="desk@example.com")
            assert len(list(adapter.send(batch, never))) == len(batch)
            adapter.close()
            return [request.json() for request in server.requests]

    def test_one_call_carries_the_static_text_once_and_the_values_of_each(self) -> None:
        [call] = self.sent(messages(Channel.EMAIL, 3))

        shown = [filled(call, number) for number in range(3)]
        assert shown == [
            (f"m{n}@example.com", f"Hello Ana{n}", f"Hi Ana{n}\n", f"<p>Hi Ana{n}</p>")
            for n in range(3)
        ]
        assert [p["custom_args"] for p in call["personalizations"]] == [
            {"ex_ref": f"ref{n}"} for n in range(3)
        ]
        assert call["from"] == {"email": "shop@example.com", "name": "Shop"}
        assert call["reply_to"] == {"email": "desk@example.com"}

    def test_the_providers_own_tracking_is_off(self) -> None:
        [call] = self.sent(messages(Channel.EMAIL))
        assert call["tracking_settings"] == {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
        }

    def test_a_call_carries_at_most_a_thousand(self) -> None:
        calls = self.sent(messages(Channel.EMAIL, 2_001))
        assert Counter(len(call["personalizations"]) for call in calls) == {1000: 2, 1: 1}

    def test_skeletons_do_not_share_a_call(self) -> None:
        calls = self.sent(messages(Channel.EMAIL, 2) + messages(Channel.EMAIL, 2))
        assert [len(call["personalizations"]) for call in calls] == [2, 2]

    def test_a_message_too_long_for_substitutions_travels_alone(self) -> None:
        short, long = messages(Channel.EMAIL, 2)
        long = replace(long, values=("Ana", "é" * 5_000, "Ana"))
        calls = self.sent([short, long])
        assert len(calls) == 2
        assert all("substitutions" not in call["personalizations"][0] for call in calls)
        assert any("é" * 5_000 in json.dumps(call, ensure_ascii=False) for call in calls)

    def test_a_value_cannot_stand_for_another(self) -> None:
        first, second = messages(Channel.EMAIL, 2)
        [call] = self.sent([replace(first, values=("-ex0-", "-ex.1-", "x")), second])
        assert filled(call, 0)[1:] == ("Hello -ex0-", "Hi x\n", "<p>Hi -ex.1-</p>")

    def test_no_header_breaks_a_line(self) -> None:
        [message] = messages(Channel.EMAIL)
        evil = replace(
            message,
            values=("a\r\nBcc: b@example.com", "x", "x"),
            headers=(("List-Unsubscribe", "<https://x>\r\nBcc: b@example.com"),),
        )
        [call] = self.sent([evil])
        assert call["subject"] == "Hello a Bcc: b@example.com"
        assert "\n" not in call["personalizations"][0]["headers"]["List-Unsubscribe"]

    def test_the_request_id_names_a_message_only_if_it_travelled_alone(self) -> None:
        with running(self.server()) as server:
            adapter = self.build(server)
            alone = dict(adapter.send(messages(Channel.EMAIL, 1), never))
            together = dict(adapter.send(messages(Channel.EMAIL, 2), never))
            adapter.close()
        assert alone == {"ref0": Accepted("MSGID", "202")}
        assert together == {"ref0": Accepted(None, "202"), "ref1": Accepted(None, "202")}

    def test_a_bad_address_is_refused_alone_and_the_others_go_out(self) -> None:
        bad = answer(400, errors(("personalizations.1.to.0.email", "Does not contain a valid")))
        with running(self.script(bad, type(self).ok)) as server:
            adapter = self.build(server)
            found = dict(adapter.send(messages(Channel.EMAIL, 3), never))
            adapter.close()
            calls = [request.json() for request in server.requests]

        assert isinstance(found["ref1"], Rejected)
        assert found["ref1"].address_invalid
        assert found["ref0"] == found["ref2"] == Accepted(None, "202")
        assert [p["to"][0]["email"] for p in calls[1]["personalizations"]] == [
            "m0@example.com",
            "m2@example.com",
        ]

    def test_a_bad_sender_refuses_everybody_and_blames_nobody(self) -> None:
        bad = answer(400, errors(("from.email", "not verified")))
        with running(self.script(bad)) as server:
            adapter = self.build(server)
            found = dict(adapter.send(messages(Channel.EMAIL, 3), never))
            adapter.close()
            assert len(server.requests) == 1
        assert found == {f"ref{n}": Rejected("400", "HTTP 400 not verified") for n in range(3)}

    def test_a_call_too_large_is_halved_until_it_fits(self) -> None:
        def at_most_two(connection: Any, request: Request) -> None:
            fits = len(request.json()["personalizations"]) <= 2
            answer(202 if fits else 413)(connection, request)

        with running(self.script(at_most_two)) as server:
            adapter = self.build(server)
            found = list(adapter.send(messages(Channel.EMAIL, 7), never))
            adapter.close()
        assert sorted(ref for ref, _ in found) == [f"ref{n}" for n in range(7)]
        assert all(isinstance(outcome, Accepted) for _, outcome in found)

    def test_a_rate_limit_names_its_end(self) -> None:
        end = int(datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC).timestamp())
        with running(self.script(answer(429, X_RateLimit_Reset=str(end)))) as server:
            found = self.outcome(server)
        assert found == NotSent("HTTP 429", 30.0)

    @pytest.mark.parametrize("kind", ["text", "rsa"])
    def test_a_verification_key_of_another_kind_is_refused(self, kind: str) -> None:
        other = generate_private_key(65537, 2048).public_key()
        key = "not a key" if kind == "text" else public_text(other)
        with running(self.server()) as server, pytest.raises(ConfigError) as caught:
            self.build(server, public_key=key)
        assert caught.value.field == "public_key"


def filled(call: dict[str, Any], number: int) -> tuple[str, ...]:
    """Return address, subject, text and html as SendGrid would send them."""
    made = call["personalizations"][number]
    plain, html = call["content"]
    assert (plain["type"], html["type"]) == ("text/plain", "text/html")
    texts = []
    for text in (call["subject"], plain["value"], html["value"]):
        for token, value in made.get("substitutions", {}).items():
            text = text.replace(token, value)
        texts.append(text)
    return (made["to"][0]["email"], *texts)


def event(**fields: Any) -> bytes:
    common = {
        "email": "m1@example.com",
        "timestamp": 1_790_000_000,
        "sg_event_id": "ev1",
        "sg_message_id": "MSGID.filter0001.1-2",
        "ex_ref": "ref1",
    }
    return (json.dumps([common | fields]) + "\r\n").encode()


class TestReceiving(ReceiverConformance):
    provider: ClassVar[str] = "sendgrid"

    def receiver_config(self) -> dict[str, Any]:
        key = public_text(KEY.public_key())
        return {"api_key": "k", "from_email": "a@example.com", "public_key": key}

    def signed(self, body: bytes) -> RawWebhook:
        signature = KEY.sign(b"1790000000" + body, ec.ECDSA(hashes.SHA256()))
        headers = {
            "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
            "x-twilio-email-event-webhook-timestamp": "1790000000",
        }
        return RawWebhook("https://hooks.example.com/webhooks/sendgrid/t", headers, body)

    def known(self) -> bytes:
        return event(event="delivered")

    def unknown(self) -> bytes:
        return event(event="teleported")

    def malformed(self) -> list[bytes]:
        return [b"", b"{}", b'{"event": "open"}', b"a=b", b"\xff", b"[" * 100_000]

    def parse(self, **fields: Any) -> Any:
        [found] = self.receiver().parse(self.signed(event(**fields)))
        return found

    def test_without_a_key_nothing_is_believed(self) -> None:
        config = self.receiver_config()
        del config["public_key"]
        kind = type(self.receiver())
        assert not kind.from_config(config, None).verify(self.signed(self.known()))

    def test_a_changed_timestamp_is_not_believed(self) -> None:
        real = self.signed(self.known())
        headers = dict(real.headers) | {"x-twilio-email-event-webhook-timestamp": "1790000001"}
        assert not self.receiver().verify(self.forged(headers))

    @pytest.mark.parametrize(
        ("fields", "kind"),
        [
            ({"event": "processed"}, EventType.SENT),
            ({"event": "deferred"}, EventType.DEFERRED),
            ({"event": "delivered"}, EventType.DELIVERED),
            ({"event": "bounce", "type": "bounce"}, EventType.BOUNCED_HARD),
            ({"event": "bounce", "type": "blocked", "status": "5.0.0"}, EventType.BOUNCED_SOFT),
            ({"event": "dropped"}, EventType.UNDELIVERED),
            ({"event": "open"}, EventType.OPENED),
            ({"event": "click", "url": "https://x.test"}, EventType.CLICKED),
            ({"event": "spamreport"}, EventType.COMPLAINED),
            ({"event": "unsubscribe"}, EventType.UNSUBSCRIBED),
            ({"event": "group_unsubscribe"}, EventType.UNSUBSCRIBED),
            ({"event": "group_resubscribe"}, EventType.RESUBSCRIBED),
            ({"event": "account_status_change"}, EventType.ACCOUNT),
        ],
    )
    def test_their_words_become_ours(self, fields: dict[str, Any], kind: EventType) -> None:
        assert self.parse(**fields).type is kind

    def test_an_event_says_whose_and_when(self) -> None:
        found = self.parse(event="delivered", response="250 OK")
        assert (found.reference, found.provider_id, found.dedup_key, found.address) == (
            "ref1",
            "MSGID",
            "ev1",
            "m1@example.com",
        )
        assert found.occurred_at == datetime.fromtimestamp(1_790_000_000, UTC)
        assert found.text == "250 OK"

    def test_a_prefetch_is_a_machines(self) -> None:
        assert self.parse(event="open", sg_machine_open=True).machine
        assert not self.parse(event="open", sg_machine_open=False).machine

    def test_what_was_dropped_says_why(self) -> None:
        assert self.parse(event="dropped", reason="Bounced Address").address_invalid
        assert self.parse(event="dropped", reason="Unsubscribed Address").opted_out
        other = self.parse(event="dropped", reason="Spam Content")
        assert not other.address_invalid
        assert not other.opted_out

    def test_a_bounce_without_message_id_is_still_ours(self) -> None:
        found = self.parse(event="bounce", type="bounce", sg_message_id=None)
        assert (found.provider_id, found.reference) == (None, "ref1")

    def test_one_broken_event_does_not_spoil_the_batch(self) -> None:
        body = b'[null, 5, {"event": {}}, {"event": "open", "timestamp": "soon"}]'
        found = self.receiver().parse(self.signed(body))
        assert [e.type for e in found] == [EventType.UNRECOGNISED] * 3 + [EventType.OPENED]
        assert len({e.dedup_key for e in found}) == 4
        assert found[3].occurred_at is None

    def test_nothing_kept_breaks_a_database(self) -> None:
        body = b'[{"event": "open", "email": "a\\u0000b\\ud800", "sg_event_id": "e"}]'
        [found] = self.receiver().parse(self.signed(body))
        assert found.address == "ab�"
        assert "\x00" not in str(found.raw)
