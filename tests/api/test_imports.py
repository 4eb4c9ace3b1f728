"""Mirrors api/imports.py."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from echelonx.importers import Importers
from echelonx.wiring import Services
from tests.api.caller import Caller, good, pointers, refused
from tests.api.conftest import CallerOf

PEOPLE = "email,first_name,Town\nana@example.com,Ana,Berlin\nnobody,Bob,Rome\n=cmd|x,Eve,Oslo\n"


def send(api: Caller, text: str | bytes, name: str = "people.csv", **options: Any) -> Any:
    raw = text.encode() if isinstance(text, str) else text
    form = {"options": json.dumps(options)} if options else {}
    return api.send_file("/imports", file=(io.BytesIO(raw), name), **form)


def test_a_file_becomes_members_and_the_counts_add_up(api: Caller) -> None:
    job = good(send(api, PEOPLE, mapping={"Town": "attributes.city"}, tags=["fair"]))

    assert (job["rows"], job["created"], job["rejected"]) == (3, 1, 2)
    assert job["rows"] == sum(job[n] for n in ("created", "updated", "unchanged", "rejected"))
    assert job["status"] == "done"
    assert api.get(f"/imports/{job['id']}") == job
    assert api.get("/imports")["data"] == [job]
    (ana,) = api.get("/members")["data"]
    assert (ana["attributes"], ana["tags"]) == ({"city": "Berlin"}, ["fair"])


def test_options_may_be_left_out(api: Caller) -> None:
    assert good(send(api, "email\nana@example.com\n"))["created"] == 1


def test_consent_that_everybody_gave_is_recorded(api: Caller) -> None:
    good(
        send(
            api,
            "email\nana@example.com\n",
            consent_channels=["email"],
            consent_wording="Yes",
            consent_at="2026-11-01T10:00:00+01:00",
        )
    )

    (consent,) = api.get("/members")["data"][0]["consents"]
    assert (consent["channel"], consent["state"]) == ("email", "granted")
    assert consent["occurred_at"] == "2026-11-01T09:00:00+00:00"


def test_rejected_rows_say_line_column_value_and_reason(api: Caller) -> None:
    job = good(send(api, PEOPLE))

    rejects = api.get(f"/imports/{job['id']}/rejects", limit=1)
    (first,) = rejects["data"]
    assert (first["line"], first["column"], first["value"]) == (3, "email", "nobody")
    assert first["message"]
    rest = api.get(f"/imports/{job['id']}/rejects", cursor=rejects["next_cursor"])
    assert [one["line"] for one in rest["data"]] == [4]


def test_rejects_csv_is_the_rows_with_what_is_wrong_behind(api: Caller) -> None:
    """B057 among them."""
    job = good(send(api, PEOPLE))

    answer = api.ask("GET", f"/imports/{job['id']}/rejects.csv")

    lines = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert answer.mimetype == "text/csv"
    assert [line["first_name"] for line in lines] == ["Bob", "Eve"]
    assert [line["reject_line"] for line in lines] == ["3", "4"]
    assert lines[1]["email"] == "'=cmd|x"  # no spreadsheet runs it


def test_a_dry_run_counts_and_rejects_and_writes_nothing(api: Caller) -> None:
    job = good(send(api, PEOPLE, dry_run=True))

    assert (job["created"], job["rejected"], job["dry_run"]) == (1, 2, True)
    assert len(api.get(f"/imports/{job['id']}/rejects")["data"]) == 2
    assert api.get("/members")["data"] == []


def test_a_second_import_changes_nothing(api: Caller) -> None:
    send(api, PEOPLE)

    job = good(send(api, PEOPLE))

    assert (job["created"], job["unchanged"]) == (0, 1)


@pytest.mark.parametrize(
    "name",
    [
        "../../x\\..\\people.csv",
        "/etc/passwd",
        "C:\\people.csv",
        "x" * 300 + ".csv",
        ".htaccess",
        "con",
        "people%00.csv",
    ],
)
def test_b053_the_upload_is_kept_under_no_name_of_the_callers(
    name: str, api: Caller, product: Services, tmp_path: Path
) -> None:
    job = good(send(api, PEOPLE, name=name))

    assert not {"/", "\\", "\x00"} & set(job["filename"])
    assert len(job["filename"]) <= 255
    assert list((product.settings.data_dir / "imports").iterdir()) == []
    assert not [path for path in tmp_path.parent.rglob("*") if path.name in (name, job["filename"])]


def test_b012_nothing_is_sorted_by_what_a_caller_writes(api: Caller) -> None:
    for path in ("/imports", "/members", "/members/export", "/segments"):
        for query in ("sort=password_hash", "sort=(select 1)", "order=desc;--"):
            refused(api.ask("GET", f"{path}?{query}"), 422)


def test_a_file_without_a_header_is_refused(api: Caller) -> None:
    assert pointers(refused(send(api, ""), 422)) == {"/file"}
    assert api.get("/imports")["data"][0]["status"] == "failed"


def test_bad_options_are_refused_by_field(api: Caller) -> None:
    for options, pointer in (
        ({"existing": "delete"}, "/options/existing"),
        ({"nope": 1}, "/options/nope"),
        ({"consent_channels": ["fax"]}, "/options/consent_channels/0"),
        ({"country": "Germany"}, "/options/country"),
        ({"mapping": {"Town": 7}}, "/options/mapping/Town"),
    ):
        assert pointers(refused(send(api, PEOPLE, **options), 422)) == {pointer}


def look(api: Caller, text: str, **options: Any) -> Any:
    form = {"options": json.dumps(options)} if options else {}
    return api.send_file("/imports/preview", file=(io.BytesIO(text.encode()), "x.csv"), **form)


def test_a_preview_says_what_a_file_would_be_read_as_and_keeps_nothing(
    api: Caller, product: Services
) -> None:
    seen = good(look(api, "Contact;phone;Town\nana@example.com;soon;Faro\n"))

    assert (seen["encoding"], seen["delimiter"], seen["header"], seen["rows"]) == (
        "utf-8",
        ";",
        True,
        1,
    )
    contact, phone, town = seen["columns"]
    assert contact == {
        "name": "Contact",
        "examples": ["ana@example.com"],
        "guess": "email",
        "certainty": "guess",
        "taken": True,
        "doubt": None,
    }
    assert "can be read as phone" in phone["doubt"]
    assert (town["guess"], seen["ignored"]) == (None, ["Town"])
    assert (api.get("/imports")["data"], api.get("/members")["data"]) == ([], [])
    assert list((product.settings.data_dir / "imports").iterdir()) == []


def test_a_preview_follows_the_options_and_says_what_would_be_refused(api: Caller) -> None:
    bare = good(look(api, "Ana,2015550123\n", header=False, mapping={"column 2": "phone"}))
    assert [one["guess"] for one in bare["columns"]] == [None, "phone"]

    assert good(look(api, "Town\nFaro\n"))["problem"]
    assert pointers(refused(look(api, ""), 422)) == {"/file"}
    wrong = look(api, "email\n", mapping={"Town": "email"})
    assert pointers(refused(wrong, 422)) == {"/mapping"}


def test_options_that_are_no_json_are_refused(api: Caller) -> None:
    form = {"file": (io.BytesIO(b"email\n"), "x.csv"), "options": "{"}

    assert pointers(refused(api.send_file("/imports", **form), 422)) == {"/options"}


def test_a_form_without_a_file_is_refused(api: Caller) -> None:
    wrong_name = api.send_file("/imports", people=(io.BytesIO(b"email\n"), "people.csv"))
    assert pointers(refused(wrong_name, 422)) == {"/file", "/people"}
    both = {"file": "email\nana@example.com\n", "people": (io.BytesIO(b""), "x.csv")}
    assert "/file" in pointers(refused(api.send_file("/imports", **both), 422))


def test_a_mapping_to_an_unknown_field_is_refused(api: Caller) -> None:
    refused(send(api, PEOPLE, mapping={"Town": "tonw"}), 422)


def test_an_unknown_encoding_is_refused(api: Caller) -> None:
    refused(send(api, PEOPLE, encoding="klingon"), 422)


def test_a_large_file_is_queued_and_can_be_paused_resumed_and_cancelled(
    api: Caller, product: Services
) -> None:
    rows = "".join(f"person{number}@example.com,{'x' * 60}\n" for number in range(5_000))

    job = good(send(api, "email,first_name\n" + rows))

    assert (job["status"], job["rows"]) == ("queued", 0)
    path = f"/imports/{job['id']}"
    assert good(api.ask("POST", f"{path}/pause"))["status"] == "paused"
    assert good(api.ask("POST", f"{path}/resume"))["status"] == "queued"
    assert good(api.ask("POST", f"{path}/cancel"))["status"] == "cancelled"
    refused(api.ask("POST", f"{path}/resume"), 409)
    importers = Importers(product)
    importers.unit()
    assert list((product.settings.data_dir / "imports").iterdir()) == []
    assert api.get("/members")["data"] == []


def test_an_import_is_undone_by_a_worker(api: Caller, product: Services) -> None:
    job = good(send(api, PEOPLE))

    assert good(api.ask("POST", f"/imports/{job['id']}/undo"))["status"] == "undoing"
    importers = Importers(product)
    while importers.unit():
        pass

    undone = api.get(f"/imports/{job['id']}")
    assert (undone["status"], undone["report"]["undo"]["deleted"]) == ("undone", 1)
    assert api.get("/members")["data"] == []


def test_members_are_exported_as_they_can_be_imported(api: Caller) -> None:
    good(send(api, "member_id,email,first_name\n1,ana@example.com,Ana\n2,bo@example.com,=cmd\n"))

    answer = api.ask("GET", "/members/export?format=csv")

    text = answer.get_data(as_text=True)
    assert answer.mimetype == "text/csv"
    assert [row["first_name"] for row in csv.DictReader(io.StringIO(text))] == ["Ana", "'=cmd"]
    assert good(send(api, text))["unchanged"] == 2
    one = api.ask("GET", '/members/export?format=jsonl&match=first_name = "Ana"')
    assert [json.loads(line)["member_id"] for line in one.get_data().splitlines()] == ["1"]
    assert pointers(refused(api.ask("GET", "/members/export?format=xml"), 422))


def test_who_may_not_see_people_exports_none(caller_of: CallerOf, client_id: int) -> None:
    writer = caller_of(client_id, scopes=["exports:write"])
    refused(writer.ask("GET", "/members/export"), 403)


def test_an_export_holds_nobody_of_another_client(api: Caller, stranger: Caller) -> None:
    good(send(api, "member_id\n1\n"))

    text = stranger.ask("GET", "/members/export").get_data(as_text=True)

    assert len(text.splitlines()) == 1
