"""SendGrid: `POST /v3/mail/send`, `GET /v3/messages` and the signed event webhook.

Opens and clicks: with SendGrid's own tracking on they are `open` and `click` events; with it off a
reader follows what the html itself holds.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from channels.simulators import reader
from channels.simulators.client import Post
from channels.simulators.fault import struck
from channels.simulators.log import Accept
from channels.simulators.mail import KINDS, offence, switch, texts
from channels.simulators.outbox import Door, Item, Owed, owe
from channels.simulators.provider import World
from channels.simulators.server import Answer, Request
from channels.simulators.table import Fault

NAME = DOOR = "sendgrid"
PATH = "/v3/mail/send"
SEARCH_PATH = "/v3/messages"
BY_REFERENCE = re.compile(r"\(unique_args\['ex_ref'\]=\"([^\"]*)\"\)")
"""As much of the query language as is understood here."""
EVENTS_PER_POST = 100
REVOKED = "The provided authorization grant is invalid, expired, or revoked"
EVENTS: dict[str, dict[str, Any]] = {
    # what happens: the event that tells it
    "processed": {"event": "processed"},
    "deferred": {"event": "deferred", "response": "450 4.2.1 try again later", "attempt": "1"},
    "delivered": {"event": "delivered", "response": "250 2.0.0 OK", "ip": "203.0.113.9", "tls": 1},
    "bounce": {
        "event": "bounce",
        "type": "bounce",
        "status": "5.1.1",
        "reason": "550 5.1.1 The email account that you tried to reach does not exist",
        "bounce_classification": "Invalid Address",
    },
    "blocked": {
        "event": "bounce",
        "type": "blocked",
        "status": "5.0.0",  # wire truth: a 5 although it is soft
        "reason": "552 5.2.2 The recipient's mailbox is full",
        "bounce_classification": "Mailbox Unavailable",
    },
    "dropped": {"event": "dropped", "reason": "Spam Content", "status": "5.0.0"},
    "machine_open": {
        "event": "open",
        "sg_machine_open": True,
        "useragent": "Mozilla/5.0",
        "ip": "203.0.113.20",
        "sg_content_type": "html",
    },
    "open": {
        "event": "open",
        "sg_machine_open": False,
        "useragent": reader.BROWSER,
        "ip": "203.0.113.21",
        "sg_content_type": "html",
    },
    "click": {
        "event": "click",
        "useragent": reader.BROWSER,
        "ip": "203.0.113.21",
        "url_offset": {"index": 0, "type": "html"},
    },
    "spamreport": {"event": "spamreport"},
}
AT_ONCE = frozenset({"processed", "dropped"})
"""What happens in the second of the request; the rest a second later."""
PASSIVE = frozenset({"processed", "deferred", "delivered", "bounce", "blocked", "dropped"})
TRACKED = {"machine_open": "open_tracking", "open": "open_tracking", "click": "click_tracking"}


class SendGrid:
    """One account."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.doors = {DOOR: Door(self._build, EVENTS_PER_POST, lie=_lie)}

    def answer(self, request: Request) -> Answer:
        """Take a call of up to 1,000 personalizations, all or nothing."""
        if request.headers.get("authorization") != f"Bearer {self._world.keys.api_key}":
            return error(401, REVOKED)
        try:
            mail = json.loads(request.body)
        except ValueError:
            return error(400, "Bad Request")
        wrong = offence(mail)
        if wrong is not None:
            return error(400, *wrong)
        if switch(mail, "mail_settings", "sandbox_mode"):
            return Answer(200)
        first = mail["personalizations"][0]
        key = _args(mail, first).get("ex_ref") or first["to"][0]["email"]
        fault = self._world.script.fault(NAME, key)
        return struck(fault, lambda: self._accept(mail, fault), self._refuse)

    def search(self, request: Request) -> Answer:
        """List messages by our references (Email Activity), whatever became of them."""
        if request.headers.get("authorization") != f"Bearer {self._world.keys.api_key}":
            return error(401, REVOKED)
        asked = request.asked()
        parts = asked.get("query", "").split(" OR ")
        matches = [BY_REFERENCE.fullmatch(part) for part in parts]
        if not all(matches):
            return error(400, "invalid query", "query")
        found = [
            accept
            for match in matches
            if match is not None
            for accept in self._world.find(NAME, ref=match[1])
        ]
        body = json.dumps({"messages": [_listed(accept) for accept in found]})
        return Answer(200, body.encode(), {"Content-Type": "application/json"})

    def owed(self, accept: Accept) -> list[Owed]:
        """Return what a message's story makes us post, and its reader do."""
        found: list[Owed] = []
        urls = accept.more.get("links", {})
        for act in self._world.script.email(accept.key):
            event = f"{accept.provider_id}.{act}"
            if act in PASSIVE or act == "spamreport" or act in accept.more["tracked"]:
                number = bytes.fromhex(self._world.script.name(event))
                name = base64.urlsafe_b64encode(number).decode().rstrip("=")
                item = {"accept": accept, "act": act, "sg_event_id": name}
                found += owe(self._world.script, event, DOOR, item)
            else:
                url = urls.get("open" if act == "machine_open" else act)
                found += self._world.reader.visit(accept.provider_id, act, url)
        return found

    def _accept(self, mail: Mapping[str, Any], fault: Fault) -> Answer:
        message_id = self._world.script.name(NAME, self._world.serial())[:22]
        tracked = [
            act
            for act, kind in TRACKED.items()
            if switch(mail, "tracking_settings", kind) is not False
        ]
        self._world.take(list(self._accepts(mail, message_id, tracked)), fault)
        return Answer(202, headers={"X-Message-Id": message_id})

    def _accepts(
        self, mail: Mapping[str, Any], message_id: str, tracked: list[str]
    ) -> Iterator[Accept]:
        at = self._world.now()
        html = next((c["value"] for c in mail["content"] if c["type"] == "text/html"), "")
        for number, row in enumerate(mail["personalizations"]):
            args = _args(mail, row)
            ref = args.get("ex_ref")
            people = [person for kind in KINDS for person in row.get(kind, [])]
            for place, person in enumerate(people):
                more: dict[str, Any] = {"args": args, "tracked": tracked}
                key = ref or person["email"]
                links = self._links(key, mail, row, html, tracked)
                if links:
                    more["links"] = links
                name = f"{message_id}.recvd-{number}-{place}"
                yield Accept(NAME, ref, person["email"], at, name, more)

    def _links(
        self,
        key: str,
        mail: Mapping[str, Any],
        row: Mapping[str, Any],
        html: str,
        tracked: Sequence[str],
    ) -> dict[str, str]:
        """Return the addresses this message's reader will visit."""
        acts = self._world.script.email(key)
        found = {}
        if any(act in TRACKED and act not in tracked for act in acts) or "click" in acts:
            found = reader.links(self._world.script, key, texts(html, row))
        if "unsubscribe" in acts:
            headers = {**mail.get("headers", {}), **row.get("headers", {})}
            url = reader.one_click({name: texts(text, row) for name, text in headers.items()})
            if url:
                found["unsubscribe"] = url
        return found

    def _refuse(self, fault: Fault) -> Answer:
        limits = {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "599"}
        match fault.kind:
            case "429":
                limits["X-RateLimit-Remaining"] = "0"
                limits["X-RateLimit-Reset"] = str(int(self._world.now() + fault.retry_after))
                return error(429, "too many requests", headers=limits)
            case "400":
                return error(400, "The subject is required", "subject")
            case "401":
                return error(401, REVOKED)
            case "503":
                return error(503, "Service Unavailable")
            case _:
                return error(500, "Internal Server Error")

    def _build(self, items: Sequence[Item]) -> Post | None:
        url = self._world.hooks.url(NAME)
        place = self._world.hooks.reach(url) if url else None
        if url is None or place is None:
            return None
        # SendGrid's bodies end with CRLF, and the signature covers it.
        body = json.dumps([_event(item) for item in items], separators=(",", ":")).encode()
        body += b"\r\n"
        timestamp = str(int(self._world.now()))
        made = self._world.keys.sendgrid_key.sign(
            timestamp.encode() + body, ec.ECDSA(hashes.SHA256())
        )
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "SendGrid Event API",
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(made).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }
        return Post(place, url.split("/")[2], body, headers)


