"""Columns: what each column of a file of people is, and what its cells are read as."""

from collections.abc import Mapping, Sequence

from core.condition.check import nearest
from members.errors import ImportFileError
from members.person import FIELDS

ALIASES = {
    # how people call it → what it is
    "e_mail": "email",
    "mail": "email",
    "email_address": "email",
    "phone_number": "phone",
    "mobile": "phone",
    "firstname": "first_name",
    "given_name": "first_name",
    "lastname": "last_name",
    "surname": "last_name",
    "name": "full_name",
    "id": "member_id",
    "customer_id": "member_id",
    "external_id": "member_id",
    "birthday": "date_of_birth",
    "tag": "tags",
    "push": "push_token",
}
IDENTITIES = ("member_id", "email", "phone")
CONSENT = "consent."
"""Columns `consent.email`, `consent.sms`, `consent.push` hold yes or no."""


def targets_of(header: Sequence[str], mapping: Mapping[str, str | None]) -> list[str | None]:
    """Return what each column is: a field, `attributes.<name>`, `consent.<channel>`, or None.

    Raises ImportFileError for an unknown target, a column twice, or no column that says who it is.
    """
    unknown = [name for name in mapping if name not in header]
    if unknown:
        raise ImportFileError(
            f"the file has no column “{unknown[0][:80]}”",
            field="mapping",
            remedy=nearest(unknown[0], header),
        )
    targets = [_target(name, mapping) for name in header]
    named = [target for target in targets if target is not None]
    twice = next((target for target in named if named.count(target) > 1), None)
    if twice is not None:
        raise ImportFileError(f"two columns are {twice}", field="mapping", remedy="map one to none")
    if not set(named) & set(IDENTITIES):
        raise ImportFileError(
            "no column says who a row is about",
            field="file",
            remedy="the header needs member_id, email or phone, or a mapping to one of them",
        )
    return targets


def _target(name: str, mapping: Mapping[str, str | None]) -> str | None:
    if name in mapping:
        chosen = mapping[name]
        if chosen is None or _known(chosen):
            return chosen
        raise ImportFileError(
            f"“{chosen[:80]}” is no field", field="mapping", remedy=nearest(chosen, FIELDS)
        )
    plain = name.strip().casefold().replace(" ", "_").replace("-", "_")
    guess = ALIASES.get(plain, plain)
    if guess.startswith("attributes."):
        guess = "attributes." + name.strip().partition(".")[2]
    return guess if _known(guess) else None


def _known(target: str) -> bool:
    if target.startswith("attributes."):
        return len(target) > len("attributes.")
    if target.startswith(CONSENT):
        return target.removeprefix(CONSENT) in ("email", "sms", "push")
    return target in FIELDS - {"attributes", "consents"}


def typed(text: str) -> str | int | float | bool:
    """Read an attribute as what it looks like; numbers with leading zeros stay text."""
    if text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 16:
        return text if digits.startswith("0") and digits != "0" else int(text)
    whole, dot, rest = digits.partition(".")
    if dot and (whole + rest).isascii() and whole.isdigit() and rest.isdigit():
        return float(text)
    return text
