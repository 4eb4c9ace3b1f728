"""Mirrors channels/settings.py."""

from dataclasses import dataclass

import pytest

from channels.settings import ConfigError, checked_url, read_config


@dataclass(frozen=True)
class Config:
    api_key: str
    port: int = 25
    name: str | None = None


def test_values_and_defaults_are_read() -> None:
    assert read_config(Config, {"api_key": "k", "name": "n"}) == Config("k", 25, "n")


@pytest.mark.parametrize("empty", ["", None])
def test_empty_is_not_given(empty: str | None) -> None:
    assert read_config(Config, {"api_key": "k", "name": empty, "port": empty}) == Config("k")
    with pytest.raises(ConfigError) as caught:
        read_config(Config, {"api_key": empty})
    assert caught.value.field == "api_key"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "api_key"),
        ({"api_key": 5}, "api_key"),
        ({"api_key": "k", "port": "25"}, "port"),
        ({"api_key": "k", "port": True}, "port"),
        ({"api_key": "k", "name": {}}, "name"),
        ({"api_key": "k", "name": "Shop\r\nBcc: x@y.co"}, "name"),  # B023
        ({"api_key": "k", "name": "Shop\u2028 x"}, "name"),
        ({"api_key": "k", "apikey": "x"}, "apikey"),
        ({"api_key": "k", "zzz": "x"}, "zzz"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(values: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(Config, values)
    assert caught.value.field == field
    assert caught.value.remedy


def test_a_base_url_is_http_and_has_no_slash_at_its_end() -> None:
    assert checked_url("https://api.example.com/", "base_url") == "https://api.example.com"
    for wrong in ("", "api.example.com", "file:///etc/passwd", "https://a b"):
        with pytest.raises(ConfigError):
            checked_url(wrong, "base_url")
