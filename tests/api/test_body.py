"""Mirrors api/body.py; what every field of every body refuses is in test_refusal.py."""

import re
from itertools import product
from typing import Any

import pytest

from api.body import MAX_JSON
from tests.api.caller import Caller, pointers, refused

JSON = "application/json"


def send(api: Caller, raw: bytes, kind: str = JSON) -> Any:
    return api.http.post("/api/v1/members", data=raw, headers=api.headers, content_type=kind)


def test_what_is_not_json_is_400(api: Caller) -> None:
    """B095."""
    for raw in (b"{", b"nothing", b'{"a": NaN}', b'{"a": Infinity}', b"\xff\xfe\x00", b"{}}"):
        refused(send(api, raw), 400)


def test_what_is_not_json_is_told_where(api: Caller) -> None:
    problem = refused(send(api, b'{\n  "first_name" "Ana"}'), 400)
    assert problem["detail"].endswith("line 2, column 16")


def test_json_nested_without_end_is_400(api: Caller) -> None:
    refused(send(api, b"[" * 100_000), 400)


def test_another_media_type_is_415(api: Caller) -> None:
    for kind in ("text/plain", "application/xml", "", "multipart/form-data"):
        refused(send(api, b'{"email": "ana@example.com"}', kind), 415)


def test_a_body_of_which_nothing_is_required_may_be_left_out(api: Caller) -> None:
    paths = api.get("/openapi.json")["paths"]
    optional = [
        (method, re.sub(r"{\w+}", "1", path.removeprefix("/api/v1")))
        for path, operations in paths.items()
        for method, operation in operations.items()
        if "requestBody" in operation and not operation["requestBody"].get("required")
    ]

    assert ("post", "/campaigns/1/duplicate") in optional
    assert ("post", "/campaigns") not in optional
    for method, path in optional:
        for kind in (None, JSON):
            answer = api.http.open(
                f"/api/v1{path}", method=method.upper(), headers=api.headers, content_type=kind
            )
            told = answer.get_data(as_text=True)
            assert answer.status_code not in (400, 415, 500), (path, kind, told)


def test_where_something_is_required_a_missing_body_says_what(api: Caller) -> None:
    assert "/name" in pointers(refused(api.ask("POST", "/campaigns"), 422))
    answer = api.http.post("/api/v1/campaigns", headers=api.headers, content_type=JSON)
    assert "/name" in pointers(refused(answer, 422))


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
    """B095."""
    for raw, pointer in UNSTORABLE:
        assert pointers(refused(send(api, raw), 422)) == {pointer}


def test_a_parameter_that_nothing_reads_is_refused(api: Caller) -> None:
    made = api.post("/members", {"email": "ana@example.com"})
    for method, path in (("GET", f"/members/{made['id']}"), ("GET", "/me"), ("POST", "/members")):
        problem = refused(api.ask(method, f"{path}?fields=id"), 422)
        assert pointers(problem) == {"query:/fields"}, path
    refused(api.ask("DELETE", f"/members/{made['id']}?really=no"), 422)
    assert api.get(f"/members/{made['id']}")


def test_a_query_with_a_nul_is_refused(api: Caller) -> None:
    refused(api.ask("GET", "/members?match=%00"), 422)


@pytest.mark.parametrize("path", ["/api/v1/members", "/api/v1/exports/1/file", "/account/reset"])
def test_an_address_with_bytes_that_are_no_text_is_400(api: Caller, path: str) -> None:
    """As no browser sends them, but anybody can; written as %FF they are some other text."""
    for query, status in (("token=\xff", 400), ("\xc3\xa9=1", 400), ("token=%ff", None)):
        answer = api.http.get(path, headers=api.headers, environ_overrides={"QUERY_STRING": query})
        assert answer.status_code in ((status,) if status else (404, 422)), query


def test_a_body_without_end_is_413(api: Caller) -> None:
    refused(send(api, b" " * (MAX_JSON + 1)), 413)


def test_a_value_of_another_type_is_refused_in_every_field(api: Caller) -> None:
    names = ("email", "phone", "first_name", "tier", "tags", "consents", "date_of_birth")
    for name, value in product(names, ({"$ne": 1}, True, 1e300, [["x"]], 7, -1)):
        refused(api.ask("POST", "/members", {name: value}), 422)


def test_a_body_that_is_no_object_is_refused(api: Caller) -> None:
    for raw in (b"null", b"[]", b'"text"', b"7", b'[{"email": "a@example.com"}]'):
        refused(send(api, raw), 422)
