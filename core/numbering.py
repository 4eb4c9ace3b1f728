"""Numbering plans: a quick yes for plain E.164 numbers, read from phonenumbers' own patterns.

`phonenumbers` takes 40 µs a number, most of it for spellings that an import rarely holds. For text
that is already `+` and digits this asks the same patterns of the same region in the same order and
only ever says "surely valid, and its own normal form"; whatever it cannot say goes the long way.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import phonenumbers

PLAIN = re.compile(r"\+[1-9][0-9]{7,14}").fullmatch
CODE_ENDS = range(2, 5)

Kind = tuple[frozenset[int], re.Pattern[str]]
"""The lengths and the pattern of one kind of number, such as mobile."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the main region of a country code says about national numbers."""

    never: re.Pattern[str]
    """National prefixes, which phonenumbers might strip."""
    leading: re.Pattern[str]
    """Digits that make the number this region's and not a neighbour's with the same code."""
    general: Kind
    premium: Kind | None
    accepted: tuple[Kind, ...]


def surely_valid(text: str) -> bool:
    """Say yes only to an E.164 text that is a valid number and not a premium-rate one."""
    if not PLAIN(text):
        return False
    for end in CODE_ENDS:
        plan = _plan(text[1:end])
        if plan is not None:
            return _allows(plan, text[end:])
    return False


def _allows(plan: _Plan, national: str) -> bool:
    if plan.never.match(national) or not plan.leading.match(national):
        return False
    if not _is(plan.general, national):
        return False
    if plan.premium is not None and _is(plan.premium, national):
        return False
    return any(_is(kind, national) for kind in plan.accepted)


def _is(kind: Kind, national: str) -> bool:
    return len(national) in kind[0] and kind[1].fullmatch(national) is not None


@cache
def _plan(code: str) -> _Plan | None:
    """Return the plan of a country code; None for anything that is not one."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code), ("ZZ",))
    about = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(int(code), regions[0])
    if about is None:
        return None
    general = _kind(about.general_desc, None)
    kinds = [_kind(desc, general) for desc in (about.mobile, about.fixed_line)]
    # A leading 0 is significant in some countries and a prefix in others: the long way knows.
    prefix = about.national_prefix_for_parsing
    return _Plan(
        never=re.compile(f"0|(?:{prefix})" if prefix else "0"),
        leading=re.compile(about.leading_digits or ""),
        general=general or (frozenset(), re.compile(r"(?!)")),
        premium=_kind(about.premium_rate, general),
        accepted=tuple(kind for kind in kinds if kind is not None),
    )


def _kind(desc: Any, general: Kind | None) -> Kind | None:
    if desc is None or not desc.national_number_pattern:
        return None
    lengths = frozenset(desc.possible_length) or (general[0] if general else frozenset())
    return lengths, re.compile(desc.national_number_pattern)
