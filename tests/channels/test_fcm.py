"""Mirrors channels/providers/fcm.py."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from channels.adapter import EventType, Ports, RawWebhook
from channels.channel import Channel
from channels.outcome import Accepted, Ambiguous, NotSent, Outcome, Rejected
from channels.providers.fcm import Fcm
from channels.settings import ConfigError
from core.clock import ManualClock
from tests.channels.conformance import (
    HttpSenderConformance,
    NoHttp,
    ReceiverConformance,
    messages,
    never,
)
from tests.channels.loopback import Act, HttpServer, answer, hang_up, running
from tests.conftest import NOON

KEY = generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
ACK_KEY = "ack-key"


def token(text: str = "tok", seconds: int = 3600) -> Act:
    return answer(200, json.dumps({"access_token": text, "expires_in": seconds}).encode())


def error(status: int, code: str | None, **headers: str) -> Act:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    details = [{"@type": kind, "errorCode": code}] if code else []
    details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "errorCode": "no"})
    body = {"error": {"code": status, "status": "X", "message": "no", "details": details}}
    return answer(status, json.dumps(body).encode(), **headers)


class TestSending(HttpSenderConformance):
    provider: ClassVar[str] = "fcm"
    ok: ClassVar[Act] = staticmethod(answer(200, b'{"name": "projects/p/messages/0:17"}'))

    def server(self) -> HttpServer:
        server = super().server()
        server.routes["/token"] = token()
        return server

    def config(self, server: HttpServer) -> dict[str, Any]:
        return {
            "project_id": "p",
            "client_email": "robot@p.iam.example.com",
            "private_key": PEM,
            "base_url": server.url,
            "token_url": f"{server.url}/token",
        }

    def test_the_request_is_googles(self) -> None:
        with running(self.server()) as server:
            assert self.outcome(server) == Accepted("projects/p/messages/0:17", "200")
            [request] = server.requests
        assert request.path == "/v1/projects/p/messages:send"
        assert request.headers["authorization"] == "Bearer tok"
        message = request.json()["message"]
        assert message["token"] == "token-0"
        assert message["notification"] == {"title": "Hello", "body": "Hi Ana0"}
        assert message["data"] == {"ex_ref": "ref0"}
        assert message["android"]["collapse_key"] == "0"
        assert message["apns"]["headers"]["apns-collapse-id"] == "0"

    def test_the_service_account_signs_for_its_token(self) -> None:
        with running(self.server()) as server:
            del server.routes["/token"]
            server.script = [token(), type(self).ok]
            self.outcome(server)
            form = parse_qs(server.requests[0].body.decode())
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        claims = jwt.decode(
            form["assertion"][0],
            KEY.public_key(),
            algorithms=["RS256"],
            audience=f"{server.url}/token",
            options={"verify_exp": False, "verify_iat": False},
        )
        assert claims["iss"] == "robot@p.iam.example.com"
        assert claims["exp"] - claims["iat"] == 3600

    def test_a_token_is_fetched_once_and_again_before_it_ends(self) -> None:
        clock = ManualClock(NOON)
        with running(self.server()) as server:
            del server.routes["/token"]
            server.script = [token("a"), type(self).ok, type(self).ok, token("b"), type(self).ok]
            adapter = Fcm.from_config(self.config(server), Ports(self.http, clock))
            for minutes in (0, 54, 2):
                clock.advance(minutes=minutes)
                assert len(list(adapter.send(messages(Channel.PUSH), never))) == 1
            adapter.close()
            used = [request.headers.get("authorization") for request in server.requests]
        assert used == [None, "Bearer a", "Bearer a", None, "Bearer b"]

    def test_a_token_revoked_early_is_fetched_anew(self) -> None:
        with running(self.server()) as server:
            server.script = [error(401, None), type(self).ok]
            assert isinstance(self.outcome(server), Accepted)
            assert len(server.requests) == 2

    @pytest.mark.parametrize("act", [answer(500), answer(200, b"{}"), hang_up, answer(429)])
    def test_without_a_token_nothing_was_sent(self, act: Act) -> None:
        with running(self.server()) as server:
            server.routes["/token"] = act
            assert isinstance(self.outcome(server), NotSent)
            assert server.requests == []

    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_a_refused_service_account_is_the_accounts_fault(self, status: int) -> None:
        with running(self.server()) as server:
            server.routes["/token"] = answer(status, b'{"error": "invalid_grant"}')
            found = self.outcome(server)
        assert isinstance(found, Rejected)
        assert found.account_fault

    def test_a_key_that_cannot_sign_is_the_accounts_fault(self) -> None:
        broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
        with running(self.server()) as server:
            found = self.outcome(server, private_key=broken)
        assert isinstance(found, Rejected)
        assert found.account_fault

    def test_a_key_that_is_none_is_refused(self) -> None:
        with running(self.server()) as server, pytest.raises(ConfigError) as caught:
            self.build(server, private_key="secret")
        assert caught.value.field == "private_key"

    @pytest.mark.parametrize(
        ("act", "expected"),
        [
            (error(404, "UNREGISTERED"), (Rejected, True, False)),
            (error(403, "SENDER_ID_MISMATCH"), (Rejected, True, False)),
            (error(400, "INVALID_ARGUMENT"), (Rejected, True, False)),
            (error(400, None), (Rejected, False, False)),
            (error(401, "THIRD_PARTY_AUTH_ERROR"), (Rejected, False, True)),
            (error(403, "SOMETHING_NEW"), (Rejected, False, True)),
            (error(404, None), (Rejected, False, True)),
        ],
    )
    def test_each_error_code_has_its_meaning(
        self, act: Act, expected: tuple[type[Outcome], bool, bool]
    ) -> None:
        with running(self.script(act)) as server:
            found = self.outcome(server)
        assert isinstance(found, Rejected)
        assert (type(found), found.address_invalid, found.account_fault) == expected

    def test_a_used_up_quota_waits_a_minute_at_least(self) -> None:
        with running(self.script(error(429, "QUOTA_EXCEEDED"))) as server:
            assert self.outcome(server) == NotSent("HTTP 429", 60.0)

    @pytest.mark.parametrize(
        ("act", "kind"),
        [
            (error(503, "UNAVAILABLE", Retry_After="5"), NotSent),
            (error(503, "UNAVAILABLE"), Ambiguous),
            (error(500, "INTERNAL"), Ambiguous),
        ],
    )
    def test_trouble_at_google_is_not_a_refusal(self, act: Act, kind: type[Outcome]) -> None:
        with running(self.script(act)) as server:
            assert isinstance(self.outcome(server), kind)

    def test_a_push_too_large_is_refused_here(self) -> None:
        [message] = messages(Channel.PUSH)
        with running(self.server()) as server:
            adapter = self.build(server)
            found = dict(adapter.send([replace(message, values=("x" * 4096,))], never))
            adapter.close()
            assert server.requests == []
        assert isinstance(found["ref0"], Rejected)


def acks(*events: Any) -> bytes:
    return json.dumps({"events": list(events)}).encode()


class TestReceiving(ReceiverConformance):
    provider: ClassVar[str] = "fcm"

    def receiver_config(self) -> dict[str, Any]:
        return {
            "project_id": "p",
            "client_email": "robot@p.iam.example.com",
            "private_key": PEM,
            "ack_key": ACK_KEY,
        }

    def signed(self, body: bytes) -> RawWebhook:
        made = hmac.new(ACK_KEY.encode(), body, hashlib.sha256).hexdigest()
        url = "https://hooks.example.com/webhooks/fcm/t"
        return RawWebhook(url, {"x-echelonx-signature": made}, body)

    def known(self) -> bytes:
        return acks({"ref": "ref1", "event": "delivered", "at": 1_790_000_000})

    def unknown(self) -> bytes:
        return acks({"ref": "ref1", "event": "teleported", "at": 1_790_000_000})

    def malformed(self) -> list[bytes]:
        return [b"", b"[]", b"{}", b'{"events": {}}', b"\xff"]

    def test_an_acknowledgement_says_whose_what_and_when(self) -> None:
        body = acks(
            {"ref": "ref1", "event": "delivered", "at": 1_790_000_000},
            {"ref": "ref1", "event": "opened", "at": 1_790_000_009},
        )
        first, second = self.receiver().parse(self.signed(body))
        assert (first.type, second.type) == (EventType.DELIVERED, EventType.OPENED)
        assert first.reference == second.reference == "ref1"
        assert first.dedup_key != second.dedup_key
        assert second.occurred_at == datetime.fromtimestamp(1_790_000_009, UTC)

    def test_an_acknowledgement_without_reference_means_nothing(self) -> None:
        body = acks({"event": "opened"}, None, 7)
        found = self.receiver().parse(self.signed(body))
        assert [event.type for event in found] == [EventType.UNRECOGNISED] * 3

    def test_without_a_key_nothing_is_believed(self) -> None:
        config = self.receiver_config() | {"ack_key": None}
        adapter = Fcm.from_config(config, Ports(http=NoHttp()))
        empty = hmac.new(b"", self.known(), hashlib.sha256).hexdigest()
        real = self.signed(self.known())
        assert not adapter.verify(real)
        assert not adapter.verify(replace(real, headers={"x-echelonx-signature": empty}))