def error(
    status: int,
    message: str,
    field: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return SendGrid's error document."""
    body = json.dumps({"errors": [{"message": message, "field": field, "help": None}]})
    return Answer(status, body.encode(), {"Content-Type": "application/json", **(headers or {})})


def _listed(accept: Accept) -> dict[str, Any]:
    """Return a message as Email Activity lists it: without its arguments."""
    return {
        "from_email": "news@elevate.example",
        "msg_id": accept.provider_id,
        "subject": "",
        "to_email": accept.to,
        "status": "processed",
        "opens_count": 0,
        "clicks_count": 0,
        "last_event_time": f"{datetime.fromtimestamp(accept.at, UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def _args(mail: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, str]:
    """Return custom arguments; a personalization's own win."""
    return {**mail.get("custom_args", {}), **row.get("custom_args", {})}


def _lie(item: Item) -> Item:
    """Return a complaint nobody made: it would keep the recipient from ever being written to."""
    return {**item, "act": "spamreport", "sg_event_id": f"forged-{item['sg_event_id']}"}


def _event(item: Item) -> dict[str, Any]:
    """Return one event; reserved names win over custom arguments."""
    accept: Accept = item["accept"]
    act = item["act"]
    event: dict[str, Any] = {
        **accept.more["args"],
        **EVENTS[act],
        "email": accept.to,
        "timestamp": int(accept.at) + (act not in AT_ONCE),
        "sg_event_id": item["sg_event_id"],
        "sg_message_id": accept.provider_id,
    }
    if act in PASSIVE:
        event["smtp-id"] = f"<{accept.provider_id.partition('.')[0]}@geopod-ismtpd-1>"
    if act == "click":
        event["url"] = accept.more.get("links", {}).get("click", "https://elevate.example/")
    return event
