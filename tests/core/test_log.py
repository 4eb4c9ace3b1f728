"""Mirrors core/log.py."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from core import log
from core.secret import Secret
from core.settings import Settings

SECRETS = [
    "ana.maria+news@example.com",
    "ana%40example.com",
    "müller@example.de",
    "+12015550123",
    "+1 (201) 555-0123",
    "%2B12015550123",
    "(201) 555-0123",
    "201-555-0123",
    "Bearer abcdef123456",
    "basic QWxhZGRpbjpvcGVu",
    "ex_0a1b2c3d_s3cr3t-s3cr3t",
    "es_0a1b2c3d_s3cr3t-s3cr3t",
    "SG.abcdefghij.klmnopqrstuv",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
    "password=hunter2",
    '"api_key": "hunter2"',
    "AUTH_TOKEN: hunter2",
    "postgresql://user:hunter2@host/db",
    "https://x.example/u/AbCdEfGhIjKlMnOp",
    "https://x.example/webhooks/twilio/AbCdEfGhIjKlMnOp",
]
TELLTALE = (
    "ana",
    "ller",
    "5550123",
    "555-0123",
    "abcdef",
    "QWx",
    "s3cr3t",
    "MIIE",
    "hunter2",
    "AbCd",
)

HARMLESS = [
    "campaign 12: 5,000 sent in 3.2 s",
    "2026-11-21T12:00:00+00:00",
    "communication 2015550123456",
    "run 3/7 at 10.0.0.1:8000",
    "the basic idea of a bearer",
    'File "/app/core/http.py", line 201, in request',
    "550e8400-e29b-41d4-a716-446655440000",
]


@pytest.mark.parametrize("text", SECRETS)
def test_addresses_and_credentials_are_masked(text: str) -> None:
    masked = log.redact(f"before {text} after")

    assert masked.startswith("before ")
    assert not any(part in masked for part in TELLTALE), masked


@pytest.mark.parametrize("text", HARMLESS)
def test_ids_times_and_counts_stay_readable(text: str) -> None:
    assert log.redact(text) == text


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("text", SECRETS)
def test_nothing_slips_through_any_value_of_a_record(
    configured: Any, log_format: str, text: str
) -> None:
    written = configured(log_format)

    log.get("ours").warning(f"event {text}", value=text, nested={"a": [text, {"b": text}]}, n=1)
    logging.getLogger("theirs").warning("record %s", text, extra={"given": text})
    try:
        raise ValueError(text)
    except ValueError:
        log.get("ours").exception("broken")
        logging.getLogger("theirs").exception("broken")

    lines = written()
    assert lines.count("broken") >= 2
    assert not any(part in lines for part in TELLTALE), lines


def test_values_under_a_secret_name_are_hidden_whatever_they_hold(configured: Any) -> None:
    written = configured("json")

    log.get("x").info(
        "call", auth_token="zzz", headers={"Authorization": "zzz"}, key=Secret("zzz"), token=3
    )

    record = json.loads(written())
    assert "zzz" not in json.dumps(record)
    assert record["token"] == 3


def test_a_line_break_in_a_value_forges_no_line(configured: Any) -> None:
    written = configured("console")

    log.get("x").info("one\n2026-01-01 [error] forged", value="a\r\nb\u2028c")

    assert len(written().splitlines()) == 1


def test_sdks_are_held_to_warnings(configured: Any) -> None:
    written = configured("json", level="DEBUG")

    for name in ("twilio.http_client", "urllib3.connectionpool", "sendgrid", "python_http_client"):
        logging.getLogger(name).info("POST https://api.example/Messages.json")

    assert written() == ""


def test_the_level_is_the_setting(configured: Any) -> None:
    written = configured("json", level="WARNING")

    log.get("x").info("unheard")
    log.get("x").warning("heard")

    assert json.loads(written())["event"] == "heard"


def test_configuring_twice_writes_once(configured: Any) -> None:
    configured("json")
    written = configured("json")

    log.get("x").info("once")

    assert written().count("once") == 1


@pytest.fixture
def configured(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Configure logging for one test; the value returned reads what was written since."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def configure(log_format: Any, level: str = "INFO") -> Any:
        log.configure(Settings(log_format=log_format, log_level=level))
        return lambda: capsys.readouterr().err

    yield configure
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
