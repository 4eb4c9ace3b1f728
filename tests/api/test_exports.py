"""Mirrors api/exports.py, communications/export*.py and echelonx/exporters.py."""

import csv
import hashlib
import io
import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow
import pytest
from pyarrow import parquet
from waitress.buffers import ReadOnlyFileBasedBuffer
from werkzeug.datastructures import Headers

from communications import export
from core.clock import ManualClock
from core.db import write
from echelonx.exporters import Exporters
from echelonx.wiring import Services
from tests.api.caller import Caller, good, pointers, refused, remedies
from tests.api.conftest import CallerOf
from tests.factories import Factory


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SLICE", 2)


@pytest.fixture
def messages(make: Factory) -> list[int]:
    """Five messages of campaign 7, and one of another."""
    rest = {"error_message": '=cmd|"/c calc"!A0', "cost": "0.0075", "currency": "USD"}
    return [make.message(campaign_id=7, **rest) for _ in range(5)] + [make.message(campaign_id=8)]


def work(product: Services) -> None:
    exporters = Exporters(product)
    while exporters.unit():
        pass


def exported(api: Caller, product: Services, **body: Any) -> tuple[dict[str, Any], bytes]:
    """An export that is done, and its file, fetched without a key."""
    asked = api.post("/exports", body)
    assert (asked["status"], asked["link"]) == ("queued", None)
    work(product)
    done = api.get(f"/exports/{asked['id']}")
    return done, fetch(api, done["link"])


def fetch(api: Caller, link: str) -> bytes:
    return download(api, link)[0]


def download(api: Caller, link: str) -> tuple[bytes, Headers]:
    # As the server hands out files: with a length, and not to be read before it does.
    served = {"wsgi.file_wrapper": ReadOnlyFileBasedBuffer}
    path = f"{urlsplit(link).path}?{urlsplit(link).query}"
    with api.http.get(path, environ_overrides=served) as answer:
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return bytes(answer.data), answer.headers


def test_an_export_has_nothing_of_another_client(
    api: Caller, product: Services, make: Factory
) -> None:
    other = make.another_client()
    mine = [make.message()]
    other.message(other.member())
    mine.append(make.message())

    _, file = exported(api, product, of="communications", format="jsonl")
    assert [json.loads(line)["id"] for line in file.splitlines()] == mine
    _, file = exported(api, product, of="members", format="jsonl")
    assert len(file.splitlines()) == 2, "those of the two messages"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_messages_are_written_as_they_were_when_asked_for(
    api: Caller, product: Services, make: Factory, messages: list[int], kind: str
) -> None:
    """B057 among them."""
    body = {"of": "communications", "format": kind, "filter": {"campaign_id": 7}}
    asked = api.post("/exports", body)
    make.message(campaign_id=7)
    work(product)
    done = api.get(f"/exports/{asked['id']}")
    file, headers = download(api, done["link"])

    rows: list[dict[str, Any]] = {
        "csv": lambda: list(csv.DictReader(io.StringIO(file.decode(), newline=""))),
        "jsonl": lambda: [json.loads(line) for line in file.splitlines()],
        "parquet": lambda: parquet.read_table(io.BytesIO(file)).to_pylist(),
    }[kind]()
    assert [int(row["id"]) for row in rows] == messages[:5]
    assert (done["status"], done["progress"], done["rows"]) == ("done", 100, 5)
    assert (done["size"], done["sha256"]) == (len(file), hashlib.sha256(file).hexdigest())
    digest = b64encode(hashlib.sha256(file).digest()).decode()
    assert (headers["Row-Count"], headers["Repr-Digest"]) == ("5", f"sha-256=:{digest}:")
    assert rows[0]["cost"] == "0.007500"
    assert rows[0]["error_message"].startswith("'=cmd" if kind == "csv" else "=cmd")
    assert rows[0]["to_address"].endswith("@example.com")


def test_messages_of_a_time_an_account_and_an_error_are_exported(
    api: Caller, product: Services, make: Factory, clock: ManualClock
) -> None:
    failed = {"provider_account_id": 3, "error_code": "30003"}
    made, times = [], []
    for _ in range(4):
        made.append(make.message(**failed))
        make.message(error_code="30003")
        make.message(provider_account_id=3)
        clock.advance(hours=1)
        times.append(clock.now().isoformat())

    which = {**failed, "created_since": times[0], "created_until": times[2]}
    done, file = exported(api, product, of="communications", format="jsonl", filter=which)

    assert [json.loads(line)["id"] for line in file.splitlines()] == made[1:3]
    assert done["filter"] == which


def test_an_export_goes_on_after_a_crash_where_it_was(
    api: Caller, product: Services, messages: list[int], tmp_path: Path
) -> None:
    asked = api.post("/exports", {"of": "communications", "format": "jsonl"})
    assert Exporters(product).unit()
    half = api.get(f"/exports/{asked['id']}")
    assert (half["status"], half["rows"], half["link"]) == ("running", 2, None)
    [file] = (tmp_path / "exports").iterdir()
    with file.open("ab") as torn:
        torn.write(b'{"id": 3, "cut off in the mid')

    work(product)

    done = api.get(f"/exports/{asked['id']}")
    rows = [json.loads(line) for line in fetch(api, done["link"]).splitlines()]
    assert [row["id"] for row in rows] == messages
    lost = api.post("/exports", {"of": "communications"})
    assert Exporters(product).unit()
    for path in (tmp_path / "exports").iterdir():
        path.unlink()
    work(product)
    failed = api.get(f"/exports/{lost['id']}")
    assert (failed["status"], failed["error"]) == ("failed", "its file is gone")


