"""Mirrors api/jobs.py and communications/job.py."""

import io
from pathlib import Path
from typing import Any

import pytest

from api import imports
from communications import export
from core.clock import ManualClock
from core.db import Sessions, write
from echelonx.exporters import Exporters
from echelonx.importers import Importers
from echelonx.wiring import Services
from members import bulk, importing
from members.bulk import advance_bulk
from tests.api.caller import Caller, pointers, refused
from tests.api.conftest import CallerOf
from tests.api.test_exports import fetch, work
from tests.factories import Factory


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SLICE", 2)
    monkeypatch.setattr(bulk, "CHUNK", 2)


def edited(sessions: Sessions, clock: ManualClock) -> None:
    """What a worker does of bulk edits, once."""
    with write(sessions) as session:
        advance_bulk(session, clock)


def send(api: Caller, text: str) -> Any:
    return api.send_file("/imports", file=(io.BytesIO(text.encode()), "people.csv")).get_json()


FIELDS = {
    "id", "kind", "status", "progress", "cancellable", "created_by", "created_at", "started_at",
    "finished_at", "result", "error",
}  # fmt: skip


def test_every_kind_of_long_work_is_told_alike(
    api: Caller, product: Services, clock: ManualClock
) -> None:
    done = send(api, "email\nana@example.com\nbo@example.com\nno address\n")
    clock.advance(minutes=1)
    api.post("/bulk-edits", {"text": "everyone", "changes": {"tier": "elite"}})
    clock.advance(minutes=1)
    api.post("/exports", {"of": "members"})

    begun = api.get("/jobs")["data"]
    assert [one["id"] for one in begun] == ["export-1", "bulk_edit-1", f"import-{done['id']}"]
    assert [set(one) for one in begun] == [FIELDS] * 3
    assert [one["status"] for one in begun] == ["queued", "queued", "done"]
    assert [one["cancellable"] for one in begun] == [True, True, False]
    assert {one["created_by"] for one in begun} == {"key:1"}
    assert [one["started_at"] for one in begun][:2] == [None, None]
    assert begun[1]["progress"] == {"done": 0, "total": 2, "percent": 0}

    clock.advance(minutes=1)
    work(product)
    for _ in range(2):
        edited(product.sessions, clock)
    exported, changed, imported = api.get("/jobs")["data"]

    assert [one["status"] for one in (exported, changed, imported)] == ["done"] * 3
    assert imported["progress"] == {"done": 3, "total": 3, "percent": 100}
    counts = {"rows": 3, "created": 2, "updated": 0, "unchanged": 0, "rejected": 1}
    assert imported["result"]["counts"] == counts
    assert changed["result"]["counts"] == {"changed": 2, "unchanged": 0, "failed": 0}
    assert (changed["result"]["problems"], changed["result"]["download"]) == (None, None)
    assert changed["started_at"] == changed["finished_at"] == "2026-11-21T12:03:00+00:00"
    assert exported["progress"] == {"done": 2, "total": 2, "percent": 100}
    kept = api.get(exported["result"]["resource"].removeprefix("/api/v1"))
    assert kept["sha256"] == exported["result"]["sha256"]
    assert len(fetch(api, exported["result"]["download"])) == exported["result"]["size"]
    (left_out,) = api.get(imported["result"]["problems"].removeprefix("/api/v1"))["data"]
    assert left_out["value"] == "no address"
    assert api.get("/jobs/export-1")["progress"] == exported["progress"]


