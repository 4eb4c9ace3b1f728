"""Mirrors members/exported.py: no file of an export outlives the erasure of somebody in it."""

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from accounts import client_archive
from communications import export
from core.clock import ManualClock
from core.db import is_sqlite
from echelonx.exporters import Exporters
from echelonx.wiring import Services
from members.edit import delete_member
from members.erasure import erase
from members.exporting import ExportFormat
from tests.api.caller import Caller, refused, remedies
from tests.api.test_exports import fetch, work
from tests.factories import Factory


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SLICE", 2)
    monkeypatch.setattr(client_archive, "STEP", 2)


@pytest.fixture
def people(api: Caller, make: Factory) -> list[int]:
    """Ana first, then four others, each with a message."""
    names = ("Ana", "Bo", "Cy", "Di", "Ed")
    ids = [
        api.post("/members", {"first_name": name, "email": f"{name}@example.com"})["id"]
        for name in names
    ]
    for one in ids:
        make.message(one)
    return ids


def erased(api: Caller, member_id: int) -> Any:
    api.delete(f"/members/{member_id}")
    return api.post(f"/members/{member_id}/erasure")


def gone(api: Caller, link: str) -> dict[str, Any]:
    return refused(api.http.get(f"{urlsplit(link).path}?{urlsplit(link).query}"), 410)


@pytest.mark.parametrize("of", ["members", "communications", "client"])
def test_a_finished_file_is_gone_with_the_erasure_of_somebody_in_it(
    api: Caller, product: Services, people: list[int], of: str, tmp_path: Path
) -> None:
    api.post("/exports", {"of": of})
    work(product)
    link = api.get("/exports/1")["link"]
    assert fetch(api, link)

    receipt = erased(api, people[0])

    problem = gone(api, link)
    assert problem["type"] == "urn:echelonx:problem:export_gone"
    assert problem["detail"] == "somebody in it was erased"
    assert "POST /api/v1/exports" in remedies(problem)
    told = api.get("/exports/1")
    assert (told["status"], told["link"]) == ("expired", None)
    assert api.get("/jobs/export-1")["error"]["detail"] == "somebody in it was erased"
    assert receipt["erased"]["exports"] == 1
    work(product)
    assert list((tmp_path / "exports").iterdir()) == [], "a worker deletes it"


def test_files_that_cannot_hold_the_person_are_kept(
    api: Caller, product: Services, people: list[int], stranger: Caller
) -> None:
    one = {"of": "communications", "filter": {"member_id": people[1]}}
    api.post("/exports", one)
    api.post("/exports", {"of": "members"})
    stranger.post("/members", {"member_id": "zoe"})
    stranger.post("/exports", {"of": "members"})
    work(product)
    later = api.post("/members", {"first_name": "Fay"})["id"]

    assert erased(api, later)["erased"]["exports"] == 0
    assert erased(api, people[0])["erased"]["exports"] == 1

    kept = api.get("/exports")["data"]
    assert [(one["of"], one["status"]) for one in kept] == [
        ("members", "expired"), ("communications", "done"),
    ]  # fmt: skip
    assert fetch(api, api.get("/exports/1")["link"])
    assert stranger.get("/exports")["data"][0]["status"] == "done"


@pytest.mark.parametrize("of", ["members", "communications"])
def test_a_half_written_file_begins_anew_without_the_person(
    api: Caller, product: Services, people: list[int], of: str
) -> None:
    api.post("/exports", {"of": of, "format": "jsonl"})
    assert Exporters(product).unit()
    half = api.get("/exports/1")
    assert (half["status"], half["rows"]) == ("running", 2)

    erased(api, people[0])

    assert api.get("/jobs/export-1")["progress"]["done"] == 0
    work(product)
    done = api.get("/exports/1")
    rows = [json.loads(line) for line in fetch(api, done["link"]).splitlines()]
    assert done["rows"] == len(rows) == (4 if of == "members" else 5)
    assert "ana@example.com" not in json.dumps(rows)


def test_a_half_written_file_that_has_not_come_to_the_person_goes_on(
    api: Caller, product: Services, people: list[int]
) -> None:
    api.post("/exports", {"of": "members", "format": "jsonl"})
    assert Exporters(product).unit()

    erased(api, people[-1])

    assert api.get("/exports/1")["rows"] == 2
    work(product)
    assert b"Ed" not in fetch(api, api.get("/exports/1")["link"])


def test_the_archive_of_a_client_begins_anew_without_the_person(
    api: Caller, product: Services, people: list[int]
) -> None:
    api.post("/exports", {"of": "client"})
    exporters = Exporters(product)
    for _ in range(5):
        exporters.unit()
    assert api.get("/exports/1")["status"] == "running"

    erased(api, people[0])
    while exporters.unit():
        pass

    done = api.get("/exports/1")
    assert done["status"] == "done"
    with zipfile.ZipFile(BytesIO(fetch(api, done["link"]))) as archive:
        everything = b"".join(map(archive.read, archive.namelist()))
    assert b"Bo@example.com".lower() in everything.lower()
    assert b"ana@example.com" not in everything.lower()


def test_no_slice_is_read_while_somebody_is_erased(
    api: Caller, product: Services, people: list[int], make: Factory, clock: ManualClock
) -> None:
    api.post("/exports", {"of": "communications", "format": "jsonl"})
    with product.sessions() as session:
        if is_sqlite(session):
            return  # there is one writer, and each slice is a write
        delete_member(session, clock, client_id=make.client_id, id=people[0])
        erase(session, clock, make.hasher, client_id=make.client_id, id=people[0])

        assert not Exporters(product).unit()
        with product.sessions() as other:
            other.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(OperationalError, match="lock timeout"):
                export.start_export(
                other, clock, client_id=make.client_id, of=export.ExportOf.MEMBERS,
                format=ExportFormat.CSV, chosen={},
            )  # fmt: skip
        session.commit()
    work(product)
    assert b"ana@example.com" not in fetch(api, api.get("/exports/1")["link"]).lower()
