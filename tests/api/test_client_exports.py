"""Mirrors accounts/client_archive.py, communications/client_export.py and echelonx/archiving.py."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from accounts import client_archive
from accounts.user import Role
from channels.channel import Channel
from communications.client_export import LEASE
from core.clock import ManualClock
from core.db import Sessions
from echelonx.exporters import Exporters
from echelonx.wiring import Services
from tests.api.caller import Caller, pointers, refused
from tests.api.conftest import CallerOf
from tests.api.test_auth import person
from tests.api.test_exports import download, fetch, work
from tests.factories import Factory


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_archive, "STEP", 2)


@pytest.fixture
def people(make: Factory) -> list[int]:
    members = [make.member(first_name="Ana") for _ in range(5)]
    for one in members:
        make.message(one)
    make.account("smtp", Channel.EMAIL, {"password": "hunter2"}, token="webhook-token", name="mail")
    other = make.another_client()
    other.message(other.member(first_name="Zoe"))
    return members


def opened(file: bytes) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The manifest, and the rows by table; every file is as the manifest says."""
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        files = {name: archive.read(f"{name}.jsonl") for name in manifest["tables"]}
        assert len(archive.namelist()) == len(files) + 1
    for name, told in manifest["tables"].items():
        lines = files[name].splitlines()
        assert (told["rows"], told["sha256"]) == (
            len(lines), hashlib.sha256(files[name]).hexdigest(),
        )  # fmt: skip
    return manifest, {name: [json.loads(one) for one in files[name].splitlines()] for name in files}


def test_everything_of_a_client_but_its_secrets_is_one_archive(
    api: Caller, product: Services, people: list[int], client_id: int
) -> None:
    asked = api.post("/exports", {"of": "client"})
    assert (asked["format"], asked["masked"], asked["link"]) == ("jsonl", False, None)
    work(product)
    done = api.get("/exports/1")
    file, headers = download(api, done["link"])

    manifest, rows = opened(file)
    assert manifest["client"] == client_id
    assert [row["id"] for row in rows["members"]] == people
    assert len(rows["communications"]) == 5
    everything = json.dumps([manifest, rows])
    assert "Zoe" not in everything
    for secret in ("hunter2", "webhook-token"):
        assert secret not in everything
    assert "key_hash" not in rows["api_keys"][0]
    assert "email" in manifest["tables"]["members"]["personal"]
    assert done["rows"] == sum(map(len, rows.values()))
    assert done["sha256"] == hashlib.sha256(file).hexdigest()
    assert headers["Content-Type"] == "application/zip"
    assert "client-1.zip" in headers["Content-Disposition"]
    assert headers["Row-Count"] == str(done["rows"])
    job = api.get("/jobs/export-1")
    assert job["progress"] == {"done": done["rows"], "total": done["rows"], "percent": 100}
    assert job["result"]["sha256"] == done["sha256"]


def test_it_is_for_admins_and_so_is_its_link(
    api: Caller,
    product: Services,
    sessions: Sessions,
    clock: ManualClock,
    caller_of: CallerOf,
    client_id: int,
    people: list[int],
) -> None:
    by_role = {
        role: caller_of(client_id, user_id=person(sessions, clock, client_id, role))
        for role in (Role.MANAGER, Role.ADMIN)
    }
    refused(by_role[Role.MANAGER].ask("POST", "/exports", {"of": "client"}), 403)
    by_role[Role.ADMIN].post("/exports", {"of": "client"})
    refused(by_role[Role.MANAGER].ask("POST", "/jobs/export-1/cancel"), 403)
    refused(by_role[Role.MANAGER].ask("DELETE", "/exports/1"), 403)
    work(product)

    seen = {role: caller.get("/jobs/export-1") for role, caller in by_role.items()}

    assert {one["status"] for one in seen.values()} == {"done"}
    assert seen[Role.MANAGER]["result"]["download"] is None
    assert by_role[Role.MANAGER].get("/exports/1")["link"] is None
    assert fetch(api, seen[Role.ADMIN]["result"]["download"])
    for body, pointer in (
        ({"format": "csv"}, "/format"), ({"masked": True}, "/masked"),
        ({"match": "everyone"}, "/match"), ({"filter": {"member_id": 1}}, "/filter"),
    ):  # fmt: skip
        answer = refused(api.ask("POST", "/exports", {"of": "client", **body}), 422)
        assert pointers(answer) == {pointer}


def test_it_tells_how_far_it_is_and_is_cancelled_on_its_way(
    api: Caller, product: Services, people: list[int], tmp_path: Path
) -> None:
    api.post("/exports", {"of": "client"})
    exporters = Exporters(product)
    for _ in range(4):
        assert exporters.unit()
    running = api.get("/jobs/export-1")
    assert running["status"] == "running"
    assert 0 < running["progress"]["done"] < running["progress"]["total"]
    assert 0 < running["progress"]["percent"] < 100

    ended = api.post("/jobs/export-1/cancel")
    while exporters.unit():
        pass
    work(product)

    assert ended["status"] == "cancelled"
    assert api.get("/jobs/export-1") == ended
    assert list((tmp_path / "exports").iterdir()) == []


def test_a_long_archive_keeps_no_other_export_waiting(
    api: Caller, product: Services, people: list[int]
) -> None:
    api.post("/exports", {"of": "client"})
    exporters = Exporters(product)
    exporters.unit()
    api.post("/exports", {"of": "members"})
    exporters.unit()

    assert api.get("/jobs/export-2")["status"] == "done"
    assert api.get("/jobs/export-1")["status"] == "running"
    exporters.close()


def test_when_its_worker_dies_another_begins_it_anew(
    api: Caller, product: Services, clock: ManualClock, people: list[int], tmp_path: Path
) -> None:
    api.post("/exports", {"of": "client"})
    dead = Exporters(product)
    for _ in range(4):
        dead.unit()
    half = api.get("/jobs/export-1")
    work(product)
    assert api.get("/jobs/export-1") == half, "nobody takes it from one that lives"
    clock.advance(seconds=LEASE.total_seconds() + 1)

    work(product)
    done = api.get("/exports/1")
    while dead.unit():  # it was only slow
        pass

    assert api.get("/exports/1") | {"link": None} == done | {"link": None}
    file = fetch(api, done["link"])
    assert done["rows"] == sum(map(len, opened(file)[1].values()))
    work(product)
    assert len(list((tmp_path / "exports").iterdir())) == 1
    dead.close()


def test_what_the_disk_refuses_is_never_called_done(
    api: Caller,
    product: Services,
    clock: ManualClock,
    people: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api.post("/exports", {"of": "client"})
    exporters = Exporters(product)
    exporters.unit()
    with monkeypatch.context() as patched:

        def full(*args: Any, **more: Any) -> str:
            raise OSError(28, "No space left on device")

        patched.setattr(client_archive, "_text", full)
        for _ in range(3):
            exporters.unit()
        assert api.get("/jobs/export-1")["status"] == "running"
    clock.advance(seconds=LEASE.total_seconds() + 1)

    work(product)

    done = api.get("/exports/1")
    assert done["status"] == "done"
    assert opened(fetch(api, done["link"]))
