"""Mirrors api/refusal.py: bad values in every field of every body that the document describes.

Each is refused where it is, with what is wrong and what to do about it, and nothing is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from marshmallow import Schema, fields, validate
from sqlalchemy import select
from werkzeug.test import TestResponse

from api.refusal import ELSE, refusals
from core.db import read
from echelonx.tables import METADATA
from echelonx.wiring import Services
from tests.api.caller import Caller, refused

OTHERS: dict[str, Any] = {
    "object": {"$ne": 1}, "array": [["x"]], "string": "…", "integer": 7, "boolean": True,
}  # fmt: skip
"""A value of each type."""
NOT_THEIRS = (
    "id", "client_id", "tenant_id", "user_id", "role", "status", "token", "token_hash", "key_hash",
    "password_hash", "two_factor_secret", "created_at", "updated_at", "deleted_at", "version",
    "login_count", "sent_count", "cost", "__class__", "$where",
)  # fmt: skip
"""Names that callers may not set; what a body has among them, it takes."""
LONG = 600_000
HUGE = 10**30
JSON = "application/json"
APART = frozenset({"throttles", "audit_log"})
"""Tries are counted, and a set of messages is told of though each was refused."""
USE = frozenset({"last_used_at", "failed_login_attempts"})


@dataclass(frozen=True)
class Field:
    """One field of a body, however deep."""

    path: tuple[str | int, ...]
    schema: dict[str, Any]

    @property
    def pointer(self) -> str:
        return "".join(f"/{part}" for part in self.path)

    @property
    def types(self) -> set[str]:
        found = self.schema.get("type", [])
        return {found} if isinstance(found, str) else set(found)

    def holding(self, value: Any) -> Any:
        """Return a body in which it has this value."""
        for part in reversed(self.path):
            value = [value] if part == 0 else {part: value}
        return value


class Document:
    """The OpenAPI document, read."""

    def __init__(self, api: Caller) -> None:
        self.raw = api.get("/openapi.json")

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield method, path and body of each that takes JSON."""
        for path, operations in self.raw["paths"].items():
            for method, operation in operations.items():
                content = isinstance(operation, dict) and operation.get("requestBody")
                if content and JSON in content["content"]:
                    schema = self.resolved(content["content"][JSON]["schema"])
                    yield method.upper(), path.removeprefix("/api/v1"), schema

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in schema:
            return self.resolved(
                self.raw["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            )
        for way in ("allOf", "anyOf"):
            for one in schema.get(way, ()):
                if one.get("type") != "null":
                    return schema | self.resolved(one)
        return schema

    def fields(self, schema: dict[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[Field]:
        for name, inner in schema.get("properties", {}).items():
            yield from self._field((*path, name), self.resolved(inner))

    def _field(self, path: tuple[str | int, ...], schema: dict[str, Any]) -> Iterator[Field]:
        yield Field(path, schema)
        yield from self.fields(schema, path)
        if "items" in schema:
            yield from self._field((*path, 0), self.resolved(schema["items"]))


def bad_values(one: Field) -> Iterator[tuple[str, Any]]:
    """Yield what the schema of a field says it is not."""
    if not one.types:
        return
    fitting = one.types | ({"integer"} if "number" in one.types else set())
    for name, value in OTHERS.items():
        amount = one.schema.get("example") == "12.50" and name == "integer"
        if name not in fitting and not amount:  # an amount may be a number, too
            yield f"{name} instead", value
    if "null" not in one.types:
        yield "null", None
    if "string" in one.types:
        yield "a NUL", "a\x00b"
        yield "too long", "x" * (one.schema.get("maxLength", LONG) + 1)
    if "array" in one.types and "maxItems" in one.schema:
        yield "too many", [None] * (one.schema["maxItems"] + 1)
    if one.types & {"integer", "number"}:
        yield "huge", HUGE


def sets_of_their_own(path: str) -> bool:
    """Say whether one that is wrong spoils no other: each is refused in its own place."""
    return path in ("/events", "/communications/batch")


def refusal(answer: TestResponse, path: str, one: Field) -> dict[str, Any] | None:
    """Return what an answer says is wrong with a field; None where it says nothing of it."""
    told = answer.get_json()
    if answer.status_code == 200 and sets_of_their_own(path):
        (result,) = told["results"]
        return None if result["outcome"] != "rejected" else result["error"]
    assert 400 <= answer.status_code < 500, answer.get_data(as_text=True)
    assert answer.mimetype == "application/problem+json"
    depth = 2 if sets_of_their_own(path) else len(one.path)
    where = Field(one.path[:depth], {}).pointer
    found = [error for error in told["errors"] if f"{error['pointer']}/".startswith(f"{where}/")]
    return next((error for error in found if error.get("remedy")), None)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_field_refuses_what_it_is_not_and_nothing_is_written(
    top: Caller, owned: dict[str, Any], product: Services
) -> None:
    """B095. No database is asked: it is the schemas that refuse, the same on each."""
    document = Document(top)
    before, tried = rows(product), 0
    for method, path, schema in document.operations():
        for one in document.fields(schema):
            for kind, value in bad_values(one):
                answer = top.ask(method, path.format(**owned), one.holding(value))
                told = refusal(answer, path, one)
                assert told, (method, path, one.pointer, kind, answer.get_data(as_text=True))
                assert told["detail"]
                tried += 1
        assert rows(product) == before, (method, path)
    assert tried > 2_000


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_body_takes_what_is_not_the_callers_to_set(
    top: Caller, owned: dict[str, Any], product: Services
) -> None:
    """B046: what a schema does not name, it does not take, however deep."""
    document = Document(top)
    before, tried = rows(product), 0
    for method, path, schema in document.operations():
        for one in (Field((), schema), *document.fields(schema)):
            known = one.schema.get("properties")
            if known is None or (one.path and sets_of_their_own(path)):
                continue
            names = [name for name in NOT_THEIRS if name not in known]
            answer = top.ask(method, path.format(**owned), one.holding(dict.fromkeys(names, 1)))
            told = {error["pointer"]: error for error in refused(answer, 422)["errors"]}
            for name in names:
                error = told[f"{one.pointer}/{name}"]
                assert "there is no field" in error["detail"], (method, path)
                assert error["remedy"], (method, path)
            tried += 1
    assert tried > 100
    assert rows(product) == before


def rows(product: Services) -> dict[str, list[Any]]:
    """Return everything there is in the database, but for counters of tries and of use."""
    with read(product.sessions) as session:
        return {
            table.name: session.execute(
                select(*(column for column in table.columns if column.key not in USE))
            ).all()
            for table in METADATA.sorted_tables
            if table.name not in APART
        }


def test_a_message_is_said_in_our_words_with_its_remedy() -> None:
    class Inner(Schema):
        channel = fields.String(required=True)

    class Whole(Schema):
        name = fields.String(validate=validate.Length(min=1, max=5))
        tags = fields.List(fields.String(), validate=validate.Length(max=1))
        inner = fields.List(fields.Nested(Inner))
        values = fields.Dict(
            keys=fields.String(validate=validate.Length(max=3)), values=fields.Int()
        )

    sent = {
        "name": "", "tags": ["a", "b"], "inner": [{"chanel": "sms"}], "values": {"a": "x"},
        "nam/e": 1,
    }  # fmt: skip
    found = Whole().validate(sent)

    assert {one["pointer"]: one["remedy"] for one in refusals(found, "", Whole())} == {
        "/name": "give 1 to 5 characters",
        "/tags": "give at most 1 entries",
        "/inner/0/channel": "give inner.0.channel",
        "/inner/0/chanel": "did you mean “channel”?",
        "/values/a": "send a whole number, such as 12",
        "/nam~1e": "did you mean “name”?",
    }
    (said,) = refusals({"query": ["odd"]}, "query:", None)
    assert said == {"pointer": "query:/query", "detail": "odd", "remedy": ELSE}
