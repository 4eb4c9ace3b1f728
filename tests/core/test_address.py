"""Mirrors core/address.py."""

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.address import (
    PROBLEMS,
    AddressError,
    AddressHasher,
    _odd_email,
    is_country,
    mask,
    normalise,
    normalise_email,
    normalise_phone,
    normalise_push_token,
)


def wide(text: str) -> str:
    """The same characters as a Japanese keyboard types them."""
    return "".join(chr(ord(letter) + 0xFEE0) for letter in text)


EMAILS = [
    ("B070", "User@Example.COM", "user@example.com"),
    ("B070", "user@example.com", "user@example.com"),
    ("B070", "  user@example.com\r\n", "user@example.com"),
    ("B071", "user@exämple.com", "user@xn--exmple-cua.com"),
    ("B071", "user@xn--exmple-cua.com", "user@xn--exmple-cua.com"),
    ("B071", "user@XN--EXMPLE-CUA.com", "user@xn--exmple-cua.com"),
    ("B071", "user@EXÄMPLE.com", "user@xn--exmple-cua.com"),
    ("B071", "user@exa\u0308mple.com", "user@xn--exmple-cua.com"),
    ("B072", f"{wide('a')}@example.com", "a@example.com"),
    ("B072", f"a{wide('@')}example\u3002com", "a@example.com"),
    ("B072", "a@example.com\u00a0", "a@example.com"),
    ("B072", "\u2003a@example.com", "a@example.com"),
    ("B072", "a@\u0435xample.com", "a@xn--xample-2of.com"),  # a Cyrillic letter: another domain
    ("B073", "a@straße.de", "a@xn--strae-oqa.de"),
    ("B073", "INFO@ISTANBUL.example", "info@istanbul.example"),
    ("B074", "!#$%&'*/=?^`{|}~@example.com", "!#$%&'*/=?^`{|}~@example.com"),
    ("B075", f"{'a' * 64}@example.com", f"{'a' * 64}@example.com"),
    ("B077", "no-reply@example.com", "no-reply@example.com"),
    ("B077", "a@shop.invalid", "a@shop.invalid"),
    ("B078", "user+tag@example.com", "user+tag@example.com"),
    ("B078", "u.s.e.r@gmail.com", "u.s.e.r@gmail.com"),
    ("long domain", f"a@{'b.' * 120}com", f"a@{'b.' * 120}com"),
    ("hyphens", "a@a--b.example", "a@a--b.example"),
]

REFUSED_EMAILS = [
    ("B072", "a\u200bb@example.com", "email_hidden"),
    ("B072", "\ufeffa@example.com", "email_hidden"),
    ("B072", "a\u00adb@example.com", "email_hidden"),
    ("B072", "a@exam\u00adple.com", "email_hidden"),
    ("B072", "\u202ea@example.com", "email_hidden"),
    ("B072", "a\u00a0b@example.com", "email_syntax"),
    ("B072", "\u0430@example.com", "email_local"),  # a Cyrillic letter
    ("B073", "İx@example.com", "email_local"),
    ("B073", "ß@example.com", "email_local"),
    ("B074", "a@example.com.", "email_syntax"),
    ("B074", "a b@example.com", "email_syntax"),
    ("B074", "mailto:a@example.com", "email_link"),
    ("B074", "Ana <a@example.com>", "email_name"),
    ("B074", "<a@example.com>", "email_name"),
    ("B074", "a@example.com, b@example.com", "email_several"),
    ("B074", "a@example.com;b@example.com", "email_several"),
    ("B074", "a@example.com b@example.com", "email_several"),
    ("B074", "a@b@example.com", "email_several"),
    ("B074", "gus@@example.com", "email_syntax"),
    ("B075", f"{'a' * 65}@example.com", "email_syntax"),
    ("B075", f"a@{'b.' * 126}com", "email_syntax"),
    ("B075", f"a@{'b' * 64}.com", "email_syntax"),
    ("B075", "a" * 100_000, "email_long"),
    ("B075", "a@[127.0.0.1]", "email_syntax"),
    ("B075", "a@127.0.0.1", "email_syntax"),
    ("B075", '"a b"@example.com', "email_syntax"),
    ("B075", "a@localhost", "email_syntax"),
    ("B076", "a@b.example\nBcc: c@d.example", "email_hidden"),
    ("B076", "a@b.example\x00", "email_hidden"),
    ("surrogate", "a\ud800@example.com", "email_hidden"),
    ("empty", "", "email_empty"),
    ("empty", " \t\u3000", "email_empty"),
    ("no @", "example.com", "email_syntax"),
    ("no local", "@example.com", "email_syntax"),
    ("no domain", "a@", "email_syntax"),
    ("dots", "a..b@example.com", "email_syntax"),
    ("dots", ".a@example.com", "email_syntax"),
    ("underscore", "a@b_c.example", "email_syntax"),
    ("comment", "a(x)@example.com", "email_syntax"),
]

