"""Settings: an adapter's Config read from plain values, with errors that name the field."""

import difflib
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from core.errors import InvalidError
from core.lines import line_break

T = TypeVar("T")


class ConfigError(InvalidError):
    """The settings of a provider account cannot be used."""

    code = "invalid_provider_config"


def read_config(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return `kind` (a dataclass of str, int, bool and None) made from `values`.

    Empty text counts as not given. Raises ConfigError naming the field that is unknown, missing or
    of the wrong type, or more than one line; never shows a value, which may be a secret.
    """
    declared = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in declared:
            near = difflib.get_close_matches(name, declared, n=1)
            hint = f"did you mean {near[0]}?" if near else f"use {', '.join(declared)}"
            raise ConfigError(f"there is no setting {name}", field=name, remedy=hint)
    given = {name: value for name, value in values.items() if value not in ("", None)}
    allowed = _types(kind)  # type: ignore[arg-type]  # a class is hashable
    for name, field in declared.items():
        if name in given:
            _check(name, given[name], allowed[name])
        elif _required(field):
            raise ConfigError(f"{name} is missing", field=name, remedy=f"give {name}")
    return kind(**given)


def checked_url(url: str, field: str) -> str:
    """Return an http(s) base URL without a slash at its end. Raises ConfigError."""
    if not url.startswith(("https://", "http://")) or len(url.split()) != 1:
        raise ConfigError(f"{field} is not an http or https URL", field=field, remedy="https://…")
    return url.rstrip("/")


@cache
def _types(kind: type[Any]) -> dict[str, tuple[type, ...]]:
    found: dict[str, tuple[type, ...]] = {}
    for name, hint in get_type_hints(kind).items():
        union = get_origin(hint) in (Union, types.UnionType)
        found[name] = tuple(get_args(hint)) if union else (hint,)
    return found


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _check(name: str, value: Any, allowed: tuple[type, ...]) -> None:
    if type(value) not in allowed:
        words = " or ".join(kind.__name__ for kind in allowed if kind is not type(None))
        raise ConfigError(f"{name} must be {words}", field=name, remedy=f"give {words}")
    # Keys in PEM have several lines; what else has would break a header.
    if isinstance(value, str) and not value.startswith("-----") and line_break(value) is not None:
        raise ConfigError(f"{name} is more than one line", field=name, remedy="write it in one")
