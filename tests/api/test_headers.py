"""Mirrors api/headers.py."""

from typing import Any

from flask import Flask

from tests.api.caller import Caller


def test_every_operation_tells_its_headers(app: Flask) -> None:
    document = app.test_client().get("/api/v1/openapi.json").get_json()
    told = {
        (method, path): {one["$ref"].rpartition("/")[2] for one in operation["parameters"][-2:]
                         if "$ref" in one}
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method != "parameters"
    }  # fmt: skip

    for (method, path), names in told.items():
        is_open = document["paths"][path][method].get("security") == []
        assert ("If-None-Match" in names) == (method == "get"), (method, path)
        assert ("Idempotency-Key" in names) == (method != "get" and not is_open), (method, path)
    assert "If-Match" in told["patch", "/api/v1/members/{member_id}"]
    assert "If-Match" in told["put", "/api/v1/foundation"]
    assert "If-Match" not in told["post", "/api/v1/members"]


def test_what_is_told_of_answers_is_so(app: Flask, api: Caller) -> None:
    document = app.test_client().get("/api/v1/openapi.json").get_json()
    listed: Any = document["paths"]["/api/v1/members"]["get"]["responses"]

    told = {name for name in listed["200"]["headers"] if not name.startswith("RateLimit")}
    assert told == {"ETag"} <= set(api.ask("GET", "/members").headers.keys())
    assert "304" in listed
