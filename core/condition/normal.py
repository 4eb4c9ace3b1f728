"""Normal values: what is compared is folded as what is stored was folded.

A tag typed as `VIP` means the stored `vip`; a phone number typed with spaces means its E.164 form.
Every function here is a fixed point: applied again it changes nothing.
"""

from collections.abc import Callable
from decimal import Decimal

from core.address import AddressError, normalise_email, normalise_phone
from core.condition.ast import CHOICES, EXTERNAL, TEXT_ONLY, Op, Value

SEPARATORS = str.maketrans("", "", " ()-./")


def fold(text: str) -> str:
    """Return text as tags and a client's own ids of members are stored."""
    return _settled(lambda value: " ".join(value.split()).casefold(), text)


def normal_value(field: str, op: Op, value: Value) -> Value:
    """Return the value as the field stores it; whatever the field does not fold stays."""
    if isinstance(value, str):
        if field in CHOICES or field == "member_id":
            return fold(value)
        if field == "email":
            return fold(value) if op in TEXT_ONLY else _settled(_email, value)
        if field == "phone":
            return value.translate(SEPARATORS) if op in TEXT_ONLY else _settled(_phone, value)
        if field.startswith(EXTERNAL):
            return value if op in TEXT_ONLY else value.strip()
        return value
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return normal_number(value)
    return value


def normal_number(value: int | float | Decimal) -> int | float:
    """Return a number as JSON has it; Decimals become the float that is written like them."""
    return float(value) if isinstance(value, Decimal) else value


def _settled(step: Callable[[str], str], text: str) -> str:
    """Apply a step until it changes nothing: folding some letters makes others that fold."""
    for _ in range(4):
        after = step(text)
        if after == text:
            break
        text = after
    return text


def _email(text: str) -> str:
    try:
        return normalise_email(text)
    except AddressError:
        return fold(text)


def _phone(text: str) -> str:
    # Without a country only numbers that carry theirs have a normal form.
    try:
        return normalise_phone(text, None)
    except AddressError:
        return text.translate(SEPARATORS)
