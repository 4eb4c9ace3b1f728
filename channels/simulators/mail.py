"""Mail: what SendGrid accepts in a `mail/send` call, and what substitutions make of a text."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_RECIPIENTS = 1000
MAX_BYTES = 10_000
"""Of a personalization's substitutions, and of custom arguments."""
ADDRESS = re.compile(r"[^\s@<>,;]{1,64}@[^\s@<>,;]+\.[^\s@<>,;]{2,}").fullmatch
RESERVED = frozenset(
    {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "to", "from", "subject"}
    | {"content-transfer-encoding", "reply-to", "cc", "bcc"}
)
KINDS = ("to", "cc", "bcc")
Offence = tuple[str, str | None]
"""What is wrong, and the field where."""


def texts(text: str, row: Mapping[str, Any]) -> str:
    """Return a text with one personalization's substitutions made."""
    for token, value in row.get("substitutions", {}).items():
        text = text.replace(token, value)
    return text


def offence(mail: Any) -> Offence | None:
    """Return the first thing for which SendGrid refuses the whole call; None when there is none."""
    try:
        return next(_offences(mail), None)
    except (AttributeError, TypeError):  # something is of another type than it must be
        return "Bad Request", None


def switch(mail: Mapping[str, Any], group: str, name: str) -> bool | None:
    """Return a setting's `enable`; None when it is not given."""
    settings = mail.get(group)
    setting = settings.get(name) if isinstance(settings, dict) else None
    value = setting.get("enable") if isinstance(setting, dict) else None
    return value if isinstance(value, bool) else None


def _offences(mail: Mapping[str, Any]) -> Iterator[Offence]:
    if not _is_address(mail.get("from")):
        yield "The from object must be provided for every email send", "from.email"
    rows = mail.get("personalizations")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_RECIPIENTS:
        yield "The personalizations field is required and holds 1 to 1000", "personalizations"
        return
    yield from _of_content(mail)
    if not _are_texts(mail.get("custom_args", {})):
        yield "Custom args must be strings, 10000 bytes at most", "custom_args"
    for number, row in enumerate(rows):
        for message, field in _of_personalization(row):
            yield message, f"personalizations.{number}.{field}"
        if not mail.get("subject") and not row.get("subject"):
            yield "The subject is required", "subject"
    people = sum(len(row.get(kind, [])) for row in rows for kind in KINDS)
    if people > MAX_RECIPIENTS:
        yield "At most 1000 recipients", "personalizations"


def _of_content(mail: Mapping[str, Any]) -> Iterator[Offence]:
    parts = mail.get("content")
    if not isinstance(parts, list) or not parts:
        yield "Unless a valid template_id is provided, the content parameter is required", "content"
        return
    for part in parts:
        if not part.get("type") or not isinstance(part.get("value"), str) or not part["value"]:
            yield "The content value must be a string at least one character in length", "content"
            return
    types = [part["type"] for part in parts]
    if "text/plain" in types[1:]:
        yield "If present, text/plain must be first", "content"


def _of_personalization(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not row.get("to"):
        yield "The to array is required for all personalization objects", "to"
    for kind in KINDS:
        for place, person in enumerate(row.get(kind, [])):
            if not _is_address(person):
                yield "Does not contain a valid address.", f"{kind}.{place}.email"
    for field in ("substitutions", "custom_args", "headers"):
        if not _are_texts(row.get(field, {})):
            yield f"{field} must be strings, 10000 bytes at most", field
    for name in RESERVED.intersection(map(str.lower, row.get("headers", {}))):
        yield f"The header {name} is reserved", f"headers.{name}"


def _is_address(person: Any) -> bool:
    email = person.get("email") if isinstance(person, dict) else None
    return isinstance(email, str) and ADDRESS(email) is not None


def _are_texts(values: Any) -> bool:
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        return False
    size = sum(len(name.encode()) + len(value.encode()) for name, value in values.items())
    return size <= MAX_BYTES
