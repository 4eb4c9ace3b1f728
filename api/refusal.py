"""Refusal: what is wrong with a field and what to do about it, in our words.

marshmallow finds most faults, and names them in words for programmers, one for each kind and
without a remedy. Each is said anew here, once for all schemas; rules of our own say `wrong`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Self

from marshmallow import Schema, ValidationError, fields

from core.condition.check import nearest

MOST_NAMED = 24
"""Fields a remedy lists; who has more is sent to the document."""
SHOWN = 80
"""Characters of a caller's own word that are given back."""


class Said(str):
    """What is wrong, with its remedy."""

    __slots__ = ("remedy",)
    remedy: str

    def __new__(cls, detail: str, remedy: str) -> Self:
        """Make one."""
        made = super().__new__(cls, detail)
        made.remedy = remedy
        return made


def wrong(detail: str, remedy: str, field: str = "_schema") -> ValidationError:
    """Return the error for a schema to raise, of one of its fields or of all of it."""
    return ValidationError(Said(detail, remedy), field)


WORDS: tuple[tuple[str, str, str], ...] = (
    (r"Missing data for required field\.", "{name} is missing", "give {name}"),
    (r"Field may not be null\.", "{name} is null", "give a value, or leave {name} out"),
    (r"Not a valid string\.", "{name} is not text", 'send text: "…"'),
    (r"Not a valid list\.", "{name} is not a list", "send a list: […]"),
    (r"Invalid (input )?type\.", "{name} is not an object", "send an object: {{…}}"),
    (r"Not a valid mapping type\.", "{name} is not an object", "send an object: {{…}}"),
    (r"Not a valid integer\.", "{name} is not a whole number", "send a whole number, such as 12"),
    (r"Not a valid number\.", "{name} is not a number", "send a number, such as 12.5"),
    (r"Number too large\.", "{name} is too large", "send a smaller number"),
    (r"Special numeric values.*", "{name} is no finite number", "send a number, such as 12.5"),
    (r"Not a valid boolean\.", "{name} is neither true nor false", "send true or false"),
    (r"Not a valid date\.", "{name} is not a date", "send it as 2026-11-21"),
    (
        r"Not a valid (aware )?datetime\.",
        "{name} is not an instant with its offset from UTC",
        "send it as 2026-11-21T12:00:00Z; in an address, the + of an offset is %2B",
    ),
    (r"Must be one of: (.*)\.", "{name} is none of those there are", "use one of {0}"),
    (
        r"Must be greater than or equal to (\S+) and less than or equal to (\S+)\.",
        "{name} is out of range",
        "give a number from {0} to {1}",
    ),
    (r"Must be greater than or equal to (\S+)\.", "{name} is too small", "give {0} or more"),
    (r"Must be less than or equal to (\S+)\.", "{name} is too large", "give {0} or less"),
    (r"Shorter than minimum length 1\.", "{name} is empty", "give at least one {one}"),
    (r"Shorter than minimum length (\d+)\.", "{name} is too short", "give {0} {many} or more"),
    (r"Longer than maximum length (\d+)\.", "{name} is too long", "give at most {0} {many}"),
    (
        r"Length must be between 1 and (\d+)\.",
        "{name} is empty or too long",
        "give 1 to {0} {many}",
    ),
    (
        r"Length must be between (\d+) and (\d+)\.",
        "{name} is too short or too long",
        "give {0} to {1} {many}",
    ),
    (r"Length must be (\d+)\.", "{name} has another length", "give {0} {many}"),
)
"""What marshmallow says; what is wrong; the remedy."""
COMPILED = tuple((re.compile(said), detail, remedy) for said, detail, remedy in WORDS)
UNKNOWN = "Unknown field."
ELSE = "/api/v1/openapi.json says what is taken here"
"""The remedy for what nobody has a word for."""
UNITS: tuple[tuple[type, tuple[str, str]], ...] = (
    (fields.List, ("entry", "entries")),
    (fields.Dict, ("name", "names")),
    (object, ("character", "characters")),
)
"""What is counted of a field."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of a Dict: its messages lie under "key" and "value", no names of the caller's."""

    of: fields.Dict


Thing = Schema | fields.Field[Any] | _Entry | None
"""What a message is about: the whole, or a part of it; None where nobody knows that."""


def refusals(messages: Any, root: str, whole: Schema | None) -> Iterator[dict[str, Any]]:
    """Yield `pointer`, `detail` and `remedy` of each of webargs' nested messages.

    `root` is the place they are in: "" for a body, `query:` for the query.
    """
    for path, thing, within, message in _each(messages, (), whole, None):
        said = message if isinstance(message, Said) else _said(str(message), path, thing, within)
        pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in path)
        remedy = said.remedy if isinstance(said, Said) else ELSE
        yield {
            "pointer": root + (pointer or "/" * bool(root)),
            "detail": str(said),
            "remedy": remedy,
        }


def _each(
    messages: Any, path: tuple[str, ...], thing: Thing, within: Thing
) -> Iterator[tuple[tuple[str, ...], Thing, Thing, Any]]:
    """Yield each message with its path, what it is about, and what that is a part of."""
    if isinstance(messages, list):
        for one in messages:
            yield from _each(one, path, thing, within)
    elif not isinstance(messages, Mapping):
        yield path, thing, within, messages
    else:
        for name, inner in messages.items():
            if name == "_schema":
                yield from _each(inner, path, thing, within)
            elif isinstance(thing, _Entry):
                part = thing.of.value_field if name == "value" else thing.of.key_field
                yield from _each(inner, path, part, thing.of)
            else:
                yield from _each(inner, (*path, str(name)), _inside(thing, name), thing)


def _inside(thing: Thing, name: Any) -> Thing:
    match thing:
        case Schema():
            return next((one for one in thing.fields.values() if _called(one) == name), None)
        case fields.Nested():
            return _inside(thing.schema, name)
        case fields.List():
            return thing.inner
        case fields.Dict():
            return _Entry(thing)
        case _:
            return None


def _said(message: str, path: tuple[str, ...], thing: Thing, within: Thing) -> str:
    """Return one of marshmallow's messages in our words; what nobody has a word for, as it is."""
    name = ".".join(path)[:SHOWN] or "what was sent"
    if message == UNKNOWN:
        return Said(f"there is no field {name} here", _known(path[-1], within))
    one, many = next(unit for kind, unit in UNITS if isinstance(thing, kind))
    for found, detail, remedy in (
        (pattern.fullmatch(message), detail, remedy) for pattern, detail, remedy in COMPILED
    ):
        if found is not None:
            words = {"name": name, "one": one, "many": many}
            return Said(detail.format(**words), remedy.format(*found.groups(), **words))
    return message


def _known(name: str, within: Thing) -> str:
    """Return the remedy for a name that is no field: the nearest one, or all of them."""
    whole = within.schema if isinstance(within, fields.Nested) else within
    names = [_called(one) for one in whole.fields.values()] if isinstance(whole, Schema) else []
    if not names or (len(names) > MOST_NAMED and not get_close_matches(name, names)):
        return "leave it out; /api/v1/openapi.json lists the fields there are"
    return nearest(name, names)


def _called(field: fields.Field[Any]) -> str:
    return field.data_key if field.data_key is not None else str(field.name)
