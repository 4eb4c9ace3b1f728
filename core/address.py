"""The one address normaliser: two spellings of one address become one text, or are refused.

Everything that stores, compares, suppresses or sends goes through here, because a person imported
as `User@Example.COM` and typed as `user@example.com` must not get two messages. A normal
form is a fixed point: normalising it again changes nothing.

Plus-tags and dots before the @ are kept: only the receiving domain knows whether they matter.
Whether an address exists is not asked here.
"""

import re
import unicodedata
from hashlib import blake2b

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from core.errors import InvalidError
from core.numbering import surely_valid

MAX_EMAIL = 254
"""RFC 3696 erratum 1690."""
MAX_TEXT = 1024
"""Longer texts are refused unread."""
PUSH_LENGTH = range(8, 4097)

# Plain ASCII addresses, which the fast path decides by itself: at most 63 characters, so that no
# part can be too long, and no two hyphens in a row, so that no label is special (xn--).
PLAIN_LENGTH = 63
PLAIN = re.compile(
    r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
    r"@(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+[A-Za-z]{2,}"
).fullmatch
BETWEEN_ADDRESSES = re.compile(r"[,;]|@[^@].*@")
"""A doubled @ is a slip of the finger in one address."""
PHONE_TEXT = re.compile(r"\+?[\d\s().\-/\u2010-\u2015\u2212]+").fullmatch
"""Digits of any script, and what people put between them, with every kind of dash."""
SEPARATORS = str.maketrans("", "", " ()-.")
"""What most people put between digits; it says nothing."""
EXTENSION = re.compile(r"(?i)(?:;?ext\.?|extn\.?|extension|x|#)[\s.:=]*\d+\s*$").search

PROBLEMS = {
    "email_empty": ("the address is empty", "give an address such as ana@example.com"),
    "email_long": ("the address is longer than 254 characters", "check for text pasted into it"),
    "email_hidden": (
        "the address contains an invisible or control character",
        "type it anew instead of pasting it",
    ),
    "email_name": (
        "this is a name with an address, not an address alone",
        "keep what stands between < and >",
    ),
    "email_link": ("this is a link, not an address", "remove what stands before the address"),
    "email_several": ("there is more than one address here", "keep one address per person"),
    "email_local": (
        "the part before the @ holds characters that mail providers do not deliver to",
        "ask the person for an address in plain letters",
    ),
    "email_syntax": ("this is not an email address", "write it as ana@example.com"),
    "phone_empty": ("the number is empty", "give a number such as +12015550123"),
    "phone_extension": (
        "the number has an extension, which messages cannot reach",
        "give a number without an extension",
    ),
    "phone_text": (
        "this holds more than the digits of one phone number",
        "keep digits, and write letters of the keypad as digits",
    ),
    "phone_country": (
        "the number has no country code",
        "write it with + and the country code, or set the client's country",
    ),
    "phone_invalid": (
        "no such number can exist in its country",
        "check the country code and the number of digits",
    ),
    "phone_premium": ("this is a premium-rate number", "ask the person for another number"),
    "push_token": (
        "this is not a device token",
        "pass the registration token as the device gave it",
    ),
}
"""What can be wrong with an address, and what to do: every reason there is."""


class AddressError(InvalidError):
    """The address cannot be used."""

    code = "invalid_address"

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        message, remedy = PROBLEMS[reason]
        super().__init__(message, field=field, remedy=remedy)
        self.reason = reason
        """A key of PROBLEMS. Nothing here repeats the address, so all of it may be logged."""


def normalise_email(text: str, *, field: str | None = None) -> str:
    """Return the one form of an email address: lower case, domain in A-labels, plain letters.

    Raises AddressError, with `field` as its field. Letters outside ASCII before the @ are refused:
    few servers and none of our providers' bulk interfaces deliver to them (RFC 6531).
    """
    if len(text) <= PLAIN_LENGTH and PLAIN(text):
        return text.lower()
    try:
        return _odd_email(text)
    except AddressError as error:
        error.field = field
        raise


def _odd_email(text: str) -> str:
    """Do the same for whatever is not plain ASCII, step by step."""
    # Lowering can leave text that composes anew, hence NFKC on both sides of it.
    text = unicodedata.normalize("NFKC", _visible(text, "email").lower())
    _refuse_more_than_an_address(text)
    local, _, _ = text.rpartition("@")
    if not local.isascii():
        raise AddressError("email_local")
    try:
        valid = validate_email(
            text,
            allow_smtputf8=False,
            strict=True,
            check_deliverability=False,
            globally_deliverable=False,
        )
    except EmailNotValidError:
        raise AddressError("email_syntax") from None
    normal = valid.ascii_email
    if normal is None or not _public(valid.ascii_domain):
        raise AddressError("email_syntax")
    if len(normal) > MAX_EMAIL:
        raise AddressError("email_long")
    return normal


