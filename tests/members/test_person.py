"""Mirrors members/person.py."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from core.errors import InvalidError
from members.person import read_person


def test_a_person_is_read_into_normal_forms() -> None:
    person = read_person(
        {
            "member_id": "  C-77 ",
            "first_name": "Ana",
            "last_name": "García",
            "email": " Ana@Example.COM ",
            "phone": "(201) 555-0123",
            "tier": "Premium",
            "total_spend": "12.5",
            "date_of_birth": "1990-01-31",
            "last_active": "2026-01-31T12:00:00+01:00",
            "tags": "VIP; lead,vip",
            "attributes": {"city": "Lisbon", "empty": ""},
            "location": "",
        },
        country="US",
    )

    assert person.addresses == {"email": "ana@example.com", "sms": "+12015550123"}
    assert person.tags == ("vip", "lead")
    assert person.attributes == {"city": "Lisbon"}
    assert person.fields == {
        "member_id": "c-77",
        "first_name": "Ana",
        "last_name": "García",
        "full_name": "Ana García",
        "tier": "premium",
        "total_spend": Decimal("12.5000"),
        "date_of_birth": date(1990, 1, 31),
        "last_active": datetime(2026, 1, 31, 11, 0, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "ana@shop,example"),
        ("email", "a@x.example, b@x.example"),
        ("phone", "12345"),
        ("phone", "0612345678"),
        ("tier", "platinum"),
        ("status", "gone"),
        ("engagement_score", "high"),
        ("engagement_score", "nan"),
        ("total_spend", "1e400"),
        ("date_of_birth", "31.1.1990"),
        ("last_active", "yesterday"),
        ("timezone", "Middle-earth/Shire"),
        ("timezone", "../../etc/passwd"),
        ("first_name", "x" * 101),
        ("first_name", "a\x00b"),
        ("tags", ["x" * 65]),
        ("attributes", {"nested": {"a": 1}}),
        ("consents", [{"channel": "fax", "state": "granted"}]),
        ("consents", [{"channel": "sms", "state": "maybe"}]),
        ("no_such_field", "x"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_field(field, value) -> None:
    with pytest.raises(InvalidError) as refused:
        read_person({field: value}, country=None)

    assert (refused.value.field or "").startswith(field)
