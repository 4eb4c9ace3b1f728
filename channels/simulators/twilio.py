"""Twilio: `Messages.json` (both ways), status callbacks and inbound messages."""

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
from channels.simulators.fault import struck
from channels.simulators.log import Accept
from channels.simulators.outbox import Door, Item, Owed, owe
from channels.simulators.provider import World
from channels.simulators.server import Answer, Request
from channels.simulators.table import Fault
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
    20503: (503, "Service unavailable"),
    21211: (400, "Invalid 'To' Phone Number"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21609: (400, "The 'StatusCallback' URL is not a valid fully qualified URL."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21612: (400, "The 'To' phone number is not currently reachable using the 'From' phone number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
}
FAULT_CODES = {"400": 21612, "401": 20003, "429": 20429, "500": 20500, "503": 20503}

FORGED_STATUS = {"status": "failed", "code": "30034"}
"""Nothing in the script ends so."""
FORGED_REPLY = "START"
"""Who stopped would be written to again."""


class Twilio:
    """One account."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stopped: set[tuple[str, str]] = set()
        """Sender and number: who replied STOP to whom."""
        self.doors = {
            STATUS: Door(self._callback, lie=lambda item: {**item, **FORGED_STATUS}),
            INBOUND: Door(self._inbound, lie=lambda item: {**item, "body": FORGED_REPLY}),
        }

    def answer(self, request: Request) -> Answer:
        """Take one message, or list what was taken."""
        path = PATH(request.path)
        if path is None or request.method not in ("GET", "POST"):
            return error(20404)
        sid, _, token = _basic(request)
        keys = self._world.keys
        if (sid, token, path[1]) != (keys.account_sid, keys.auth_token, keys.account_sid):
            return error(20003)
        if request.method == "GET":
            return self._list(request.asked())
        form = request.form()
        code = self._offence(form)
        if code is not None:
            return error(code)
        fault = self._world.script.fault(NAME, _reference(form) or form["To"])
        return struck(
            fault, lambda: self._accept(form, fault), lambda fault: error(FAULT_CODES[fault.kind])
        )

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

    def _accept(self, form: Mapping[str, str], fault: Fault) -> Answer:
        sid = "SM" + self._world.script.name(NAME, self._world.serial())
        more = {"from": form.get("From", ""), "body": form["Body"]}
        for field, name in (("StatusCallback", "callback"), ("MessagingServiceSid", "service")):
            if form.get(field):
                more[name] = form[field]
        accept = Accept(NAME, _reference(form), form["To"], self._world.now(), sid, more)
        self._world.take([accept], fault)
        body = json.dumps(self._document(accept)).encode()
        return Answer(201, body, {"Content-Type": "application/json"})

    def _list(self, asked: Mapping[str, str]) -> Answer:
        """List what was taken, newest first, as the filters say; at most one page."""
        found = self._world.find(NAME, to=asked["To"]) if "To" in asked else []
        sender, most = asked.get("From"), int(asked.get("PageSize", "50"))
        earliest, latest = asked.get("DateSent>", ""), asked.get("DateSent<", "9")
        listed = [
            self._document(accept) | {"status": "sent", "date_sent": _rfc(accept.at)}
            for accept in reversed(found)
            if sender in (None, accept.more["from"]) and earliest <= _iso(accept.at) <= latest
        ]
        page = {"messages": listed[:most], "page": 0, "page_size": most, "next_page_uri": None}
        return Answer(200, json.dumps(page).encode(), {"Content-Type": "application/json"})

    def _document(self, accept: Accept) -> dict[str, Any]:
        body = str(accept.more.get("body", ""))
        account, service = self._world.keys.account_sid, accept.more.get("service")
        uri = f"/{API_VERSION}/Accounts/{account}/Messages/{accept.provider_id}"
        created = _rfc(accept.at)
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
            # A service picks its sender later, and counts then.
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
    document = {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return Answer(status, json.dumps(document).encode(), headers)


def _rfc(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(at, UTC))


def _iso(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


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
