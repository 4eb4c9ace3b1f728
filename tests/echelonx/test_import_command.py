"""Mirrors echelonx/commands/imports.py."""

from pathlib import Path
from typing import Any

import pytest

from core.db import write
from echelonx.commands.workspace import opened
from members.import_job import claim, pause_import, queue_import, resume_import
from members.importing import ImportOptions, ImportRun
from tests.echelonx.conftest import Call

ROWS = "email,Town\n" + "".join(f"ana{n}@people.example,Faro\n" for n in range(9)) + "nobody,Faro\n"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(ROWS)
    return path


@pytest.fixture
def stopped(call: Call, shop: dict[str, Any], people: Path) -> int:
    """An import that rests after its first chunk."""
    with opened() as services:
        with write(services.sessions) as session:
            job_id = queue_import(
                session,
                services.clock,
                client_id=1,
                filename=people.name,
                options=ImportOptions(mapping={"Town": "attributes.city"}),
            ).id
        run = ImportRun(
            services.sessions, services.clock, services.hasher, job_id=job_id, path=people, chunk=4
        )
        assert run.step()
        with write(services.sessions) as session:
            pause_import(session, client_id=1, import_id=job_id)
        run.close()
    return job_id


def test_a_preview_shows_columns_and_imports_nothing(
    call: Call, shop: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("Ana,ana@people.example\nBo,bo@people.example\n")

    seen = call("import", str(path), "--preview", "--map", "column 1=first_name")
    as_json = call("import", str(path), "--preview", "--json").json

    assert seen.code == 0
    assert "column 2  email       guess" in seen.out
    assert (as_json["header"], as_json["ignored"]) == (False, ["column 1"])
    assert call("segment", "count", "everyone", "--json").json["members"] == 0
    assert call("import", str(path), "--preview", "--header", "--json").json["header"] is True


def test_a_paused_import_goes_on_with_its_own_options(
    call: Call, stopped: int, people: Path
) -> None:
    status = call("import", "--status", str(stopped), "--json")
    assert (status.code, status.json["status"], status.json["rows"]) == (0, "paused", 4)

    done = call("import", str(people), "--resume", str(stopped), "--json")

    assert done.code == 4, "a row was rejected"
    assert (done.json["status"], done.json["rows"], done.json["created"]) == ("done", 10, 9)
    assert "ignored" not in done.json
    assert "nobody" in people.with_suffix(".rejects.csv").read_text()
    again = call("import", str(people), "--resume", str(stopped))
    assert again.code != 0
    assert "does not wait" in again.err


def test_an_import_that_may_be_at_work_is_not_resumed(
    call: Call, stopped: int, people: Path
) -> None:
    with opened() as services, write(services.sessions) as session:
        resume_import(session, client_id=1, import_id=stopped)
        assert claim(session, services.clock, runner="other", id=stopped) == stopped

    tried = call("import", str(people), "--resume", str(stopped))

    assert tried.code != 0
    assert "-> if it is not, try again after" in tried.err


def test_an_import_is_taken_back(call: Call, shop: dict[str, Any], people: Path) -> None:
    done = call("import", str(people), "--json").json

    undone = call("import", "--undo", str(done["import"]), "--json")

    assert (undone.code, undone.json["status"]) == (0, "undone")
    assert undone.json["undo"] == {"deleted": 9, "kept": 0, "restored": 0}
    assert call("segment", "count", "everyone", "--json").json["members"] == 0
    assert call("import", "--undo", str(done["import"])).code != 0


def test_rejects_are_written_over_nothing(call: Call, shop: dict[str, Any], people: Path) -> None:
    first = Path(call("import", str(people), "--json").json["rejects"])
    kept = first.read_text()

    second = Path(call("import", str(first), "--json").json["rejects"])

    assert (first.name, second.name) == ("people.rejects.csv", "people.rejects-2.csv")
    assert first.read_text() == kept
    assert second.read_text().splitlines()[0] == kept.splitlines()[0]
    over = call("import", str(first), "--rejects", str(first))
    assert over.code == 2
    assert first.read_text() == kept


def test_an_import_without_a_file_is_a_usage_error(call: Call, shop: dict[str, Any]) -> None:
    assert call("import").code == 2
    assert call("import", "--resume", "1").code != 0
    assert "no import 1" in call("import", "--status", "1").err


def test_an_interrupted_import_is_paused_and_says_how_to_go_on(
    call: Call, shop: dict[str, Any], people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = ImportRun.step

    def interrupted(run: ImportRun) -> bool:
        step(run)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ImportRun, "step", interrupted)
        stopped = call("import", str(people))

    assert stopped.code != 0
    assert f"go on with: echelonx import {people} --resume 1" in stopped.err
    assert call("import", "--status", "1", "--json").json["status"] == "paused"
    done = call("import", str(people), "--resume", "1", "--json").json
    assert (done["status"], done["rows"], done["created"]) == ("done", 10, 9)
