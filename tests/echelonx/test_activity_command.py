"""Mirrors echelonx/commands/activity.py, and `member score`."""

from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from core.db import write
from core.settings import Settings
from echelonx import wiring
from members.score import Score, ScoreKind
from tests.echelonx.conftest import Call
from webhooks.collected import sealed, store
from webhooks.dropped import Drop, note_drops
from webhooks.inbox import InboxState
from webhooks.write_key import WriteKey

WHO = ("--member", "ana@example.com")


@pytest.fixture
def database(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path / 'echelonx.db'}", data_dir=tmp_path)


def test_an_event_is_tracked_once_and_makes_a_member(call: Call, shop: dict[str, Any]) -> None:
    options = ("--property", "total=49.90", "--property", "page=/shoes", "--message-id", "m1")

    first = call("event", "track", "purchase", *WHO, *options, "--json")
    again = call("event", "track", "purchase", *WHO, *options)

    assert (first.code, first.json) == (0, {"new": 1, "duplicates": 0, "rejected": []})
    assert again.out.strip() == "0 new, 1 known already"
    member = call("member", "show", "ana@example.com", "--json").json["id"]
    by_id = call("event", "track", "visited", "--member", str(member), "--json")
    assert by_id.json["new"] == 1
    assert "purchase" in call("member", "why", str(member), "--all").out


def test_an_id_nobody_has_makes_no_member(call: Call, shop: dict[str, Any]) -> None:
    for who in ("77", "nobody"):
        told = call("event", "track", "visited", "--member", who)
        assert told.code == 1
        assert "no member" in told.err
        assert "    -> search for the member" in told.err
    assert call("segment", "count", "everyone", "--json").json["members"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("event", "track", "x", "--member", "gus@@example.com"), 1, "not an email address"),
        (("event", "track", "x", *WHO, "--property", "page"), 1, "page=/shoes"),
        (("event", "track", "x", *WHO, "--at", "soon"), 2, "2026-01-31T12:00:00Z"),
        (("order", "add", "A", *WHO, "--amount", "much", "--currency", "EUR"), 2, "49.90"),
        (("order", "add", "A", *WHO, "--amount", "-1", "--currency", "EUR"), 1, "amount"),
        (("order", "refund", "A", "R"), 1, "no order"),
    ],
)
def test_what_cannot_be_kept_says_why(
    arguments: tuple[str, ...], code: int, word: str, call: Call, shop: dict[str, Any]
) -> None:
    told = call(*arguments)

    assert told.code == code
    assert word in told.err


def test_orders_and_refunds_count_once(call: Call, shop: dict[str, Any]) -> None:
    add = ("order", "add", "A-1", *WHO, "--amount", "49.90", "--currency", "EUR", "--json")

    first, again = call(*add), call(*add)
    part = call("order", "refund", "A-1", "R-1", "--amount", "9.90", "--json")
    rest = call("order", "refund", "A-1", "R-2", "--json")

    assert (first.code, first.json["new"], again.json["new"]) == (0, True, False)
    assert (part.json["amount"], rest.json["amount"]) == ("-9.9000", "-40.0000")
    assert rest.json["refund_of"] == "A-1"
    assert call("order", "refund", "A-1", "R-3").code == 1, "nothing is left"


def test_scores_are_shown_with_their_reasons(
    call: Call, shop: dict[str, Any], database: Settings
) -> None:
    call("order", "add", "A-1", *WHO, "--amount", "5", "--currency", "EUR")
    member = call("member", "show", "ana@example.com", "--json").json["id"]
    assert call("member", "score", str(member)).out.strip() == "(none)"
    services = wiring.build(database)
    with write(services.sessions) as session:
        session.add_all(
            Score(
                member_id=member, client_id=shop["client"], kind=kind, value=value,
                version="v1", reasons=reasons, computed_at=SystemClock().now(),
            )
            for kind, value, reasons in (
                (ScoreKind.ENGAGEMENT, 42.0, {"top": [{"reason": "orders", "points": 42.0}]}),
                (ScoreKind.CHURN_RISK, None, {"top": [], "missing": "not enough data: orders"}),
            )
        )  # fmt: skip
    services.close()

    told = call("member", "score", "ana@example.com")
    values = call("member", "score", str(member), "--json").json["scores"]

    assert [(one["kind"], one["value"]) for one in values] == [
        ("churn_risk", None),
        ("engagement", 42.0),
    ]
    assert "orders +42" in told.out
    assert "not enough data: orders" in told.out


def test_what_was_dropped_says_why(call: Call, shop: dict[str, Any], database: Settings) -> None:
    services = wiring.build(database)
    drop = Drop("track", "nobody", "give userId or anonymousId", "m1")
    with write(services.sessions) as session:
        note_drops(session, SystemClock(), client_id=1, drops=[drop, drop])
    services.close()

    [told] = call("event", "dropped", "--json").json
    assert (told["reason"], told["count"], told["message_id"]) == ("nobody", 2, "m1")
    assert "give userId or anonymousId" in call("event", "dropped").out


def test_what_could_not_be_applied_is_shown_and_applied_again(
    call: Call, shop: dict[str, Any], database: Settings
) -> None:
    services = wiring.build(database, SystemClock())
    with write(services.sessions) as session:
        key = WriteKey(1, 1, None, trusted=True, rate=None)
        row = sealed(services.clock, services.vault, key=key, body=b"{}", kind="track", events=1)
        store(session, [{**row, "state": InboxState.DEAD}])
    services.close()

    assert [one["id"] for one in call("event", "stuck", "--json").json] == [1]
    assert call("event", "stuck", "--id", "1", "--json").json["body"] == "{}"
    assert "no stuck request 2" in call("event", "replay", "--id", "2").err
    assert call("event", "replay", "--json").json == {"replayed": 1}
    assert call("event", "stuck", "--json").json == []
