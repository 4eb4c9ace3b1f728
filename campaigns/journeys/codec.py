"""Codec: how one kind of value is written as JSON and read back, strictly.

A codec of a dataclass is a list of its parts, so that writing and reading cannot differ. Whatever
is wrong is a JourneyError with the path to it, such as `steps/2/cases/0/condition`.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from typing import Any

from campaigns.journeys.errors import JourneyError
from core.condition.check import ConditionError, nearest

Read = Callable[[Any, str], Any]
"""Takes JSON and its path."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One kind of value."""

    write: Callable[[Any], Any]
    read: Read


@dataclass(frozen=True, slots=True)
class Part:
    """One attribute of a dataclass and the key it has in JSON."""

    key: str
    attribute: str
    codec: Codec


def same(value: Any) -> Any:
    """Return what was given."""
    return value


def plain(kinds: type | tuple[type, ...], what: str) -> Codec:
    """Return the codec of a value that JSON has itself; true and false are no numbers."""
    wanted = kinds if isinstance(kinds, tuple) else (kinds,)

    def read(data: Any, path: str) -> Any:
        if not isinstance(data, wanted) or (isinstance(data, bool) and bool not in wanted):
            raise JourneyError(f"{what} was expected, not {str(data)[:40]}", field=path)
        return data

    return Codec(same, read)


TEXT = plain(str, "text")
WHOLE = plain(int, "a whole number")
FLAG = plain(bool, "true or false")


def spelled(write: Callable[[Any], str], parse: Callable[[str], Any]) -> Codec:
    """Return the codec of a value that is text in JSON."""

    def read(data: Any, path: str) -> Any:
        return placed(parse, TEXT.read(data, path), path)

    return Codec(write, read)


def among(kind: type[StrEnum], what: str) -> Codec:
    """Return the codec of one of some words."""

    def parse(text: str) -> StrEnum:
        if text not in set(kind):
            raise ConditionError(f"“{text[:40]}” is no {what}", remedy=nearest(text, kind))
        return kind(text)

    return spelled(lambda value: str(value.value), parse)


def optional(codec: Codec) -> Codec:
    """Return the codec of something that may be null."""
    return Codec(
        lambda value: None if value is None else codec.write(value),
        lambda data, path: None if data is None else codec.read(data, path),
    )


def many(codec: Codec, least: int = 0) -> Codec:
    """Return the codec of a list of something."""

    def read(data: Any, path: str) -> Any:
        if not isinstance(data, list) or len(data) < least:
            raise JourneyError(f"a list of at least {least} was expected", field=path)
        return tuple(codec.read(item, f"{path}/{place}") for place, item in enumerate(data))

    return Codec(lambda values: [codec.write(value) for value in values], read)


def shape(
    kind: type, *parts: Part, check: Callable[[Any], Any] = same, tag: str | None = None
) -> Codec:
    """Return the codec of a dataclass; what has its default is not written.

    `check` gives what was read its normal form, or raises ConditionError. Beside the parts only
    the key `tag` may stand.
    """
    defaults = {field.name: field.default for field in fields(kind)}
    known = {part.key for part in parts} | ({tag} if tag else set())

    def write(value: Any) -> dict[str, Any]:
        held = ((part, getattr(value, part.attribute)) for part in parts)
        return {
            part.key: part.codec.write(one)
            for part, one in held
            if defaults[part.attribute] is MISSING or one != defaults[part.attribute]
        }

    def read(data: Any, path: str) -> Any:
        _only(data, known, path)
        values = {
            part.attribute: part.codec.read(data[part.key], below(path, part.key))
            for part in parts
            if _given(data, part, defaults[part.attribute], path)
        }
        return placed(check, kind(**values), path)

    return Codec(write, read)


def union(tag: str, what: str, codecs: Mapping[str, tuple[type, Codec]]) -> Codec:
    """Return the codec of one of several dataclasses, told by the word under `tag`."""
    words = {kind: word for word, (kind, _) in codecs.items()}

    def write(value: Any) -> dict[str, Any]:
        word = words[type(value)]
        inside: dict[str, Any] = codecs[word][1].write(value)
        return {tag: word} | inside

    def read(data: Any, path: str) -> Any:
        _object(data, path)
        word = data.get(tag)
        if not isinstance(word, str) or word not in codecs:
            raise JourneyError(
                f"“{str(word)[:40]}” is no {what}",
                field=below(path, tag),
                remedy=nearest(str(word), codecs),
            )
        return codecs[word][1].read(data, path)

    return Codec(write, read)


def placed(check: Callable[[Any], Any], value: Any, path: str) -> Any:
    """Return what `check` makes of a value; an error it raises learns its path."""
    try:
        return check(value)
    except ConditionError as error:
        raise JourneyError.of(error, path) from None


def below(path: str, key: str) -> str:
    """Return the path of a key."""
    return f"{path}/{key}" if path else key


def _object(data: Any, path: str) -> None:
    if not isinstance(data, Mapping):
        raise JourneyError("an object was expected", field=path)


def _only(data: Any, known: set[str], path: str) -> None:
    _object(data, path)
    extra = sorted(str(key) for key in data if key not in known)
    if extra:
        raise JourneyError(
            f"“{extra[0][:40]}” does not belong here",
            field=below(path, extra[0][:40]),
            remedy=nearest(extra[0], known) if known else None,
        )


def _given(data: Mapping[str, Any], part: Part, default: Any, path: str) -> bool:
    if part.key in data:
        return True
    if default is MISSING:
        raise JourneyError(f"“{part.key}” is missing", field=below(path, part.key))
    return False
