"""Twilio: `Messages.json`, status callbacks and inbound messages (PROVIDERS 1)."""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from channels.simulators.client import Post
from channels.simulators.config import FROM_NUMBER
from channels.simulators.fault import RETRY_AFTER, struck
from channels.simulators.log import Accept
from channels.simulators.outbox import Door, Item, Owed, owe
from channels.simulators.provider import World
from channels.simulators.server import Answer, Request
from channels.sms import size

NAME = "twilio"
PATH = re.compile(r"/2010-04-01/Accounts/([^/]+)/Messages\.json").fullmatch
STATUS, INBOUND = "twilio", "twilio_inbound"
NUMBER = re.compile(r"\+[1-9]\d{6,14}").fullmatch
MAX_BODY = 1600
REFERENCE = "a"
"""The query parameter of a callback by which its owner knows the message."""
API_VERSION = "2010-04-01"
ERRORS = {
    # by code: status and message
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    21211: (400, "Invalid 'To' Phone Number"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21609: (400, "The 'StatusCallback' URL is not a valid fully qualified URL."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21612: (400, "The 'To' phone number is not currently reachable using the 'From' phone number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
}
FAULT_CODES = {400: 21612, 429: 20429, 500: 20500}


class Twilio:
    """One account."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stopped: set[tuple[str, str]] = set()
        """Sender and number: who replied STOP to whom."""
        self.doors = {STATUS: Door(self._callback), INBOUND: Door(self._inbound)}

    def answer(self, request: Request) -> Answer:
        """Take one message."""
        path = PATH(request.path)
        if path is None or request.method != "POST":
            return error(20404)
        sid, _, token = _basic(request)
        keys = self._world.keys
        if (sid, token, path[1]) != (keys.account_sid, keys.auth_token, keys.account_sid):
            return error(20003)
        form = request.form()
        code = self._offence(form)
        if code is not None:
            return error(code)
        fault = self._world.script.fault(NAME, _reference(form) or form["To"])
        return struck(fault, lambda: self._accept(form), lambda status: error(FAULT_CODES[status]))

    def owed(self, accept: Accept) -> list[Owed]:
        """Return a message's callbacks, and what its recipient replies."""
        fate, code, reply = self._world.script.sms(accept.key)
        found: list[Owed] = []
        if accept.more.get("callback"):
            for status in dict.fromkeys(("sent", fate)):
                item = {"accept": accept, "status": status, "code": code if status == fate else ""}
                event = f"{accept.provider_id}.{status}"
                found += owe(self._world.script, event, STATUS, item)
        if reply:
            event = f"{accept.provider_id}.reply"
            found += owe(self._world.script, event, INBOUND, {"accept": accept, "body": reply})
        return found

    def recall(self, accepts: Iterable[Accept]) -> None:
        """Remember who replied STOP to the messages of an earlier process."""
        for accept in accepts:
            if accept.provider == NAME and self._world.script.sms(accept.key)[2] == "STOP":
                self._stopped.add((_sender(accept), accept.to))

    def _offence(self, form: Mapping[str, str]) -> int | None:
        """Return the error code for which Twilio refuses a message; None when it takes it."""
        to, callback = form.get("To", ""), form.get("StatusCallback")
        sender = form.get("MessagingServiceSid") or form.get("From") or ""
        rules = {
            21604: not to,
            21211: not NUMBER(to),
            21603: not sender,
            21602: not form.get("Body"),
            21617: len(form.get("Body", "")) > MAX_BODY,
            21609: callback is not None and urlsplit(callback).scheme not in ("http", "https"),
            21610: (sender, to) in self._stopped,
        }
        return next((code for code, broken in rules.items() if broken), None)

    def _accept(self, form: Mapping[str, str]) -> Answer:
        sid = "SM" + self._world.script.name(NAME, self._world.serial())
        more = {"from": form.get("From", "")}
        for field, name in (("StatusCallback", "callback"), ("MessagingServiceSid", "service")):
            if form.get(field):
                more[name] = form[field]
        accept = Accept(NAME, _reference(form), form["To"], self._world.now(), sid, more)
        self._world.take([accept])
        body = json.dumps(self._document(accept, form["Body"])).encode()
        return Answer(201, body, {"Content-Type": "application/json"})

    def _document(self, accept: Accept, body: str) -> dict[str, Any]:
        account, service = self._world.keys.account_sid, accept.more.get("service")
        uri = f"/{API_VERSION}/Accounts/{account}/Messages/{accept.provider_id}"
        created = format_datetime(datetime.fromtimestamp(accept.at, UTC))
        return {
            "account_sid": account,
            "api_version": API_VERSION,
            "body": body,
            "date_created": created,
            "date_sent": None,
            "date_updated": created,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": accept.more["from"] or None,
            "messaging_service_sid": service,
            "num_media": "0",
            # A service picks its sender later, and counts then (PROVIDERS 1.1).
            "num_segments": "0" if service else str(size(body).segments),
            "price": None,
            "price_unit": "USD",
            "sid": accept.provider_id,
            "status": "accepted" if service else "queued",
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": accept.to,
            "uri": f"{uri}.json",
        }

    def _callback(self, items: Sequence[Item]) -> Post | None:
        accept: Accept = items[0]["accept"]
        status, code = items[0]["status"], items[0]["code"]
        form = {
            "AccountSid": self._world.keys.account_sid,
            "ApiVersion": API_VERSION,
            "From": accept.more["from"] or FROM_NUMBER,
            "MessageSid": accept.provider_id,
            "MessageStatus": status,
            "SmsSid": accept.provider_id,
            "SmsStatus": status,
            "To": accept.to,
        }
        if accept.more.get("service"):
            form["MessagingServiceSid"] = accept.more["service"]
        if code:
            form["ErrorCode"] = code
        if status != "sent":
            done = datetime.fromtimestamp(accept.at, UTC)
            form["RawDlrDoneDate"] = done.strftime("%y%m%d%H%M")
        return self._post(accept.more["callback"], form)

    def _inbound(self, items: Sequence[Item]) -> Post | None:
        accept: Accept = items[0]["accept"]
        body = items[0]["body"]
        url = self._world.hooks.url(INBOUND)
        sid = "SM" + self._world.script.name(accept.provider_id, "reply")
        form = {
            "AccountSid": self._world.keys.account_sid,
            "ApiVersion": API_VERSION,
            "Body": body,
            "From": accept.to,
            "MessageSid": sid,
            "NumMedia": "0",
            "NumSegments": "1",
            "SmsMessageSid": sid,
            "SmsSid": sid,
            "SmsStatus": "received",
            "To": accept.more["from"] or FROM_NUMBER,
        }
        if accept.more.get("service"):
            form["MessagingServiceSid"] = accept.more["service"]
        if body == "STOP":
            form["OptOutType"] = "STOP"
            self._stopped.add((_sender(accept), accept.to))
        return self._post(url, form) if url else None

    def _post(self, url: str, form: Mapping[str, str]) -> Post | None:
        place = self._world.hooks.reach(url)
        if place is None:
            return None
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": signature(self._world.keys.auth_token, url, form),
        }
        return Post(place, url.split("/")[2], urlencode(form).encode(), headers)


def signature(auth_token: str, url: str, form: Mapping[str, str]) -> str:
    """Return X-Twilio-Signature: over the URL as configured, then the sorted fields."""
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode(), "sha1")).decode()


def error(code: int) -> Answer:
    """Return Twilio's error document."""
    status, message = ERRORS[code]
    headers = {"Content-Type": "application/json"}
    if status == 429:
        headers["Retry-After"] = str(RETRY_AFTER)
    document = {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return Answer(status, json.dumps(document).encode(), headers)


def _basic(request: Request) -> tuple[str, str, str]:
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    try:
        return base64.b64decode(text if kind == "Basic" else "").decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", "", ""


def _reference(form: Mapping[str, str]) -> str | None:
    query = urlsplit(form.get("StatusCallback", "")).query
    return parse_qs(query).get(REFERENCE, [None])[0]


def _sender(accept: Accept) -> str:
    """Return what an opt-out holds for: the number, or the whole service."""
    return str(accept.more.get("service") or accept.more["from"])
