"""Mirrors api/examples.py: what the document shows is what the page sends, and that works."""

import json
import re
from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator

from api.examples import EXAMPLES, others
from core.errors import InvalidError
from tests.api.caller import Caller, good
from tests.api.test_reference import PAGE, examples


def test_the_document_shows_the_bodies_that_the_page_sends(app: Flask) -> None:
    document = app.test_client().get("/api/v1/openapi.json").get_json()
    sent = [example.partition("\n") for example in examples(PAGE)]
    bodies = [(line.split(), json.loads(body)) for line, _, body in sent if body.strip()]

    for (method, path), example in EXAMPLES.items():
        shape = re.sub(r"\{\w+\}", "[^/]+", path)
        assert [
            body
            for (verb, target), body in bodies
            if verb.lower() == method and re.fullmatch(shape, target)
        ][:1] == [example], f"docs/reference/api.md sends another body to {path}"
        content = document["paths"][path][method]["requestBody"]["content"]
        assert content["application/json"]["example"] == example
    assert len(EXAMPLES) > 12


def test_every_body_has_an_example_that_its_schema_takes(app: Flask) -> None:
    document = app.test_client().get("/api/v1/openapi.json").get_json()
    schemas = document["components"]["schemas"]

    def whole(schema: Any) -> Any:
        if isinstance(schema, list):
            return [whole(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return whole(schemas[schema["$ref"].rpartition("/")[2]])
        return {name: whole(one) for name, one in schema.items()}

    tried = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = method != "parameters" and operation.get("requestBody", {}).get("content", {})
            if content and "application/json" in content:
                told = content["application/json"]
                faults = [*Draft202012Validator(whole(told["schema"])).iter_errors(told["example"])]
                assert not faults, (method, path, faults)
                tried += 1
    assert tried > 80
    (refusal,) = schemas["Problem"]["examples"]
    assert not [*Draft202012Validator(whole(schemas["Problem"])).iter_errors(refusal)]
    assert refusal["title"] == InvalidError("").title


def test_what_an_example_says_in_our_languages_can_be_read(
    top: Caller, owned: dict[str, Any]
) -> None:
    """A schema sees text; whether a rule or a journey is one, its operation says."""
    read = 0
    for (method, path), example in others().items():
        if method == "post" and "text" in example and "{" not in path:
            answer = top.ask("POST", path.removeprefix("/api/v1"), example)
            assert answer.status_code < 300, (path, answer.get_data(as_text=True))
            read += 1
    assert read >= 3
    for method, shape in (
        ("put", "/tiers"),
        ("patch", "/segments/{segment_id}"),
        ("patch", "/journeys/{journey_id}"),
        ("post", "/segments/{segment_id}/effect"),
    ):
        example = others()[method, f"/api/v1{shape}"]
        good(top.ask(method.upper(), shape.format(**owned), example))