PHONES = [
    ("B079", "(201) 555-0123", "US", "+12015550123"),
    ("B079", "+1 201 555 0123", None, "+12015550123"),
    ("B079", "2015550123", "US", "+12015550123"),
    ("B079", "2015550123", "us", "+12015550123"),
    ("B079", "+12015550123", "DE", "+12015550123"),
    ("B079", "201.555.0123", "US", "+12015550123"),
    ("B079", "201\u2011555\u20110123", "US", "+12015550123"),
    ("B080", "0612345678", "FR", "+33612345678"),
    ("B081", "٠٦١٢٣٤٥٦٧٨", "FR", "+33612345678"),
    ("B081", wide("+12015550123"), None, "+12015550123"),
    ("B081", "+1201555012" + wide("3"), None, "+12015550123"),
    ("B082", "+33 (0)6 12 34 56 78", None, "+33612345678"),
    ("B083", "0012015550123", "DE", "+12015550123"),
    ("Italy keeps its 0", "+39 06 1234 5678", None, "+390612345678"),
    ("slash", "030/12345678", "DE", "+493012345678"),
    ("satellite", "+883510000000094", None, "+883510000000094"),
]

REFUSED_PHONES = [
    ("B080", "0612345678", None, "phone_country"),
    ("B080", "2015550123", "XX", "phone_country"),
    ("B083", "0012015550123", "US", "phone_invalid"),
    ("B083", "12345", "US", "phone_invalid"),
    ("B083", "+1201555012", None, "phone_invalid"),
    ("B083", "+999123456789", None, "phone_country"),
    ("B084", "+19005550123", None, "phone_premium"),
    ("B084", "(900) 555-0123", "US", "phone_premium"),
    ("B084", "78787", "US", "phone_invalid"),
    ("B084", "ELEVATE", "US", "phone_text"),
    ("B085", "+12015550123 ext. 5", None, "phone_extension"),
    ("B085", "+12015550123x5", None, "phone_extension"),
    ("B085", "+12015550123#5", None, "phone_extension"),
    ("B085", "1-800-FLOWERS", "US", "phone_text"),
    ("uri", "tel:+12015550123", None, "phone_text"),
    ("two", "+12015550123 / +12015550124", None, "phone_text"),
    ("two", "+12015550123, +12015550124", None, "phone_text"),
    ("line break", "+1\n2015550123", None, "phone_text"),
    ("empty", "", "US", "phone_empty"),
    ("marks", "----", "US", "phone_invalid"),
    ("plus", "+", "US", "phone_text"),
    ("long", "9" * 300, "US", "phone_invalid"),
    ("endless", "9" * 100_000, "US", "phone_text"),
]


@pytest.mark.parametrize(("rule", "text", "normal"), EMAILS)
def test_every_spelling_of_an_email_has_one_form(rule: str, text: str, normal: str) -> None:
    assert normalise_email(text) == normal, rule


@pytest.mark.parametrize(("rule", "text", "reason"), REFUSED_EMAILS)
def test_what_is_not_one_plain_email_is_refused_with_its_reason(
    rule: str, text: str, reason: str
) -> None:
    with pytest.raises(AddressError) as refused:
        normalise_email(text, field="email")

    assert refused.value.reason == reason, rule
    assert refused.value.field == "email"


@pytest.mark.parametrize(("rule", "text", "country", "normal"), PHONES)
def test_every_spelling_of_a_phone_number_is_one_e164_text(
    rule: str, text: str, country: str | None, normal: str
) -> None:
    assert normalise_phone(text, country) == normal, rule


@pytest.mark.parametrize(("rule", "text", "country", "reason"), REFUSED_PHONES)
def test_what_cannot_be_messaged_is_refused_with_its_reason(
    rule: str, text: str, country: str | None, reason: str
) -> None:
    with pytest.raises(AddressError) as refused:
        normalise_phone(text, country, field="phone")

    assert refused.value.reason == reason, rule
    assert refused.value.field == "phone"