def test_members_can_be_exported_by_a_rule_and_masked(
    api: Caller, product: Services, caller_of: CallerOf, client_id: int
) -> None:
    for name in ("ana", "bo", "cy"):
        vip = {"tags": ["vip"]} if name != "bo" else {}
        api.post("/members", {"member_id": name, "email": f"{name}@example.com", **vip})
    blind = caller_of(client_id, scopes=["exports:read", "exports:write"])

    _, seen = exported(api, product, of="members", match='has tag "vip"')
    told, veiled = exported(blind, product, of="members", format="jsonl")

    rows = list(csv.DictReader(io.StringIO(seen.decode(), newline="")))
    assert [(row["member_id"], row["email"]) for row in rows] == [
        ("ana", "ana@example.com"), ("cy", "cy@example.com"),
    ]  # fmt: skip
    assert told["masked"]
    assert told["rows"] == 3
    assert b"ana@" not in veiled
    clear, masked = blind.get("/exports")["data"][::-1]
    assert blind.get(f"/exports/{clear['id']}")["link"] is None, "it shows what others may see"
    assert blind.get(f"/exports/{masked['id']}")["link"]
    answer = api.ask("POST", "/exports", {"of": "members", "match": "tga"})
    assert refused(answer, 422)["type"].endswith("condition")
    wrong = api.ask("POST", "/exports", {"of": "members", "filter": {"campaign_id": 1}})
    assert pointers(refused(wrong, 422)) == {"/filter"}


def test_a_link_holds_for_an_hour_and_for_one_file(
    api: Caller, product: Services, clock: ManualClock, messages: list[int], tmp_path: Path
) -> None:
    """B045: a link that has expired, or is of another file."""
    first, _ = exported(api, product, of="communications")
    second, _ = exported(api, product, of="communications")
    path, token = urlsplit(first["link"]).path, urlsplit(first["link"]).query
    other = path.replace(f"/{first['id']}/", f"/{second['id']}/")
    clock.advance(minutes=59)
    assert fetch(api, first["link"])
    for wrong in (path, f"{path}?token=x", f"{path}?{token}A", f"{other}?{token}"):
        refused(api.http.get(wrong), 404)
    clock.advance(minutes=2)
    late = refused(api.http.get(f"{path}?{token}"), 410)
    assert (late["type"], remedies(late)) == (
        "urn:echelonx:problem:export_gone", "ask for another link: GET /api/v1/exports/{id}",
    )  # fmt: skip

    fresh = api.get(f"/exports/{first['id']}")["link"]
    api.delete(f"/exports/{first['id']}")
    refused(api.http.get(f"{path}?{urlsplit(fresh).query}"), 404)
    refused(api.ask("GET", f"/exports/{first['id']}"), 404)
    clock.advance(days=8)
    Exporters(product).unit()
    assert list((tmp_path / "exports").iterdir()) == []
    kept = api.get(f"/exports/{second['id']}")
    assert (kept["status"], kept["link"]) == ("expired", None)
    gone = refused(api.http.get(second["link"].partition(".com")[2]), 410)
    assert gone["detail"] == "its file was kept for seven days"
    with write(product.sessions) as session:
        assert not export.waiting(session)
    assert good(api.ask("GET", "/exports"))["data"][0]["id"] == second["id"]


def test_an_export_that_cannot_be_written_fails_and_keeps_no_other(
    api: Caller, product: Services, messages: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    api.post("/members", {"member_id": "ana", "email": "ana@example.com"})
    vip = api.post("/segments", {"name": "vip", "text": 'tier = "premium"'})
    ruled = api.post("/exports", {"of": "members", "match": 'in segment "vip"'})
    api.ask("DELETE", f"/segments/{vip['id']}")
    torn = api.post("/exports", {"of": "communications", "format": "parquet"})

    def refuse(*args: Any, **more: Any) -> None:
        raise pyarrow.ArrowInvalid("a row of ana@example.com")

    monkeypatch.setattr(parquet, "ParquetWriter", refuse)

    done, _ = exported(api, product, of="communications")

    assert (done["status"], done["rows"]) == ("done", 6)
    first, second = (api.get(f"/exports/{one['id']}") for one in (ruled, torn))
    assert (first["status"], second["status"]) == ("failed", "failed")
    assert "vip" in first["error"]
    assert second["error"] == "it cannot be written as Parquet (ArrowInvalid)"


def test_parquet_without_its_library_is_refused_with_how_to_have_it(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    answer = refused(api.ask("POST", "/exports", {"of": "members", "format": "parquet"}), 422)

    assert (answer["type"], pointers(answer)) == ("urn:echelonx:problem:export_format", {"/format"})
    assert remedies(answer) == "pip install 'echelonx[files]'"
    assert api.get("/exports")["data"] == []
