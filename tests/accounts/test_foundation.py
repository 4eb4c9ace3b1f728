"""Mirrors accounts/foundation.py."""

from typing import Any

import pytest

from accounts.client_settings import checked_settings
from accounts.foundation import FACTS, FOUNDATION, is_foundation
from core.errors import InvalidError

FULL = {
    "offer": "The course",
    "offer_url": "https://shop.example/course?a=1",
    "pains": ["no time", "no list"],
    "competitors": [{"name": "Big Co", "weakness": "slow"}, {"name": "Other"}],
}


def test_facts_of_every_kind_are_kept() -> None:
    assert checked_settings({"foundation": FULL}, {}) == {"foundation": FULL}


@pytest.mark.parametrize(
    "value",
    [
        "text",
        [],
        {"ofer": "x"},
        {"offer": ""},
        {"offer": " "},
        {"offer": 7},
        {"offer": "x" * 2_001},
        {"offer_url": "shop.example"},
        {"offer_url": "javascript:alert(1)"},
        {"offer_url": "https://[broken"},
        {"offer_url": "https://a.example/b c"},
        {"pains": "no time"},
        {"pains": [1]},
        {"pains": ["x"] * 21},
        {"competitors": ["Big Co"]},
        {"competitors": [{"weakness": "slow"}]},
        {"competitors": [{"name": "x", "size": "y"}]},
    ],
)
def test_what_is_no_fact_is_refused(value: Any) -> None:
    assert not is_foundation(value)
    with pytest.raises(InvalidError) as caught:
        checked_settings({"foundation": value}, {})
    assert caught.value.field == "settings.foundation"


def test_no_two_groups_have_a_fact_of_one_name() -> None:
    assert len(FACTS) == sum(map(len, FOUNDATION.values()))