def _visible(text: str, kind: str) -> str:
    """Return the text in NFKC without spaces around it; refuse the empty, endless, invisible."""
    text = unicodedata.normalize("NFKC", text[: MAX_TEXT + 1]).strip()
    if not text:
        raise AddressError(f"{kind}_empty")
    if len(text) > MAX_TEXT:
        raise AddressError("email_long" if kind == "email" else "phone_text")
    if any(unicodedata.category(letter)[0] == "C" for letter in text):
        raise AddressError("email_hidden" if kind == "email" else "phone_text")
    return text


def _refuse_more_than_an_address(text: str) -> None:
    if "<" in text or ">" in text:
        raise AddressError("email_name")
    if text.startswith("mailto:"):
        raise AddressError("email_link")
    if BETWEEN_ADDRESSES.search(text):
        raise AddressError("email_several")


def _public(domain: str) -> bool:
    """Say whether a domain has a dot and does not end in a number, as an IP address does."""
    _, dot, last = domain.rpartition(".")
    return bool(dot) and not last[0].isdigit()


def is_country(text: str) -> bool:
    """Say whether this is a country (ISO 3166, two letters) that has phone numbers."""
    return text.upper() in phonenumbers.SUPPORTED_REGIONS


def normalise_phone(text: str, country: str | None, *, field: str | None = None) -> str:
    """Return the E.164 form of a phone number, such as `+12015550123`.

    A number without + is read as dialled in `country` (ISO 3166, such as `US`). Numbers that
    cannot exist, premium-rate numbers, extensions and keypad letters raise AddressError, with
    `field` as its field.
    """
    if text.startswith("+"):
        plain = text.translate(SEPARATORS)
        if surely_valid(plain):
            return plain
    try:
        return _odd_phone(text, country)
    except AddressError as error:
        error.field = field
        raise


def _odd_phone(text: str, country: str | None) -> str:
    """Do the same for any spelling, the long way."""
    text = _visible(text, "phone")
    if EXTENSION(text):
        raise AddressError("phone_extension")
    if not PHONE_TEXT(text):
        raise AddressError("phone_text")
    if country is None and not text.startswith("+"):
        raise AddressError("phone_country")
    try:
        number = phonenumbers.parse(text, country and country.upper())
    except phonenumbers.NumberParseException as error:
        unknown = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        raise AddressError("phone_country" if unknown else "phone_invalid") from None
    # UNKNOWN is exactly "not valid": one question answers both.
    kind = phonenumbers.number_type(number)
    if kind == phonenumbers.PhoneNumberType.UNKNOWN:
        raise AddressError("phone_invalid")
    if kind == phonenumbers.PhoneNumberType.PREMIUM_RATE:
        raise AddressError("phone_premium")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def normalise_push_token(text: str) -> str:
    """Return a device's registration token: opaque and case-sensitive, only trimmed.

    Raises AddressError for anything but 8 to 4,096 visible ASCII characters.
    """
    text = text.strip()
    if len(text) not in PUSH_LENGTH or not text.isascii() or not text.isprintable() or " " in text:
        raise AddressError("push_token")
    return text


def normalise(kind: str, text: str, country: str | None = None) -> str:
    """Return the normal form of an address of a channel: `email`, `sms` or `push`."""
    if kind == "email":
        return normalise_email(text)
    if kind == "sms":
        return normalise_phone(text, country)
    if kind == "push":
        return normalise_push_token(text)
    raise ValueError(f"channel {kind!r} has no addresses")


class AddressHasher:
    """Keyed hashes of addresses: suppressions outlive the member without keeping the address."""

    def __init__(self, key: bytes) -> None:
        self._keyed = blake2b(key=key, digest_size=16)
        self._begun: dict[tuple[int, str], blake2b] = {}

    def hash(self, client_id: int, kind: str, value: str) -> str:
        """Return 32 hex characters for a normal form; clients cannot compare theirs."""
        begun = self._begun.get((client_id, kind))
        if begun is None:
            begun = self._keyed.copy()
            begun.update(f"{client_id}:{kind}:".encode())
            self._begun[client_id, kind] = begun
        keyed = begun.copy()
        keyed.update(value.encode())
        return keyed.hexdigest()


def mask(kind: str, value: str) -> str:
    """Return enough of an address to recognise it: `a***@e***.com`, `+1***23`, `***9f3c`."""
    if kind == "email":
        local, _, domain = value.rpartition("@")
        return f"{local[:1]}***@{domain[:1]}***.{domain.rpartition('.')[2]}"
    if kind == "sms":
        return f"{value[:2]}***{value[-2:]}"
    return f"***{value[-4:]}"
