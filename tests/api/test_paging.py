"""Mirrors api/paging.py."""

from itertools import product
from typing import Any

import pytest

from core.clock import ManualClock
from core.page import encode_cursor
from tests.api.caller import Caller, pointers, refused

LISTS = [
    "/members",
    "/imports",
    "/segments",
    "/suppressions",
    "/templates",
    "/campaigns",
    "/communications",
    "/users",
    "/webhook-endpoints",
]
FORGED = [
    "zzz",
    "",
    "-1",
    "e30",
    "bnVsbA",
    encode_cursor("text"),
    encode_cursor(1, 2),
    encode_cursor(-1),
    encode_cursor(2**63),
    encode_cursor(1.5),
    encode_cursor(True),
]
NO_LIMITS = ["0", "201", "-1", "1000000000", "x", "1.5", "", "٣"]


def test_pages_cover_a_list_once(api: Caller) -> None:
    for number in range(7):
        api.post("/members", {"member_id": f"m{number}"})

    seen, cursor = [], None
    while True:
        page = api.get("/members", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [member["member_id"] for member in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == [f"m{number}" for number in range(7)]


def test_lists_that_grow_show_the_newest_first(api: Caller) -> None:
    for number in range(3):
        api.post("/templates", {"name": f"T{number}", "channel": "sms", "text": "Hello"})

    first = api.get("/templates", limit=2)
    second = api.get("/templates", limit=2, cursor=first["next_cursor"])

    assert [one["name"] for one in first["data"]] == ["T2", "T1"]
    assert [one["name"] for one in second["data"]] == ["T0"]
    assert second["next_cursor"] is None


def test_a_forged_cursor_is_refused_on_every_list(api: Caller) -> None:
    """B094."""
    for path, cursor in product(LISTS, FORGED):
        assert pointers(refused(api.ask("GET", path, cursor=cursor), 422)) == {"query:/cursor"}


def test_a_page_has_1_to_200_rows(api: Caller) -> None:
    """B094."""
    for path, limit in product(LISTS, NO_LIMITS):
        assert pointers(refused(api.ask("GET", path, limit=limit), 422)) == {"query:/limit"}


def test_an_unknown_parameter_is_refused_rather_than_ignored(api: Caller) -> None:
    for path in LISTS:
        assert pointers(refused(api.ask("GET", path, page="2"), 422)) == {"query:/page"}


def test_200_rows_may_be_asked_for(api: Caller) -> None:
    for path in LISTS:
        page = api.get(path, limit=200)
        assert (page["data"], page["next_cursor"]) == ([], None)


SORTED = {
    "/segments": ("id", [{"name": name, "text": "everyone"} for name in "BCA"]),
    "/templates": ("-id", [{"name": n, "channel": "sms", "text": "Hello"} for n in "BCA"]),
    "/campaigns": ("-id", [{"name": n, "type": "sms", "target_audience": {"rule": "everyone"}}
                           for n in "BCA"]),
}  # fmt: skip


def test_a_list_is_sorted_by_what_it_offers_and_its_pages_stay_in_order(
    api: Caller, clock: ManualClock
) -> None:
    for path, (_, bodies) in SORTED.items():
        for body in [*bodies, bodies[0] | {"name": "D"}]:
            api.post(path, body)
        clock.advance(minutes=1)
        api.post(path, bodies[0] | {"name": "E"})  # the others came at the same instant
        for sort, names in {
            "name": "ABCDE",
            "-name": "EDCBA",
            "created_at": "BCADE",
            "-created_at": "EDACB",
            "id": "BCADE",
            "-id": "EDACB",
        }.items():
            assert walked(api, path, sort) == names, (path, sort)


def walked(api: Caller, path: str, sort: str) -> str:
    seen, cursor = "", None
    while True:
        on = {"cursor": cursor} if cursor else {}
        page = api.get(path, limit=2, sort=sort, fields="name", **on)
        assert all(set(row) <= {"id", "version", "name"} for row in page["data"])
        seen += "".join(row["name"] for row in page["data"])
        cursor = page["next_cursor"]
        if cursor is None:
            return seen


def test_a_sort_that_is_not_offered_is_refused(api: Caller) -> None:
    """B012."""
    for path in (*SORTED, "/members", "/communications"):
        for sort in ("password_hash", "(select 1)", "name;--", "-", "--id", "client_id", ""):
            problem = refused(api.ask("GET", path, sort=sort), 422)
            assert pointers(problem) == {"query:/sort"}
            assert "-id" in problem["errors"][0]["remedy"]


def test_a_cursor_of_another_order_is_refused(api: Caller) -> None:
    instant = "2026-11-21T12:00:00+00:00"
    for sort, cursor in (
        ("name", encode_cursor(1)),
        ("name", encode_cursor("-name", "A", 1)),
        ("name", encode_cursor("name", 1, 1)),
        ("name", encode_cursor("name", "A", True)),
        ("created_at", encode_cursor("created_at", "A", 1)),
        ("created_at", encode_cursor("created_at", instant[:19], 1)),
        ("created_at", encode_cursor("created_at", "0001-01-01T00:00:00+23:59", 1)),
        ("name", encode_cursor("name", "\x00", 1)),
        ("id", encode_cursor("name", "A", 1)),
    ):
        answer = api.ask("GET", "/segments", sort=sort, cursor=cursor)
        assert pointers(refused(answer, 422)) == {"query:/cursor"}, (sort, cursor)


def test_keys_go_page_by_page(api: Caller) -> None:
    for name in "BA":
        api.post("/api-keys", {"name": name})

    assert walked(api, "/api-keys", "-id") == "ABtests"
    assert walked(api, "/api-keys", "name") == "ABtests"


OF_A_TIME = {
    "/members": lambda n: {"member_id": f"m{n}"},
    "/segments": lambda n: {"name": f"S{n}", "text": "everyone"},
    "/templates": lambda n: {"name": f"T{n}", "channel": "sms", "text": "Hello"},
    "/campaigns": lambda n: {
        "name": f"C{n}", "type": "sms", "target_audience": {"rule": "everyone"},
    },
}  # fmt: skip


def test_a_list_shows_what_came_or_changed_in_a_time_page_by_page(
    api: Caller, clock: ManualClock
) -> None:
    times = []
    for hour in range(5):
        times.append(clock.now().isoformat())
        for path, body in OF_A_TIME.items():
            api.post(path, body(hour))
        clock.advance(hours=1)

    def ids(path: str, **asked: str) -> list[int]:
        seen: list[int] = []
        cursor: dict[str, str] = {}
        while True:
            page = api.get(path, limit=2, **asked, **cursor)
            seen += [row["id"] for row in page["data"]]
            if page["next_cursor"] is None:
                return seen
            cursor = {"cursor": page["next_cursor"]}

    for path in OF_A_TIME:
        first, *rest = sorted(ids(path, sort="id"))
        turned = -1 if api.get(path)["data"][0]["id"] == rest[-1] else 1
        assert ids(path, created_since=times[1]) == rest[::turned], path
        assert ids(path, created_since=times[1], created_until=times[3]) == rest[:2][::turned]
        assert ids(path, created_until=times[1]) == [first]
        clock.advance(hours=1)
        if path == "/templates":
            continue  # changed by a new wording only
        api.patch(f"{path}/{first}", {"name": "X"} if path != "/members" else {"tier": "premium"})
        assert ids(path, updated_since=times[4]) == [rest[-1], first][::turned], path
        assert ids(path, updated_since=times[4], sort="-id") == [rest[-1], first]
        assert ids(path, updated_since=times[4], created_until=times[1]) == [first]


def test_a_time_that_is_none_is_refused(api: Caller) -> None:
    for name in ("created_since", "created_until", "updated_since", "updated_until"):
        answer = api.ask("GET", "/members", **{name: "yesterday"})
        assert pointers(refused(answer, 422)) == {f"query:/{name}"}
    answer = api.ask("GET", "/communications", updated_since="2026-11-21T12:00:00Z")
    assert pointers(refused(answer, 422)) == {"query:/updated_since"}


@pytest.mark.parametrize("room", ["members", "users", "clients"])
def test_a_search_shows_the_fields_that_are_asked_for(
    top: Caller, owned: dict[str, Any], room: str
) -> None:
    q = {"members": "ana", "users": "top", "clients": "elevate"}[room]
    (whole, *_) = top.get(f"/{room}/search", q=q)["data"]
    (found, *_) = top.get(f"/{room}/search", q=q, fields="created_at")["data"]

    assert found.items() <= whole.items()
    assert {"id", "created_at"} <= found.keys() <= {"id", "created_at", "version"}
    problem = refused(top.ask("GET", f"/{room}/search", q=q, fields="creatd_at"), 422)
    assert "created_at" in str(problem["errors"][0]["remedy"])


def test_fields_that_are_not_there_are_refused(api: Caller) -> None:
    api.post("/segments", {"name": "A", "text": "everyone"})

    problem = refused(api.ask("GET", "/segments", fields="id,nam"), 422)

    assert pointers(problem) == {"query:/fields"}
    assert "name" in problem["errors"][0]["remedy"]
