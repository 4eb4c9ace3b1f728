"""Mirrors api/openapi.py."""

import re
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from accounts.permission import PERMISSIONS


@pytest.fixture
def document(app: Flask) -> Any:
    """The document, which needs no key."""
    return app.test_client().get("/api/v1/openapi.json").get_json()


def test_the_document_is_valid_openapi(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_the_document_lists_every_route(app: Flask, document: Any) -> None:
    served = {
        (re.sub(r"<[^>]*?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") and rule.rule != "/api/v1/openapi.json"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    told = {
        (path, method)
        for path, operations in document["paths"].items()
        for method in operations
        if method != "parameters"
    }

    assert told == served


def test_every_error_is_a_documented_problem(document: Any) -> None:
    for path in document["paths"].values():
        for method, operation in path.items():
            if method == "parameters":
                continue
            for status in ("401", "404", "422"):
                assert set(operation["responses"][status]["content"]) == {
                    "application/problem+json"
                }


def test_every_route_says_what_it_does(document: Any) -> None:
    for path in document["paths"].values():
        for method, operation in path.items():
            assert method == "parameters" or operation["summary"].endswith((".", "…"))


def test_no_schema_comes_twice(document: Any) -> None:
    names = set(document["components"]["schemas"])

    assert not {name for name in names if name.rstrip("0123456789") in names - {name}}


TOLD_OR_GIVEN_ONCE = {"Accept", "Enter", "Link", "LinkText", "Reset", "SignedIn"}
"""A link's text in a request; a session's in the answer that opens it."""


def test_what_is_secret_is_in_no_answer(document: Any) -> None:
    for name, schema in document["components"]["schemas"].items():
        if name in TOLD_OR_GIVEN_ONCE:
            continue
        assert not {"key_hash", "address_hash", "token", "config_encrypted"} & set(
            schema.get("properties", {})
        )


def test_the_document_says_how_to_authenticate(document: Any) -> None:
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert {"key": []} in document["security"]


def test_every_operation_names_an_action_of_the_table(document: Any) -> None:
    for path in document["paths"].values():
        for method, operation in path.items():
            if method != "parameters" and operation.get("security") != []:
                assert operation["x-action"] in PERMISSIONS
