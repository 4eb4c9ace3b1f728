"""Mirrors channels/sms.py."""

import pytest

from channels.sms import Encoding, Keyword, keyword, size


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" * 5, 2),  # 162 septets; the first € would straddle the parts
        ("a" * 152 + "€" + "a" * 151 + "€", 3),
    ],
)
def test_gsm_7_holds_160_septets_or_153_a_part(text: str, segments: int) -> None:
    """B086."""
    found = size(text)
    assert (found.encoding, found.segments) == (Encoding.GSM_7, segments)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("ж" * 134, 2),
        ("ж" * 135, 3),
        ("🎁" * 35, 1),
        ("🎁" * 36, 2),
        ("🎁" * 66, 2),
        ("🎁" * 67, 3),  # 33 a part: the 67th unit stays empty
    ],
)
def test_ucs_2_holds_70_units_or_67_a_part(text: str, segments: int) -> None:
    """B086."""
    found = size(text)
    assert (found.encoding, found.segments) == (Encoding.UCS_2, segments)


@pytest.mark.parametrize("character", list("\u2019“”\u2013…`\tçáíóú\xa0"))
def test_one_character_outside_makes_the_whole_text_ucs_2(character: str) -> None:
    assert size("a" * 100 + character).encoding is Encoding.UCS_2


@pytest.mark.parametrize("character", list("ÇéèàñÑÄöüß@£$\n¡¿"))
def test_these_are_in_gsm_7(character: str) -> None:
    found = size(character)
    assert (found.encoding, found.units) == (Encoding.GSM_7, 1)


@pytest.mark.parametrize("character", list("^{}\\[~]|€\f"))
def test_extended_characters_cost_two(character: str) -> None:
    assert size(character).units == 2


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop", "Stop", " stop ", "STOP.", "“Stop!”", "StopAll", "stop all", "UNSUBSCRIBE",
        "Cancel", "END", "Quit", "revoke", "OPTOUT", "opt out", "Opt-Out",
        "\uff33\uff34\uff2f\uff30", "stop\n",
    ],
)  # fmt: skip
def test_these_stop(text: str) -> None:
    assert keyword(text) is Keyword.STOP


def test_these_start_and_help() -> None:
    assert keyword("Start") is keyword("UNSTOP") is Keyword.START
    assert keyword("help") is keyword(" INFO ") is Keyword.HELP


@pytest.mark.parametrize(
    "text", ["", " ", "stop please", "don't stop", "Yes", "s t o p", "ending", "stop" * 100, "🛑"]
)
def test_a_sentence_is_a_reply(text: str) -> None:
    assert keyword(text) is None