def test_the_list_goes_on_where_it_was_and_is_filtered(
    api: Caller, clock: ManualClock, product: Services
) -> None:
    for number in range(3):
        send(api, f"email\nm{number}@example.com\n")
        api.post("/exports", {"of": "members"})
        clock.advance(seconds=1)
    whole = [one["id"] for one in api.get("/jobs")["data"]]
    assert len(whole) == 6

    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = api.get("/jobs", limit=2, **({"cursor": cursor} if cursor else {}))
        # What comes meanwhile shifts nothing.
        api.post("/exports", {"of": "communications"})
        seen += [one["id"] for one in page["data"]]
        cursor, pages = page["next_cursor"], pages + 1

    assert seen == whole
    assert [one["id"] for one in api.get("/jobs", kind="import")["data"]] == [
        "import-3", "import-2", "import-1",
    ]  # fmt: skip
    assert {one["kind"] for one in api.get("/jobs", status="queued")["data"]} == {"export"}
    assert api.get("/jobs", status="paused", kind="bulk_edit")["data"] == []
    assert set(api.get("/jobs", fields="status")["data"][0]) == {"id", "status"}
    for wrong in ("WzFd", "WzEsMiwiYSJd", "WzEsMiwtM10"):
        assert pointers(refused(api.ask("GET", "/jobs", cursor=wrong), 422)) == {"query:/cursor"}
    refused(api.ask("GET", "/jobs", kind="rocket"), 422)


def test_a_bulk_edit_is_cancelled_between_its_slices_and_can_be_taken_back(
    api: Caller, product: Services, clock: ManualClock, make: Factory
) -> None:
    for _ in range(5):
        make.member()
    api.post("/bulk-edits", {"text": "everyone", "changes": {"tier": "elite"}})
    edited(product.sessions, clock)

    ended = api.post("/jobs/bulk_edit-1/cancel")
    edited(product.sessions, clock)

    assert (ended["status"], ended["cancellable"]) == ("cancelled", False)
    assert ended["progress"] == {"done": 2, "total": 5, "percent": 40}
    assert api.get("/jobs/bulk_edit-1") == ended
    assert len(api.get("/members", match='tier = "elite"')["data"]) == 2
    assert refused(api.ask("POST", "/jobs/bulk_edit-1/cancel"), 409)["type"].endswith("bulk_edit")
    api.post("/bulk-edits/1/undo")
    undoing = api.get("/jobs/bulk_edit-1")
    assert (undoing["status"], undoing["finished_at"]) == ("undoing", None)
    for _ in range(2):
        edited(product.sessions, clock)
    undone = api.get("/jobs/bulk_edit-1")
    assert (undone["status"], undone["progress"]["percent"]) == ("undone", 100)
    assert api.get("/members", match='tier = "elite"')["data"] == []


def test_an_export_is_cancelled_between_its_slices_and_leaves_no_file(
    api: Caller, product: Services, make: Factory, tmp_path: Path
) -> None:
    for _ in range(5):
        make.message()
    api.post("/exports", {"of": "communications"})
    assert Exporters(product).unit()

    ended = api.post("/jobs/export-1/cancel")
    work(product)

    assert (ended["status"], ended["result"]["counts"]) == ("cancelled", {"rows": 2})
    assert ended["result"]["download"] is None
    assert api.get("/exports/1")["status"] == "cancelled"
    assert list((tmp_path / "exports").iterdir()) == []
    assert refused(api.ask("POST", "/jobs/export-1/cancel"), 409)["type"].endswith("export_state")


def test_an_import_is_cancelled_as_by_its_own_cancel(
    api: Caller, product: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "AT_ONCE", 10)
    monkeypatch.setattr(importing, "SQLITE_CHUNK", 10)
    monkeypatch.setattr(importing, "CHUNK", 10)
    people = "\n".join(f"m{number}@example.com" for number in range(100))
    send(api, f"email\n{people}\n")
    importers = Importers(product)
    assert importers.unit()
    assert importers.unit()
    clock.advance(seconds=1)

    ended = api.post("/jobs/import-1/cancel")
    while importers.unit():
        pass

    assert ended["status"] == "cancelled"
    assert 0 < ended["result"]["counts"]["created"] == ended["progress"]["done"]
    assert ended["progress"]["percent"] < 100
    assert api.get("/jobs/import-1")["result"]["counts"] == ended["result"]["counts"]
    assert api.get("/imports/1")["status"] == "cancelled"
    refused(api.ask("POST", "/jobs/import-1/cancel"), 409)


