"""Mirrors webhooks/collector.py and webhooks/collecting.py: what Segment's libraries post."""

import base64
import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from werkzeug.test import TestResponse

from accounts.client import create_client
from accounts.key import ApiKey, issue_key, revoke_key
from core.db import is_sqlite, read, write
from members.edit import create_member
from members.event import Event, EventTotal
from members.identity import Identity
from members.member import Member
from members.merge import Merge
from members.tracking import ToldEvent
from members.tracking import track as tell
from members.upsert import take_turn
from tests.conftest import NOON
from tests.webhooks.conftest import Desk
from webhooks import collected, collector
from webhooks.allowance import Allowance
from webhooks.collected import Collected
from webhooks.collecting import collecting
from webhooks.dropped import drops

BROWSER, SERVER = ("events:write",), ("events:write", "members:write")
Said = dict[str, Any]


class Site:
    """A program that tells events with one key, as Segment's libraries do."""

    def __init__(self, web: FlaskClient, key: str) -> None:
        self.web, self.key = web, key

    def post(self, path: str, body: Any, **headers: str) -> TestResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        basic = base64.b64encode(f"{self.key}:".encode()).decode()
        told = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"} | headers
        return self.web.post(f"/v1/{path}", data=raw, headers=told)

    def tell(self, *events: Said, **more: Any) -> None:
        answer = self.post("batch", {"batch": list(events), **more})
        assert (answer.status_code, answer.get_json()) == (200, {"success": True})


@pytest.fixture
def app(desk: Desk) -> Flask:
    app = Flask("test")
    app.register_blueprint(collector.blueprint(desk, Allowance(10**9)))
    return app


@pytest.fixture
def site_of(web: FlaskClient, desk: Desk, client_id: int) -> Callable[..., Site]:
    """Make a program with a key of these scopes."""

    def make(scopes: tuple[str, ...], owner: int = client_id) -> Site:
        with write(desk.sessions) as session:
            _, text = issue_key(session, desk.clock, client_id=owner, name="s", scopes=scopes)
        return Site(web, text)

    return make


@pytest.fixture
def browser(site_of: Callable[..., Site]) -> Site:
    return site_of(BROWSER)


@pytest.fixture
def server(site_of: Callable[..., Site]) -> Site:
    return site_of(SERVER)


@pytest.fixture
def apply(desk: Desk) -> Callable[[], None]:
    """Apply all that was collected."""

    def run() -> None:
        while collecting(desk).step():
            pass
        with read(desk.sessions) as session:
            assert session.scalars(select(Collected.id)).all() == []

    return run


@pytest.fixture
def known(desk: Desk, apply: Callable[[], None], client_id: int) -> Callable[..., dict[str, Said]]:
    """Apply, and return what is known of each member by its own id; visitors by what names them."""

    def look(owner: int = client_id) -> dict[str, Said]:
        apply()
        with read(desk.sessions) as session:
            members = session.scalars(
                select(Member).where(Member.client_id == owner, Member.deleted_at.is_(None))
            )
            return {
                _called(session, one): {
                    "email": one.email,
                    "name": one.full_name,
                    "attributes": one.attributes or {},
                    "events": _rows(session, one, Event, "name", "message_id", "occurred_at"),
                    "totals": _rows(session, one, EventTotal, "name", "count"),
                }
                for one in members
            }

    return look


def _called(session: Any, member: Member) -> str:
    names = session.scalars(select(Identity.value).where(Identity.member_id == member.id))
    visitor = member.member_id.startswith("m-")
    return ",".join(sorted(names)) if visitor else member.member_id


def _rows(session: Any, member: Member, model: Any, *names: str) -> list[tuple[Any, ...]]:
    query = select(*[getattr(model, name) for name in names]).where(model.member_id == member.id)
    return sorted(tuple(row) for row in session.execute(query))


def track(number: int, **more: Any) -> Said:
    return {"type": "track", "event": "Viewed", "messageId": f"m{number}", **more}


def reasons(desk: Desk, client_id: int) -> dict[str, int]:
    with read(desk.sessions) as session:
        found: dict[str, int] = {}
        for one in drops(session, client_id):
            found[one.reason] = found.get(one.reason, 0) + one.count
        return found


