"""Nurture and Upsell as they are shipped, from the first event to the last message, for real.

Real adapters and SDKs send to the simulated SendGrid, Twilio, FCM and SMTP relay; these tell what
became of it, twice; people click, answer, buy, give back and say no. Only time is compressed.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.town import Shop, Told, Town, listen, person, play, shop, town

pytestmark = pytest.mark.e2e

MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
FACTS = {
    "sender": "Mia",
    "gift": "The checklist",
    "gift_url": "https://shop.example/gift",
    "offer": "The course",
    "offer_url": "https://shop.example/course",
    "next_offer": "The masterclass",
    "next_offer_url": "https://shop.example/master",
}
STORY: dict[Told, str] = {
    ("ana", "nurture gift email"): "click",
    ("ana", "nurture offer email"): "click",
    ("ana", "nurture doubt sms"): "Yes!",
    ("ana", "upsell offer email"): "click",
    ("ana", "upsell doubt sms"): "yes please",
    ("bo", "nurture question sms"): "No time, mostly",
    ("bo", "nurture stay sms"): "stay",
    ("cleo", "nurture story email"): "unsubscribe",
    ("dan", "nurture story sms"): "STOP",
}
"""What people do with what they get. Ana then buys, and buys again; Fay buys and gives it back."""
PATHS = {
    "ana": """
        gift email, question email, story email, steps email, offer email, doubt sms, talk sms;
        thanks email, start push, help email, offer email, doubt sms, talk sms""",
    "bo": """
        gift sms, reminder sms, question sms, thanks sms, story sms, steps sms, offer sms,
        objection sms, proof sms, last sms, stay sms""",
    "cleo": "gift email, reminder sms, question email, story email",
    "dan": "gift sms, reminder sms, question sms, story sms",
    "eve": """
        gift email, gift push, question email, story email, steps email, offer email,
        objection email, proof email, last email, stay email""",
    "fay": """
        gift email, reminder email, question email, story email, steps email;
        thanks email, start email""",
    "gus": """
        gift email, reminder email, question email, story email, steps email, offer email,
        objection email, proof email, last email, stay email""",
}
"""Of Nurture, and after the semicolon of Upsell."""
ENDS = {
    "ana": {"nurture": "goal", "upsell": "goal"},
    "bo": {"nurture": "completed"},
    "cleo": {"nurture": "exited"},
    "dan": {"nurture": "exited"},
    "eve": {"nurture": "completed"},
    "fay": {"nurture": "goal", "upsell": "exited"},
    "gus": {"nurture": "completed"},
}
TAGS = {
    "ana": ["wants-next-offer", "wants-to-talk"],
    "bo": ["answered", "warm-lead"],
    "eve": ["cold-lead"],
    "gus": ["cold-lead"],
}
OF = {"gus": "Small"}


def test_nurture_and_upsell_from_end_to_end(database_url: str, tmp_path: Path) -> None:
    with town(database_url, tmp_path, MONDAY, STORY) as on:
        big, small = shop(on, "Big", "sendgrid", FACTS), shop(on, "Small", "smtp", FACTS)
        listen(big)
        for one in (big, small):
            one.recipe("nurture")
            one.recipe("upsell")
        person(big, "ana", email="ana@example.com", phone="+12015550101", push_token="ana-device")
        person(big, "bo", phone="+12015550102")
        person(big, "cleo", email="cleo@example.com", phone="+12015550103")
        person(big, "dan", phone="+12015550104")
        person(big, "eve", email="eve@example.com", push_token="eve-device")
        person(big, "fay", email="fay@example.com")
        person(small, "gus", email="gus@example.com")
        for name in PATHS:
            on.shops[OF.get(name, "Big")].did(name, "opted_in")

        play(
            on,
            {
                ("ana", "nurture talk sms"): lambda: big.bought("ana@example.com", "pi_1"),
                ("ana", "upsell talk sms"): lambda: big.ordered("ana@example.com", 71),
                ("fay", "nurture steps email"): lambda: big.ordered("fay@example.com", 81),
                ("fay", "upsell start email"): lambda: big.refunded(81),
            },
        )

        assert {name: sent(on, name) for name in PATHS} == {
            name: path.split() for name, path in PATHS.items()
        }
        assert {name: of(on, name).ends(name) for name in ENDS} == ENDS
        found = {name: of(on, name).member(name)["tags"] for name in PATHS}
        assert {name: sorted(tags) for name, tags in found.items() if tags} == TAGS
        said_no_and_got_nothing(on, big)
        for one in (big, small):
            for journey in one.journeys.values():
                adds_up(one.api.get(f"/journeys/{journey}/results"))
        everybody_is_counted(on, big)
        verdict = on.verdict()
        assert [one for one in verdict["oracles"].values() if not one["ok"]] == []
        assert verdict["ok"]


def of(on: Town, name: str) -> Shop:
    return on.shops[OF.get(name, "Big")]


def sent(on: Town, name: str) -> list[str]:
    """The templates of what somebody was sent, written as in PATHS."""
    names = of(on, name).sent(name)
    first = [one.removeprefix("nurture ") for one in names if one.startswith("nurture ")]
    then = [one.removeprefix("upsell ") for one in names if one.startswith("upsell ")]
    assert names[len(first) :] == [f"upsell {one}" for one in then]
    return "; ".join(", ".join(part) for part in (first, then) if part).split()


def said_no_and_got_nothing(on: Town, big: Shop) -> None:
    """Who opted out is written to no more, by no provider, though other channels are open."""
    for name, address, others in (
        ("cleo", "cleo@example.com", ["+12015550103"]),
        ("dan", "+12015550104", []),
    ):
        (said,) = [one["at"] for one in big.timeline(name, "consent") if one["what"] == "withdrawn"]
        at = datetime.fromisoformat(said)
        assert max(on.taken(address, *others)) <= at
        assert on.clock.now() - at > timedelta(days=14)


def adds_up(results: dict[str, Any]) -> None:
    """The sums that docs/reference/journeys.md promises, for the whole and for each step."""
    for one in (results["totals"], *(version["totals"] for version in results["versions"])):
        assert one["entered"] == sum(
            one[name] for name in ("inside", "completed", "goal", "exited", "stuck")
        )
    for version in results["versions"]:
        for step in version["steps"]:
            left = sum(step["left"].values())
            assert step["came"] == left + step["waiting"] + step["stuck"]
            told = step["messages"]
            assert told["messages"] == sum(
                told[name] for name in ("sent", "skipped", "failed", "unknown", "queued")
            )
            assert told["sent"] == told["delivered"] + told["bounced"] + told["pending"]


def everybody_is_counted(on: Town, big: Shop) -> None:
    """What results say is what happened, and what providers took."""
    found = {name: big.api.get(f"/journeys/{id}/results") for name, id in big.journeys.items()}
    assert found["nurture"]["totals"] == {
        "entered": 6, "inside": 0, "completed": 2, "goal": 2, "exited": 2, "stuck": 0,
    }  # fmt: skip
    assert found["upsell"]["totals"] == {
        "entered": 2, "inside": 0, "completed": 0, "goal": 1, "exited": 1, "stuck": 0,
    }  # fmt: skip
    counted = sum(
        step["messages"]["sent"]
        for one in found.values()
        for version in one["versions"]
        for step in version["steps"]
    )
    assert counted == sum(len(big.sent(name)) for name in PATHS)
    assert on.verdict()["counts"]["accepted"] == counted + len(on.shops["Small"].sent("gus"))