@pytest.mark.parametrize("text", ["abcdefgh", "eXam:ple_-.%/=+9" * 10, "  abcdefgh\n"])
def test_a_device_token_keeps_its_case_and_loses_its_margins(text: str) -> None:
    assert normalise_push_token(text) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "short", "a b c d e f", "ünïcödé-token", "x" * 4097, "a\x00" * 9]
)
def test_what_no_device_gives_is_no_token(text: str) -> None:
    with pytest.raises(AddressError):
        normalise_push_token(text)


def test_each_channel_has_its_normaliser() -> None:
    assert normalise("email", "A@b.example") == "a@b.example"
    assert normalise("sms", "(201) 555-0123", "US") == "+12015550123"
    assert normalise("push", " token-of-a-phone ") == "token-of-a-phone"
    with pytest.raises(ValueError, match="fax"):
        normalise("fax", "1")


def test_a_refusal_never_repeats_the_address() -> None:
    with pytest.raises(AddressError) as refused:
        normalise_email("secret.person@@example.com")

    assert "secret" not in f"{refused.value} {refused.value.remedy}"


def test_every_reason_says_what_to_do() -> None:
    assert all(message and remedy for message, remedy in PROBLEMS.values())


NEARLY_EMAIL = st.from_regex(
    re.compile(
        r"[ A-Za-z0-9_+\-.'ÄßİıΩ\uff41]{1,12}[@\uff20]"
        r"[A-Za-z0-9\-.äßİΩ\u3002]{1,12}\.[A-Za-z0-9é]{1,5}"
    ),
    fullmatch=True,
)
NEARLY_PHONE = st.from_regex(
    re.compile(r"\+?[0-9\u0660-\u0669\uff10-\uff19 ()./\-]{5,18}"), fullmatch=True
)


@given(st.one_of(st.text(max_size=60), NEARLY_EMAIL))
@example("a@İ.example")
@example("ǅ@ǅ.example")
def test_a_normal_email_is_a_fixed_point_in_plain_lower_case(text: str) -> None:
    try:
        normal = normalise_email(text)
    except AddressError:
        return

    assert normalise_email(normal) == normal
    assert normal.isascii()
    assert normal == normal.lower()
    assert len(normal) <= 254
    assert normal.count("@") == 1


@given(st.from_regex(r"[A-Za-z0-9_+.\-]{1,8}@[A-Za-z0-9.\-]{1,20}\.[A-Za-z]{1,4}", fullmatch=True))
@example("a@b-c.de")
@example("a@b--c.de")
@example("a@xn--a.de")
@example("A-_+.b@c.d.EF")
def test_the_quick_way_answers_like_the_long_one(text: str) -> None:
    def outcome(way: Callable[[str], str]) -> str:
        try:
            return way(text)
        except AddressError as error:
            return error.reason

    assert outcome(normalise_email) == outcome(_odd_email)


@given(st.one_of(st.text(max_size=30), NEARLY_PHONE), st.sampled_from([None, "US", "FR", "IT"]))
def test_a_normal_phone_number_is_a_fixed_point_anywhere(text: str, country: str | None) -> None:
    try:
        normal = normalise_phone(text, country)
    except AddressError:
        return

    assert re.fullmatch(r"\+[1-9][0-9]{5,16}", normal)
    assert normalise_phone(normal, None) == normal
    assert normalise_phone(normal, "DE") == normal


def test_a_country_is_one_that_has_numbers() -> None:
    assert is_country("US")
    assert is_country("de")
    assert not is_country("XX")
    assert not is_country("001")


def test_a_hash_tells_addresses_channels_and_clients_apart() -> None:
    hasher = AddressHasher(b"k" * 32)

    known = hasher.hash(1, "email", "a@b.example")

    assert re.fullmatch("[0-9a-f]{32}", known)
    assert known == hasher.hash(1, "email", "a@b.example")
    others = {
        hasher.hash(2, "email", "a@b.example"),
        hasher.hash(1, "push", "a@b.example"),
        hasher.hash(1, "email", "b@b.example"),
        AddressHasher(b"l" * 32).hash(1, "email", "a@b.example"),
    }
    assert len(others) == 4
    assert known not in others


@pytest.mark.parametrize(
    ("kind", "value", "masked"),
    [
        ("email", "ana@example.com", "a***@e***.com"),
        ("email", "a@xn--exmple-cua.co.uk", "a***@x***.uk"),
        ("sms", "+12015550123", "+1***23"),
        ("push", "fcm-token-of-ana-9f3c", "***9f3c"),
    ],
)
def test_a_mask_shows_enough_to_recognise_and_no_more(kind: str, value: str, masked: str) -> None:
    assert mask(kind, value) == masked