def test_what_failed_says_why_and_holds_up_nothing(
    api: Caller, product: Services, clock: ManualClock, make: Factory
) -> None:
    make.member()
    segment = api.post("/segments", {"name": "vip", "text": 'tier = "basic"'})
    api.post("/bulk-edits", {"text": 'in segment "vip"', "changes": {"tier": "elite"}})
    api.delete(f"/segments/{segment['id']}")
    api.post("/bulk-edits", {"text": "everyone", "changes": {"tier": "premium"}})
    for _ in range(3):
        edited(product.sessions, clock)

    failed = api.get("/jobs/bulk_edit-1")
    assert (failed["status"], failed["error"]["code"]) == ("failed", "bulk_edit_failed")
    assert "vip" in failed["error"]["detail"]
    assert api.get("/bulk-edits/1")["error"] == failed["error"]["detail"]
    assert api.get("/jobs/bulk_edit-2")["status"] == "done"


def test_an_expired_file_is_told_of(api: Caller, product: Services, clock: ManualClock) -> None:
    api.post("/exports", {"of": "members"})
    work(product)
    clock.advance(days=8)
    Exporters(product).unit()

    told = api.get("/jobs/export-1")

    assert told["status"] == "expired"
    assert told["result"]["download"] is None
    assert told["error"] == {
        "code": "export_expired", "detail": "its file was kept for seven days",
    }  # fmt: skip


def test_one_sees_the_kinds_one_may_see_and_cancels_those_one_may_begin(
    api: Caller, caller_of: CallerOf, client_id: int, make: Factory
) -> None:
    make.member()
    send(api, "email\nana@example.com\n")
    api.post("/bulk-edits", {"text": "everyone", "changes": {"tier": "elite"}})
    api.post("/exports", {"of": "members"})
    looks = caller_of(client_id, scopes=["jobs:read", "jobs:write", "members:read"])
    mixed = caller_of(client_id, scopes=["jobs:read", "jobs:write", "exports:read"])

    assert [one["kind"] for one in looks.get("/jobs")["data"]] == ["bulk_edit"]
    assert looks.get("/jobs", kind="export")["data"] == []
    assert looks.get("/jobs/bulk_edit-1")["status"] == "queued"
    for hidden in ("import-1", "export-1", "rocket-1", "export-01", "export", "7"):
        refused(looks.ask("GET", f"/jobs/{hidden}"), 404)
        refused(looks.ask("POST", f"/jobs/{hidden}/cancel"), 404)
    refused(looks.ask("GET", "/jobs/bulk_edit-2"), 404)
    refused(looks.ask("POST", "/jobs/bulk_edit-1/cancel"), 403)
    refused(mixed.ask("POST", "/jobs/export-1/cancel"), 403)
    assert mixed.get("/jobs/export-1")["result"]["download"] is None
    assert {one["status"] for one in api.get("/jobs", kind="export")["data"]} == {"queued"}


def test_nobody_sees_or_cancels_what_is_anothers(
    api: Caller, stranger: Caller, product: Services
) -> None:
    api.post("/exports", {"of": "members"})

    assert stranger.get("/jobs")["data"] == []
    refused(stranger.ask("GET", "/jobs/export-1"), 404)
    refused(stranger.ask("POST", "/jobs/export-1/cancel"), 404)

    assert api.get("/jobs/export-1")["status"] == "queued"


def test_a_cancel_is_audited_under_the_name_of_what_it_ends(
    api: Caller, product: Services, make: Factory, client_id: int
) -> None:
    make.member()
    api.post("/exports", {"of": "members"})
    api.post("/bulk-edits", {"text": "everyone", "changes": {"tier": "elite"}})
    api.post("/jobs/export-1/cancel")
    api.post("/jobs/bulk_edit-1/cancel")

    told = {(one["action"], one["target"]) for one in api.get("/audit")["data"]}

    assert {("job.cancel", "export:1"), ("job.cancel", "bulk:1")} <= told
