"""Mirrors core/doubt.py (B077)."""

import pytest

from core.address import normalise_email
from core.doubt import ROLES, UNREAD, Doubt, doubt_of


@pytest.mark.parametrize(
    ("spelling", "doubt"),
    [
        ("Info@Shop.DE", Doubt.ROLE),
        ("info+web@shop.de", Doubt.ROLE),
        ("No-Reply@shop.de", Doubt.NOBODY_READS),
        ("noreply@shop.invalid", Doubt.NOBODY_READS),
        ("ana@shop.invalid", Doubt.NO_MAIL),
        ("ana@mail.example.com", Doubt.NO_MAIL),
        ("ana@example.org", Doubt.NO_MAIL),
        ("ana@printer.local", Doubt.NO_MAIL),
        ("ana@myexample.com", None),
        ("informatics@shop.de", None),
        ("ana.info@shop.de", None),
    ],
)
def test_what_speaks_against_an_address(spelling: str, doubt: Doubt | None) -> None:
    assert doubt_of(normalise_email(spelling)) == doubt


def test_names_are_in_their_normal_form() -> None:
    assert all(name == name.lower() and "+" not in name for name in ROLES | UNREAD)