def test_every_call_of_segments_becomes_an_event(server: Site, known: Any) -> None:
    who = {"userId": "u1", "anonymousId": None}
    for word, body in {
        "identify": {"traits": {"email": "Ana@Example.com", "firstName": "Ana", "plan": "pro"}},
        "t": {"event": "Order Completed", "properties": {"revenue": 12.5}},
        "page": {"name": "Home"},
        "s": {"name": "Start"},
        "group": {"groupId": 7, "traits": {"name": "Acme"}},
    }.items():
        assert server.post(word, {**who, **body}).get_json() == {"success": True}

    found = known()["u1"]
    assert [name for name, _, _ in found["events"]] == [
        "Order Completed", "group", "identify", "page", "screen",
    ]  # fmt: skip
    assert (found["email"], found["name"]) == ("ana@example.com", "Ana")
    assert found["attributes"] == {"plan": "pro", "group_id": "7", "group_name": "Acme"}


def test_the_key_may_stand_in_the_body_and_the_body_be_compressed(
    web: FlaskClient, browser: Site, known: Any
) -> None:
    body = {"writeKey": browser.key, "batch": [track(1, userId=12)], "sentAt": "x"}
    plain = web.post("/v1/b", data=json.dumps(body), content_type="text/plain")
    body["batch"] = [track(2, userId="12")]
    headers = {"Content-Encoding": "gzip", "Authorization": "Bearer some.oauth.token"}
    zipped = web.post("/v1/import", data=gzip.compress(json.dumps(body).encode()), headers=headers)

    assert (plain.status_code, zipped.status_code) == (200, 200)
    assert known()["12"]["totals"] == [("Viewed", 2)]


def test_a_page_of_another_origin_may_post(web: FlaskClient, browser: Site) -> None:
    asked = web.options("/v1/t", headers={"Origin": "https://shop.example"})
    told = browser.post("t", track(1, userId="u"))

    assert asked.status_code == 204
    assert "Content-Type" in asked.headers["Access-Control-Allow-Headers"]
    assert {one.headers["Access-Control-Allow-Origin"] for one in (asked, told)} == {"*"}


DEEP = b'{"batch":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
BAD: dict[str, bytes] = {
    "not json": b"{",
    "no object": b"[]",
    "no batch": b"{}",
    "deep": DEEP,
    "nan": b'{"batch":[{"type":"track","userId":"u","event":"e","properties":{"x":NaN}}]}',
    "nul": b'{"batch":[{"type":"track","userId":"u\\u0000","event":"e"}]}',
    "half a pair": b'{"batch":[{"type":"track","userId":"u\\ud800","event":"e"}]}',
    "a key twice": b'{"batch":[{"type":"track","userId":"u","userId":"v","event":"e"}]}',
    "digits": b'{"batch":[' + b"9" * 5000 + b"]}",
    "too many": json.dumps({"batch": [1] * 100_000}).encode(),
    "too large": json.dumps({"batch": ["x" * 512_000]}).encode(),
}


def test_what_cannot_be_read_is_refused_whole(browser: Site, all_rows: Any) -> None:
    """B028."""
    for name, body in BAD.items():
        answer = browser.post("batch", body)
        assert answer.status_code == 400, name
        assert set(answer.get_json()) == {"code", "message"}, name
    assert all_rows(Collected) == []


def test_a_bomb_is_refused_before_it_unfolds(browser: Site) -> None:
    """B028."""
    bomb = gzip.compress(b" " * 50_000_000)
    broken = browser.post("batch", b"no gzip", **{"Content-Encoding": "gzip"})
    answer = browser.post("batch", bomb, **{"Content-Encoding": "gzip"})

    assert (broken.get_json()["code"], answer.get_json()["code"]) == (
        "invalid_request",
        "too_large",
    )
    assert (
        browser.post("t", track(1, userId="u", properties={"x": "y" * 33_000})).status_code == 400
    )


