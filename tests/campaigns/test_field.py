"""Mirrors campaigns/field.py. What each field accepts is tested with the campaign."""

import pytest

from campaigns.field import one_of
from channels.channel import Channel
from core.errors import InvalidError


def test_a_value_is_taken_as_itself_or_as_its_text() -> None:
    assert one_of(Channel, Channel.SMS, "channel") is Channel.SMS
    assert one_of(Channel, "sms", "channel") is Channel.SMS


def test_a_value_near_none_is_answered_with_all_of_them() -> None:
    with pytest.raises(InvalidError) as caught:
        one_of(Channel, "pigeon post", "channel")

    assert caught.value.remedy == f"use one of {', '.join(Channel)}"
