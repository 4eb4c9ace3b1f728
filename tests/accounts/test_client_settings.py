"""Mirrors accounts/client_settings.py."""

from typing import Any

import pytest

from accounts.client_settings import checked_settings
from core.errors import InvalidError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("currency", "EUR"),
        ("attribution_days", 1),
        ("event_days_kept", 36_500),
        ("audit_days_kept", 365),
        ("referral_rates", [[0, "0"], [5, "0.15"], [25, "1"]]),
    ],
)
def test_what_fits_is_kept_beside_what_was_there(name: str, value: Any) -> None:
    held = {"currency": "USD", "attribution_days": 9}

    assert checked_settings({name: value}, held) == held | {name: value}
    assert checked_settings({name: None}, {name: value}) == {}


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("currency", "eur", "settings.currency"),
        ("currency", 7, "settings.currency"),
        ("attribution_days", 0, "settings.attribution_days"),
        ("attribution_days", "7", "settings.attribution_days"),
        ("event_days_kept", True, "settings.event_days_kept"),
        ("event_days_kept", 36_501, "settings.event_days_kept"),
        ("audit_days_kept", 364, "settings.audit_days_kept"),
        ("referral_rates", [], "settings.referral_rates"),
        ("referral_rates", [[0, "0.1"], [0, "0.2"]], "settings.referral_rates"),
        ("referral_rates", [[0, "1.1"]], "settings.referral_rates"),
        ("referral_rates", [[0, "NaN"]], "settings.referral_rates"),
        ("referral_rates", [[0, "much"]], "settings.referral_rates"),
        ("referral_rates", [[0, 0.1]], "settings.referral_rates"),
        ("referral_rates", [[-1, "0.1"]], "settings.referral_rates"),
        ("referral_rates", [5, [0, "0.1"]], "settings.referral_rates"),
        ("no_such_setting", 1, "settings"),
    ],
)
def test_what_does_not_fit_is_named_with_its_remedy(name: str, value: Any, field: str) -> None:
    with pytest.raises(InvalidError) as raised:
        checked_settings({name: value}, {})

    assert raised.value.field == field
    assert raised.value.remedy
