"""Table: what a fault script may say, and what of it strikes one request.

    {"twilio": {"lost": 0.002, "429": 0.01, "retry_after": 7, "latency": 0.005},
     "webhooks": {"copies": 46, "forged": 0.01, "late": 0.1, "late_seconds": 5}}

A provider's faults are shares of its requests, its settings are seconds. `webhooks` is about what
all of them post.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidError

PROVIDERS = ("sendgrid", "smtp", "twilio", "fcm")
FAULTS = (
    *("lost", "slow", "reset", "429", "500", "400", "empty", "odd"),
    *("hang", "503", "401", "early"),
)
"""lost: accepted, then cut without an answer. slow: accepted, answered after `slow_seconds`.
reset: cut before accepting. 500: half of them accepted. empty, odd: a 2xx without a body, or with
a page in it. hang: half of them accepted, never answered, the connection left open. early:
accepted, all its webhooks posted at once, answered after `early_seconds`.
"""
SETTINGS = {"slow_seconds": 30.0, "early_seconds": 0.5, "retry_after": 1.0, "latency": 0.0}
"""Of a provider, with what holds where nothing is said: how late a slow answer and an early one
are, what a 429 and a 503 ask for, and what every answer takes."""
WEBHOOKS = "webhooks"
MAX_COPIES = 46
"""The most often one real event was seen to come."""


class ScriptError(InvalidError):
    """A fault script cannot be followed."""

    code = "invalid_script"


@dataclass(frozen=True, slots=True)
class Fault:
    """What strikes one request."""

    kind: str = ""
    """One of FAULTS, or '' for none."""
    accepted: bool = True
    """Of a 500 and of what hangs: whether the message was taken all the same."""
    seconds: float = 0.0
    """How late a slow answer, or an early one, is."""
    retry_after: float = SETTINGS["retry_after"]
    """What a 429 or a 503 asks for."""


NO_FAULT = Fault()


def check(document: Mapping[str, object]) -> None:
    """Raise ScriptError unless a script says only what can be followed."""
    for name, values in document.items():
        if name not in (*PROVIDERS, WEBHOOKS):
            raise ScriptError(
                f"there is no provider {name}",
                field=name,
                remedy=f"use {', '.join((*PROVIDERS, WEBHOOKS))}",
            )
        if not isinstance(values, Mapping):
            raise ScriptError("faults are an object", field=name, remedy='{"lost": 0.01}')
        if name == WEBHOOKS:
            _check_webhooks(values)
        else:
            _check_provider(name, values)


def _check_provider(provider: str, values: Mapping[str, Any]) -> None:
    for kind, value in values.items():
        if kind not in (*FAULTS, *SETTINGS):
            raise ScriptError(
                f"there is no fault {kind}",
                field=f"{provider}.{kind}",
                remedy=f"use {', '.join((*FAULTS, *SETTINGS))}",
            )
        if not _is_amount(value):
            raise ScriptError("a share is a number from 0 to 1", field=f"{provider}.{kind}")
    if sum(value for kind, value in values.items() if kind in FAULTS) > 1:
        raise ScriptError("the shares sum up to more than 1", field=provider)


def _check_webhooks(values: Mapping[str, Any]) -> None:
    rules: dict[str, tuple[Callable[[Any], bool], str]] = {
        "copies": (_is_count, f"a number from 1 to {MAX_COPIES}"),
        "shuffle": (_is_true, "true: they always come in no order"),
        "forged": (_is_share, "a share from 0 to 1"),
        "late": (_is_share, "a share from 0 to 1"),
        "late_seconds": (_is_amount, "a number of seconds"),
    }
    for name, value in values.items():
        if name not in rules:
            raise ScriptError(
                f"webhooks have no {name}",
                field=f"{WEBHOOKS}.{name}",
                remedy=f"use {', '.join(rules)}",
            )
        fits, wanted = rules[name]
        if not fits(value):
            raise ScriptError(f"{name} is {wanted}", field=f"{WEBHOOKS}.{name}")


def _is_count(value: object) -> bool:
    return value in range(1, MAX_COPIES + 1)


def _is_true(value: object) -> bool:
    return value is True


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_share(value: Any) -> bool:
    return _is_amount(value) and value <= 1
