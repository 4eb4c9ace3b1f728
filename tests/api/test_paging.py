"""Mirrors api/paging.py."""

from itertools import product

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
    for path, cursor in product(LISTS, FORGED):
        assert pointers(refused(api.ask("GET", path, cursor=cursor), 422)) == {"query:/cursor"}


def test_a_page_has_1_to_200_rows(api: Caller) -> None:
    for path, limit in product(LISTS, NO_LIMITS):
        assert pointers(refused(api.ask("GET", path, limit=limit), 422)) == {"query:/limit"}


def test_an_unknown_parameter_is_refused_rather_than_ignored(api: Caller) -> None:
    for path in LISTS:
        assert pointers(refused(api.ask("GET", path, page="2"), 422)) == {"query:/page"}


def test_200_rows_may_be_asked_for(api: Caller) -> None:
    for path in LISTS:
        assert api.get(path, limit=200) == {"data": [], "next_cursor": None}
