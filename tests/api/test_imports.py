"""Mirrors api/imports.py."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from echelonx.wiring import Services
from tests.api.caller import Caller, good, pointers, refused

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


def test_the_upload_is_kept_under_no_name_of_the_callers(
    api: Caller, product: Services, tmp_path: Path
) -> None:
    job = good(send(api, PEOPLE, name="../../x\\..\\people.csv"))

    assert "/" not in job["filename"]
    assert list((product.settings.data_dir / "imports").iterdir()) == []
    assert not list(tmp_path.parent.glob("*.csv"))


def test_a_file_without_a_header_is_refused(api: Caller) -> None:
    assert pointers(refused(send(api, ""), 422)) == {"/file"}
    assert api.get("/imports")["data"][0]["status"] == "failed"


def test_bad_options_are_refused_by_field(api: Caller) -> None:
    for options, pointer in (
        ({"existing": "delete"}, "/options/existing"),
        ({"nope": 1}, "/options/nope"),
        ({"consent_channels": ["fax"]}, "/options/consent_channels/0"),
        ({"country": "Germany"}, "/options/country"),
        ({"mapping": {"Town": 7}}, "/options/mapping/Town/value"),
    ):
        assert pointers(refused(send(api, PEOPLE, **options), 422)) == {pointer}


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
