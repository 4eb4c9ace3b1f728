"""Mirrors api/examples.py: what the document shows is what the page sends, and that works."""

import json
import re

from flask import Flask

from api.examples import EXAMPLES
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