def test_bad_events_are_dropped_counted_and_the_rest_is_kept(
    browser: Site, desk: Desk, client_id: int, known: Any
) -> None:
    browser.tell(
        track(1, userId="u1"),
        track(2),
        track(3, userId={"$ne": 1}),
        track(4, userId="u1", event=""),
        track(5, userId="u1", messageId="x" * 101),
        track(6, userId="u1", properties=[1]),
        track(7, userId="u1", properties={"x": "y" * 33_000}),
        track(8, userId="u1", type="buy"),
        track(9, userId="u1", properties={"x": 10**400}),
        "text",  # type: ignore[arg-type]
        {"type": "identify", "userId": "u1", "traits": {"email": "nobody", "plan": "pro"}},
    )

    found = known()["u1"]
    assert found["totals"] == [("Viewed", 2), ("identify", 1)]
    assert (found["email"], found["attributes"]) == (None, {"plan": "pro"})
    assert reasons(desk, client_id) == {
        "nobody": 1, "id": 1, "event": 1, "message_id": 1, "properties": 1, "too_large": 1,
        "type": 1, "not_an_object": 1, "trait": 1,
    }  # fmt: skip


def test_a_key_that_may_not_tell_gets_the_answer_of_one_that_may(
    web: FlaskClient, desk: Desk, client_id: int, site_of: Any, all_rows: Any
) -> None:
    revoked = site_of(BROWSER)
    with write(desk.sessions) as session:
        revoke_key(session, desk.clock, client_id=client_id, key_id=1)
    for site in (Site(web, "ex_unknown"), revoked, site_of(("read",))):
        site.tell(track(1, userId="u1"))

    assert web.post("/v1/batch", json={"batch": []}).status_code == 401
    assert all_rows(Collected) == []
    assert reasons(desk, client_id) == {"key_not_in_force": 1, "key_without_scope": 1}


def test_times_are_mended_and_what_is_no_time_is_now(browser: Site, known: Any) -> None:
    """B029: times that cannot be."""
    fast = NOON + timedelta(hours=1)
    times = {
        1: ("2026-11-20T10:00:00Z", None, NOON - timedelta(hours=26)),
        2: ("2026-11-20T11:00:00.123+01:00", None, NOON - timedelta(hours=26)),
        3: ((fast - timedelta(minutes=10)).isoformat(), fast, NOON - timedelta(minutes=10)),
        4: ("9999-12-31T23:59:59Z", None, NOON),
        5: ("yesterday", None, NOON),
        6: (-1, None, NOON),
        7: (1e18, None, NOON),
        8: (int((NOON - timedelta(days=1)).timestamp() * 1000), None, NOON - timedelta(days=1)),
        9: ("0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", None),
    }
    for number, (said, sent, _) in times.items():
        browser.tell(track(number, userId="u1", timestamp=said), sentAt=str(sent) if sent else None)

    found = {one[1]: one[2].replace(microsecond=0) for one in known()["u1"]["events"]}
    assert len(found) == len(times)
    for number, (_, _, expected) in times.items():
        assert expected is None or found[f"m{number}"] == expected, number


def test_a_visitor_who_signs_in_is_that_member_from_then_on_and_before(
    browser: Site, known: Any
) -> None:
    browser.tell(track(1, anonymousId="v1"), track(2, userId="u1"))
    assert set(known()) == {"v1", "u1"}
    browser.tell({"type": "identify", "userId": "u1", "anonymousId": "v1", "messageId": "m3"})
    browser.tell(track(4, anonymousId="v1"))

    assert known()["u1"]["totals"] == [("Viewed", 3), ("identify", 1)]
    assert set(known()) == {"u1"}


def test_a_browser_adds_and_never_changes_or_joins(
    browser: Site, desk: Desk, client_id: int, known: Any
) -> None:
    with write(desk.sessions) as session:
        for key in ("ana", "ben"):
            create_member(
                session, desk.clock, desk.hasher, client_id=client_id,
                member_id=key, email=f"{key}@example.com", attributes={"plan": "pro"},
            )  # fmt: skip
    evil = {"email": "evil@example.com", "plan": "free", "status": "inactive", "score": 9}
    browser.tell(
        {"type": "identify", "userId": "ana", "messageId": "a", "traits": evil},
        {"type": "alias", "userId": "evil", "previousId": "ben", "messageId": "b"},
        {"type": "identify", "userId": "evil", "traits": {"email": "ben@example.com"}},
        {"type": "identify", "userId": "ana", "anonymousId": "v", "messageId": "c"},
    )
    known()
    browser.tell(
        {"type": "identify", "userId": "ben", "anonymousId": "v", "messageId": "d"},
        track(1, anonymousId="v"),
        track(2, userId="evil", context={"externalIds": [{"type": "shopify", "id": "1"}]}),
    )

    found = known()
    assert found["ana"]["email"] == "ana@example.com"
    assert found["ana"]["attributes"] == {"plan": "pro", "status": "inactive", "score": 9}
    assert found["ben"]["attributes"] == {"plan": "pro"}
    assert ("Viewed", 1) in found["ana"]["totals"]
    assert ("Viewed", 1) in found["evil"]["totals"]
    assert reasons(desk, client_id) == {"alias_of_known": 1}
    with read(desk.sessions) as session:
        assert session.scalars(select(Merge)).all() == []
        kinds = set(session.scalars(select(Identity.kind)))
    assert kinds == {"anonymous"}


