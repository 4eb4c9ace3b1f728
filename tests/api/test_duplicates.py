"""Mirrors api/duplicates.py."""

from tests.api.caller import Caller, pointers, refused
from tests.factories import Factory


def test_pairs_are_found_told_apart_and_merged(api: Caller, make: Factory) -> None:
    people = [make.member() for _ in range(4)]
    for number, member_id in enumerate(people):
        make.address(member_id, "email", f"twin-{number // 2}@example.com")

    assert api.post("/duplicates/search", {}) == {"after": None}
    first = api.get("/duplicates", limit=1)
    (pair,) = first["data"]
    assert pair["reasons"] == ["same_email"]
    (other,) = api.get("/duplicates", cursor=first["next_cursor"])["data"]

    api.post(f"/duplicates/{other['id']}/dismiss")
    assert api.get("/duplicates")["data"] == [pair]
    assert [one["id"] for one in api.get("/duplicates", dismissed=True)["data"]] == [other["id"]]
    wrong = api.ask("POST", f"/duplicates/{pair['id']}/merge", {"survivor_id": other["first_id"]})
    assert pointers(refused(wrong, 422)) == {"/survivor_id"}
    done = api.post(f"/duplicates/{pair['id']}/merge", {"survivor_id": pair["second_id"]})
    assert (done["survivor_id"], done["absorbed_id"]) == (pair["second_id"], pair["first_id"])
    assert api.get("/duplicates")["data"] == []


def test_another_lists_cursor_is_refused(api: Caller) -> None:
    for cursor in ("WzFd", "WyJhIiwxXQ", "x"):
        refused(api.ask("GET", "/duplicates", cursor=cursor), 422)
