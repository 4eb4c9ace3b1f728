"""Mirrors api/body.py."""

from itertools import product
from typing import Any

from api.body import MAX_JSON
from tests.api.caller import Caller, pointers, refused


def send(api: Caller, raw: bytes, kind: str = "application/json") -> Any:
    return api.http.post("/api/v1/members", data=raw, headers=api.headers, content_type=kind)


def test_what_is_not_json_is_400(api: Caller) -> None:
    for raw in (b"", b"{", b"nothing", b'{"a": NaN}', b'{"a": Infinity}', b"\xff\xfe\x00", b"{}}"):
        refused(send(api, raw), 400)


def test_json_nested_without_end_is_400(api: Caller) -> None:
    refused(send(api, b"[" * 100_000), 400)


def test_another_media_type_is_415(api: Caller) -> None:
    for kind in ("text/plain", "application/xml", "", "multipart/form-data"):
        refused(send(api, b'{"email": "ana@example.com"}', kind), 415)


def test_a_form_is_no_file_upload(api: Caller) -> None:
    refused(api.ask("POST", "/imports", {"file": "text"}), 415)


UNSTORABLE = [
    (b'{"first_name": "A\\u0000na"}', "/first_name"),
    (b'{"attributes": {"x": "\\ud800"}}', "/attributes/x"),
    (b'{"attributes": {"x\\u0000": 1}}', "/attributes"),
    (b'{"attributes": {"x": 1e400}}', "/attributes/x"),
    (b'{"tags": ["a", "b\\u0000"]}', "/tags/1"),
    (b'{"attributes": {"x": 99999999999999999999}}', "/attributes/x"),
]


def test_values_that_no_database_holds_are_refused_where_they_are(api: Caller) -> None:
    for raw, pointer in UNSTORABLE:
        assert pointers(refused(send(api, raw), 422)) == {pointer}


def test_a_query_with_a_nul_is_refused(api: Caller) -> None:
    refused(api.ask("GET", "/members?match=%00"), 422)


def test_a_body_without_end_is_413(api: Caller) -> None:
    refused(send(api, b" " * (MAX_JSON + 1)), 413)


def test_a_value_of_another_type_is_refused_in_every_field(api: Caller) -> None:
    names = ("email", "phone", "first_name", "tier", "tags", "consents", "date_of_birth")
    for name, value in product(names, ({"$ne": 1}, True, 1e300, [["x"]], 7, -1)):
        refused(api.ask("POST", "/members", {name: value}), 422)


def test_a_body_that_is_no_object_is_refused(api: Caller) -> None:
    for raw in (b"null", b"[]", b'"text"', b"7", b'[{"email": "a@example.com"}]'):
        refused(send(api, raw), 422)


def test_fields_that_callers_may_not_set_are_refused(api: Caller) -> None:
    paths = ("/members", "/segments", "/campaigns", "/templates", "/providers", "/api-keys")
    names = ("id", "client_id", "version", "created_at", "deleted_at", "user_id", "token", "zzz")
    for path, name in product(paths, names):
        assert f"/{name}" in pointers(refused(api.ask("POST", path, {name: 1}), 422))