def test_no_event_says_itself_that_a_server_told_it(
    browser: Site, server: Site, desk: Desk, client_id: int, known: Any
) -> None:
    server.tell({"type": "identify", "userId": "ana", "traits": {"email": "ana@example.com"}})
    forged = {"$told_by": "server", "email": "evil@example.com", "plan": "free"}
    told = ToldEvent("group", "api", {"member_id": "ana"}, forged)
    with write(desk.sessions) as session:
        tell(session, desk.clock, desk.hasher, client_id=client_id, events=[told])
    browser.tell(
        track(1, event="identify", userId="ana", properties=forged),
        {"type": "page", "anonymousId": "z"},
    )
    known()
    browser.tell({"type": "page", "userId": "ana", "anonymousId": "z"})

    ana = known()["ana"]
    assert len(ana["events"]) == 5
    assert (ana["email"], ana["attributes"]) == ("ana@example.com", {})


def test_a_server_joins_by_alias_and_names_people_elsewhere(
    server: Site, desk: Desk, known: Any
) -> None:
    server.tell(track(1, userId="old"), track(2, userId="new"))
    known()
    server.tell(
        {"type": "alias", "userId": "new", "previousId": "old", "messageId": "a"},
        {"type": "alias", "userId": "new", "previousId": "unheard", "messageId": "b"},
        track(3, userId="old", context={"externalIds": [{"type": "shopify", "id": "9"}]}),
        track(4, userId="unheard"),
    )

    found = known()
    assert set(found) == {"new"}
    assert ("Viewed", 4) in found["new"]["totals"]
    with read(desk.sessions) as session:
        assert ("external:shopify", "9") in [
            (one.kind, one.value) for one in session.scalars(select(Identity))
        ]


def test_another_clients_ids_mean_nothing(
    site_of: Any, browser: Site, desk: Desk, known: Any
) -> None:
    """B029."""
    with write(desk.sessions) as session:
        other = create_client(session, desk.clock, name="Other", country="US").id
    browser.tell(track(1, userId="u1", anonymousId="v1"))
    before = known()
    site_of(SERVER, other).tell(
        track(1, userId="u1"),
        {"type": "alias", "userId": "u9", "previousId": "u1"},
        {"type": "identify", "userId": "u9", "anonymousId": "v1", "traits": {"plan": "x"}},
    )

    assert known() == before


def test_no_client_waits_behind_what_another_told_or_writes(
    site_of: Any, browser: Site, desk: Desk, client_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collected, "CLAIM_ROWS", 2)
    with write(desk.sessions) as session:
        other = create_client(session, desk.clock, name="Other", country="US").id

    def keys_after_a_step() -> set[str]:
        assert collecting(desk).step()
        with read(desk.sessions) as session:
            return set(session.scalars(select(Member.member_id)))

    for number in range(4):
        browser.tell(track(number, userId=f"u{number}"))
    site_of(BROWSER, other).tell(track(1, userId="o1"))
    assert keys_after_a_step() == {"u0", "u1", "o1"}

    site_of(BROWSER, other).tell(track(2, userId="o2"))
    with desk.sessions() as busy:
        if is_sqlite(busy):
            return
        take_turn(busy, client_id)
        assert keys_after_a_step() == {"u0", "u1", "o1", "o2"}
    assert keys_after_a_step() == {"u0", "u1", "u2", "u3", "o1", "o2"}


