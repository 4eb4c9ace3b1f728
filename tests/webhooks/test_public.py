"""Mirrors webhooks/public.py."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest

from webhooks.public import HEADERS, STYLE, away, missing, page


@pytest.fixture(autouse=True)
def _request(app):
    with app.test_request_context():
        yield


def test_the_pages_own_style_is_the_only_one_allowed():
    [style] = re.findall(r"<style>(.*?)</style>", missing().get_data(as_text=True), re.DOTALL)
    hashed = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{hashed}'" in HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]


def test_a_page_is_small_and_loads_nothing():
    assert len(STYLE.encode()) < 3000
    for answer in (missing(), away()):
        html = answer.get_data(as_text=True)
        assert "src=" not in html
        assert "http" not in html


def test_every_page_has_a_title_a_language_and_one_heading():
    values = {"client": "Ana's <shop>", "what": "w", "consequence": "c", "masked": "m"}
    for answer in (
        missing(),
        away(),
        page("unsubscribe", values),
        page("unsubscribed", values),
        page("account", {"heading": "<shop>", "email": "<shop>", "error": "<shop>"}),
        page("account_done", {"heading": "<shop>"}),
        page("account_dead"),
    ):
        assert '<html lang="en">' in answer.get_data(as_text=True)
        assert re.search(r"<title>[^<]+</title>", answer.get_data(as_text=True))
        assert answer.get_data(as_text=True).count("<h1>") == 1
        assert "<shop>" not in answer.get_data(as_text=True)
