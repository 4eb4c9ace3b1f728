"""Mirrors communications/reference.py and communications/urls.py."""

import re

import pytest

from communications.reference import References
from communications.urls import Urls
from core.token import Signer

SIGNER = Signer(b"s" * 32)


def test_a_reference_reads_back_and_fits_every_provider() -> None:
    references = References(SIGNER)

    text = references.make(2**62, 40_000)

    assert references.read(text) == (2**62, 40_000)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", text)


@pytest.mark.parametrize("text", ["", "x", "1.1", "A" * 5000, "é", "AAAA-AAAA"])
def test_what_we_did_not_make_reads_as_nothing(text) -> None:
    assert References(SIGNER).read(text) is None


def test_another_installations_reference_reads_as_nothing() -> None:
    foreign = References(Signer(b"t" * 32)).make(1, 1)

    assert References(SIGNER).read(foreign) is None


def test_links_hold_a_token_for_one_purpose_below_the_configured_url() -> None:
    urls = Urls("https://m.example/base/", SIGNER)
    token = urls.unsubscribe(7).removeprefix("https://m.example/base/u/")

    assert SIGNER.verify("unsubscribe", token, 1) == (7,)
    assert SIGNER.verify("open", token, 1) is None
    assert urls.open(7).endswith(".gif")
    assert urls.status("twilio", "account", "ref").endswith("/webhooks/twilio/account?a=ref")
