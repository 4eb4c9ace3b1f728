"""The other side: providers that sign as the real ones do, with the official packages' rules."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask.testing import FlaskClient
from twilio.request_validator import RequestValidator
from werkzeug.test import TestResponse

from channels.channel import Channel
from communications.account import ProviderAccount
from core.db import read
from tests.factories import Factory

PUBLIC = "https://mail.example.org/in"
"""Behind a proxy that strips a path: what the app sees is not what the provider signed."""


def signed(
    key: ec.EllipticCurvePrivateKey, body: bytes, timestamp: str = "1795262400"
) -> dict[str, str]:
    """The headers of a post of SendGrid's."""
    made = key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return {
        "Content-Type": "application/json",
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(made).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }


class Provider:
    """One account of one client, and how its provider posts to us."""

    adapter: str
    channel: Channel

    def __init__(self, make: Factory, web: FlaskClient) -> None:
        self.web = web
        self.account_id = make.account(self.adapter, self.channel, self.config())
        with read(make.sessions) as session:
            self.token = session.get_one(ProviderAccount, self.account_id).token
        self.path = f"/webhooks/{self.adapter}/{self.token}"

    def config(self) -> dict[str, Any]:
        raise NotImplementedError


class SendGrid(Provider):
    """Posts arrays of events, signed with a key pair of its own."""

    adapter, channel = "sendgrid", Channel.EMAIL

    def config(self) -> dict[str, Any]:
        self.key = ec.generate_private_key(ec.SECP256R1())
        public = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {
            "api_key": "SG.x",
            "from_email": "shop@example.com",
            "public_key": base64.b64encode(public).decode(),
        }

    def headers(self, body: bytes, timestamp: str = "1795262400") -> dict[str, str]:
        return signed(self.key, body, timestamp)

    def post_bytes(self, body: bytes, path: str | None = None, **headers: str) -> TestResponse:
        return self.web.post(path or self.path, data=body, headers=self.headers(body) | headers)

    def post(self, *events: dict[str, Any]) -> TestResponse:
        return self.post_bytes(json.dumps(events).encode() + b"\r\n")


class Twilio(Provider):
    """Posts forms, signed with the account's token over URL and fields."""

    adapter, channel = "twilio", Channel.SMS

    def config(self) -> dict[str, Any]:
        self.auth_token = f"auth-token-{id(self)}"
        return {
            "account_sid": "AC" + "0" * 32,
            "auth_token": self.auth_token,
            "from_number": "+15005550006",
        }

    def signature(self, url: str, form: dict[str, str]) -> str:
        made: str = RequestValidator(self.auth_token).compute_signature(url, form)
        return made

    def post(self, query: str = "", **form: str) -> TestResponse:
        url = f"{PUBLIC}{self.path}{query}"
        return self.web.post(
            self.path + query,
            data=urlencode(form),
            content_type="application/x-www-form-urlencoded",
            headers={"X-Twilio-Signature": self.signature(url, form)},
        )

    def get(self, **form: str) -> TestResponse:
        query = "?" + urlencode(form)
        signature = self.signature(f"{PUBLIC}{self.path}{query}", {})
        return self.web.get(self.path + query, headers={"X-Twilio-Signature": signature})

    def status(self, reference: str, status: str, sid: str = "SM1", **more: str) -> TestResponse:
        form = {
            "MessageSid": sid,
            "MessageStatus": status,
            "AccountSid": "AC",
            "From": "+15005550006",
        }
        return self.post(f"?a={reference}", **form | more)

    def inbound(self, sender: str, body: str, sid: str = "SM9", **more: str) -> TestResponse:
        form = {
            "MessageSid": sid,
            "SmsStatus": "received",
            "From": sender,
            "To": "+15005550006",
            "Body": body,
            "NumMedia": "0",
        }
        return self.post(**form | more)


class Fcm(Provider):
    """The client's own app, acknowledging pushes."""

    adapter, channel = "fcm", Channel.PUSH

    def config(self) -> dict[str, Any]:
        key = ec.generate_private_key(ec.SECP256R1())
        self.ack_key = f"ack-key-{id(self)}"
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "project_id": "shop",
            "client_email": "x@shop.iam.gserviceaccount.com",
            "private_key": pem.decode(),
            "ack_key": self.ack_key,
        }

    def post(self, events: Sequence[dict[str, Any]]) -> TestResponse:
        body = json.dumps({"events": events}).encode()
        signature = hmac.new(self.ack_key.encode(), body, hashlib.sha256).hexdigest()
        return self.web.post(self.path, data=body, headers={"X-EchelonX-Signature": signature})
