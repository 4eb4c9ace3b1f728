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
    "e_mail_address": "email",
    "phone_number": "phone",
    "mobile": "phone",
    "mobile_phone": "phone",
    "mobile_number": "phone",
    "cell_phone": "phone",
    "telephone": "phone",
    "firstname": "first_name",
    "given_name": "first_name",
    "lastname": "last_name",
    "surname": "last_name",
    "name": "full_name",
    "id": "member_id",
    "customer_id": "member_id",
    "external_id": "member_id",
    "birthday": "date_of_birth",
    "birth_date": "date_of_birth",
    "birthdate": "date_of_birth",
    "dob": "date_of_birth",
    "time_zone": "timezone",
    "tag": "tags",
    "push": "push_token",
}
IDENTITIES = ("member_id", "email", "phone")
ATTRIBUTES = "attributes."
STANDING = "standing"
"""A column of another product's words about a subscriber (members/standing.py)."""
STANDINGS = (STANDING, "standing.left", "standing.bounced")
"""The latter two hold anything at all, such as a time, for those who left or bounced."""
CONSENT = "consent."
"""Columns `consent.email`, `consent.sms`, `consent.push` hold yes or no."""


def targets_of(header: Sequence[str], mapping: Mapping[str, str | None]) -> list[str | None]:
    """Return what each column is by the mapping, or else by its name.

    That is a field, `attributes.<name>`, `consent.<channel>`, or None. Raises ImportFileError for a
    mapping of no column, or to no field.
    """
    unknown = [name for name in mapping if name not in header]
    if unknown:
        raise ImportFileError(
            f"the file has no column “{unknown[0][:80]}”",
            field="mapping",
            remedy=nearest(unknown[0], header),
        )
    return [_chosen(mapping[name]) if name in mapping else named(name) for name in header]


def check(targets: Sequence[str | None]) -> None:
    """Raise ImportFileError for a target twice, or when no column says who a row is about."""
    taken = [target for target in targets if target is not None]
    twice = next((target for target in taken if taken.count(target) > 1), None)
    if twice is not None:
        raise ImportFileError(f"two columns are {twice}", field="mapping", remedy="map one to none")
    if not set(taken) & set(IDENTITIES):
        raise ImportFileError(
            "no column says who a row is about",
            field="file",
            remedy="the header needs member_id, email or phone, or a mapping to one of them",
        )


def named(name: str) -> str | None:
    """Return what a column is by its name alone; None when that says nothing to us."""
    plain = name.strip().casefold().replace(" ", "_").replace("-", "_")
    target = ALIASES.get(plain, plain)
    if target.startswith(ATTRIBUTES):
        target = ATTRIBUTES + name.strip().partition(".")[2]
    return target if _known(target) else None


def _chosen(target: str | None) -> str | None:
    if target is None or _known(target):
        return target
    raise ImportFileError(
        f"“{target[:80]}” is no field", field="mapping", remedy=nearest(target, FIELDS)
    )


def _known(target: str) -> bool:
    if target.startswith(ATTRIBUTES):
        return len(ATTRIBUTES) < len(target) <= len(ATTRIBUTES) + 64
    if target.startswith(CONSENT):
        return target.removeprefix(CONSENT) in ("email", "sms", "push")
    return target in FIELDS - {"consents"} or target in STANDINGS


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
