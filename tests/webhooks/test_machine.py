"""Mirrors webhooks/machine.py."""

from datetime import UTC, datetime, timedelta

import pytest

from webhooks.machine import is_prefetch, is_scanner

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PEOPLE = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Mozilla/5.0 (Linux; Android 16; Cubot X70) AppleWebKit/537.36 Chrome/141.0 Mobile",
    "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
]
SCANNERS = [
    "",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "facebookexternalhit/1.1",
    "WhatsApp/2.24.1 A",
    "Slackbot-LinkExpanding 1.0",
    "Mimecast-URL-Protect",
    "Mozilla/5.0 (compatible; BarracudaCentral)",
    "Microsoft Office Existence Discovery",
    "python-requests/2.32",
    "curl/8.5.0",
    "Go-http-client/2.0",
    "HeadlessChrome/141",
]


@pytest.mark.parametrize("agent", PEOPLE)
def test_a_persons_browser_is_no_scanner(agent):
    assert not is_scanner("GET", agent)


@pytest.mark.parametrize("agent", SCANNERS)
def test_a_scanner_that_says_so_is_one(agent):
    assert is_scanner("GET", agent)


def test_nobody_reads_by_head():
    assert is_scanner("HEAD", PEOPLE[0])


def test_apples_mail_privacy_is_no_reader():
    assert is_prefetch("Mozilla/5.0", None, NOON)
    assert not is_prefetch(PEOPLE[0], None, NOON)


@pytest.mark.parametrize(
    ("seconds", "machine"), [(1, True), (9.9, True), (10, False), (3600, False)]
)
def test_an_image_proxy_fetches_ahead_only_right_after_the_send(seconds, machine):
    agent = "Mozilla/5.0 (Windows NT 5.1) Firefox/11.0 (via ggpht.com GoogleImageProxy)"
    assert is_prefetch(agent, NOON - timedelta(seconds=seconds), NOON) is machine