def test_more_than_a_key_may_tell_a_second_is_told_when_to_come_again(
    desk: Desk, site_of: Any, client_id: int
) -> None:
    app = Flask("test")
    app.register_blueprint(collector.blueprint(desk, Allowance(0.001)))
    page, revoked, other = site_of(BROWSER), site_of(BROWSER), site_of(SERVER)
    with write(desk.sessions) as session:
        key_id = session.scalars(select(ApiKey.id).order_by(ApiKey.id)).all()[1]
        revoke_key(session, desk.clock, client_id=client_id, key_id=key_id)
    for site in (page, revoked, other):
        site.web = app.test_client()
    revoked.tell()
    assert revoked.post("t", track(1, userId="u1")).status_code == 429
    page.tell(track(1, userId="u1"))
    answer = page.post("t", track(2, userId="u1"))
    other.tell(track(3, userId="u1"))

    assert reasons(desk, client_id) == {}
    assert (answer.status_code, answer.get_json()["code"]) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["X-RateLimit-Reset"] == answer.headers["Retry-After"]


def test_nothing_is_acknowledged_that_is_not_stored(
    browser: Site, fail_on: Callable[[str], None]
) -> None:
    fail_on("INSERT INTO collected")
    answer = browser.post("t", track(1, userId="u1"))

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_what_cannot_be_applied_waits_and_is_given_up_in_sight(
    browser: Site, desk: Desk, client_id: int, all_rows: Any
) -> None:
    browser.tell(track(1, userId="u1"))
    browser.tell(track(2, userId="u2"))
    with write(desk.sessions) as session:
        session.get_one(Collected, 1).body = b"damaged"
    for _ in range(5):
        collecting(desk).step()
        desk.clock.advance(days=1)

    assert [(row.id, row.state.value) for row in all_rows(Collected)] == [(1, "dead")]
    assert reasons(desk, client_id) == {"not_applied": 1}
    assert [event.message_id for event in all_rows(Event)] == ["m2"]


def at(minutes: int) -> str:
    return (NOON - timedelta(minutes=minutes)).isoformat()


STORY: list[Said] = [
    track(1, anonymousId="v1", timestamp=at(60)),
    track(2, anonymousId="v2", timestamp=at(50)),
    {"type": "identify", "messageId": "m3", "userId": "u1", "anonymousId": "v1",
     "timestamp": at(40), "traits": {"plan": "free", "firstName": "Ann"}},
    {"type": "identify", "messageId": "m4", "userId": "u1", "timestamp": at(30),
     "traits": {"plan": "pro", "lastName": "Lee", "email": "ann@example.com"}},
    {"type": "identify", "messageId": "m5", "anonymousId": "v1", "timestamp": at(20),
     "traits": {"firstName": "Anna", "size": 7}},
    {"type": "group", "messageId": "m6", "userId": "u1", "groupId": "g", "timestamp": at(10)},
    {"type": "alias", "messageId": "m7", "userId": "u1", "previousId": "u0", "timestamp": at(9)},
    track(8, userId="u0", timestamp=at(70)),
    track(9, userId="u2", anonymousId="v2", timestamp=at(5)),
    {"type": "identify", "messageId": "m99", "userId": "u0", "timestamp": at(80),
     "traits": {"plan": "trial", "size": 6, "source": "ad"}},
]  # fmt: skip


@pytest.fixture
def results() -> list[dict[str, Said]]:
    """What came of a story, over all examples of a test."""
    return []


@settings(
    max_examples=8,
    phases=(Phase.reuse, Phase.generate),  # an example takes a second: shrinking would take minutes
    suppress_health_check=list(HealthCheck),  # each has a client of its own
)
@given(data=st.data())
def test_any_split_order_and_repetition_gives_one_result(
    data: Any, site_of: Any, desk: Desk, apply: Any, known: Any, results: list[dict[str, Said]]
) -> None:
    with write(desk.sessions) as session:
        owner = create_client(session, desk.clock, name="Story", country="US").id
    server = site_of(SERVER, owner)
    repeated = data.draw(st.lists(st.sampled_from(STORY), max_size=4))
    told = data.draw(st.permutations(STORY + repeated))
    while told:
        count = data.draw(st.integers(1, len(told)))
        server.tell(*told[:count])
        if data.draw(st.booleans()):
            apply()
        told = told[count:]
    results.append(known(owner))

    assert results[-1] == results[0]
    assert set(results[0]) == {"u1", "u2"}
    assert results[0]["u1"]["attributes"] == {
        "plan": "pro", "size": 7, "source": "ad", "group_id": "g",
    }  # fmt: skip
    assert results[0]["u1"]["name"] == "Anna Lee"
