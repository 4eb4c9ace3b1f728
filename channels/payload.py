"""Payload: reading what providers post, without trusting any of it.

Invariant: no text read here holds NUL or half a surrogate pair; PostgreSQL takes neither.
"""

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from channels.adapter import MalformedWebhookError

SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
FIELDS = 500
"""The most form fields of one request."""


def load_json(body: bytes) -> Any:
    """Return the JSON document in `body`. Raises MalformedWebhookError."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedWebhookError("the body is not JSON") from error
    return _clean(document) if SUSPECT.search(body) else document


def load_form(body: bytes | str) -> dict[str, str]:
    """Return form fields, the last of each name. Raises MalformedWebhookError."""
    return {clean(name): clean(value) for name, value in form_pairs(body)}


def form_pairs(body: bytes | str) -> list[tuple[str, str]]:
    """Return form fields as they came, blanks included. Raises MalformedWebhookError."""
    try:
        text = body if isinstance(body, str) else body.decode()
        return parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError as error:
        raise MalformedWebhookError("the body is not a form") from error


def clean(text: str) -> str:
    """Return `text` without what a database cannot store."""
    return text.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def text_of(row: dict[str, Any], name: str, limit: int = 500) -> str | None:
    """Return a field as text, cut to `limit` characters; None when absent or not plain."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)[:limit] or None


def from_unix(value: object) -> datetime | None:
    """Return the instant of a unix time in seconds; None for anything that is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return datetime.fromtimestamp(float(value), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def fingerprint(row: object) -> str:
    """Return a dedupe key for an event that brings none: equal content, equal key."""
    text = json.dumps(row, sort_keys=True, default=str)
    return "sha256:" + hashlib.sha256(text.encode(errors="replace")).hexdigest()[:40]


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(name): _clean(item) for name, item in value.items()}
    return value
