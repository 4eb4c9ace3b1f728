"""Mirrors api/problem.py."""

from collections import Counter
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError

from api import problem
from core.errors import NotFoundError
from tests.api.caller import Caller, framed, pointers, refused
from tests.api.test_matrix import operations


def test_an_unknown_route_is_a_problem(api: Caller) -> None:
    for path in ("/nothing", "/members/abc"):
        problem = refused(api.ask("GET", path), 404)
        assert (problem["code"], problem["title"]) == ("not_found", NotFoundError("").title)
        assert "openapi.json" in problem["errors"][0]["remedy"]


def test_of_one_code_there_is_one_title_whoever_finds_the_fault(
    api: Caller, owned: dict[str, Any]
) -> None:
    """A field is looked at by a schema or by what it is for: both say `invalid`."""
    by_schema = refused(api.ask("POST", "/members", {"nonsense": 1}), 422)
    by_rule = refused(api.ask("GET", "/elevate/path", days="1", since="x"), 422)
    ours = refused(api.ask("GET", "/templates", odd="1"), 422)

    assert {one["code"] for one in (by_schema, by_rule, ours)} == {"invalid"}
    assert len({one["title"] for one in (by_schema, by_rule, ours)}) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_refusal_of_every_operation_says_what_where_and_what_to_do(
    app: Flask, api: Caller, stranger: Caller, nobody: Caller, owned: dict[str, Any]
) -> None:
    """`Caller.ask` holds each refusal to its frame; here are those of every operation."""
    seen: Counter[int] = Counter()
    for one in operations(app):
        path = one.at(owned)
        answers = [
            nobody.ask(one.method, path),
            stranger.ask(one.method, path, one.body),
            stranger.ask(one.method, path, one.body, odd="1"),
        ]
        if one.method in ("POST", "PATCH", "PUT"):
            answers += [
                stranger.ask(one.method, path, {"nonsense": 1}),
                stranger.ask(one.method, path, one.body, headers={"If-Match": '"old"'}),
                stranger.http.open(
                    f"/api/v1{path}", method=one.method, data="{", headers=stranger.headers
                ),
            ]
        for answer in answers:
            if answer.status_code >= 400:
                framed(answer)
                seen[answer.status_code] += 1
        framed(nobody.ask("TRACE", path))

    assert {401, 403, 404, 412, 415, 422} <= seen.keys()
    assert sum(seen.values()) > 500


def test_a_wrong_method_says_which_are_right(api: Caller) -> None:
    answer = api.ask("PUT", "/members")

    assert refused(answer, 405)["errors"][0]["remedy"] == f"use one of {answer.headers['Allow']}"
    assert "POST" in answer.headers["Allow"]


def test_a_problem_can_be_read_as_it_comes(api: Caller) -> None:
    answer = api.ask("POST", "/segments", {"name": "VIP", "text": 'has tga "vip"'})

    assert "“" in answer.get_data(as_text=True)


def test_our_errors_point_and_advise(api: Caller) -> None:
    answer = api.ask("POST", "/segments", {"name": "VIP", "text": 'has tga "vip"'})

    error = refused(answer, 422)["errors"][0]
    assert error["pointer"] == "/text"
    assert "tag" in error["remedy"]
    assert (error["line"], error["column"]) == (1, 5)


def test_a_parameters_error_points_into_the_query(api: Caller) -> None:
    assert pointers(refused(api.ask("GET", "/members", email="nobody"), 422)) == {"query:/email"}


def test_a_nested_fields_error_points_to_it(api: Caller) -> None:
    consents = [{"channel": "email", "state": "granted"}, {"channel": "fax", "state": "granted"}]

    answer = api.ask("POST", "/members", {"email": "a@example.com", "consents": consents})

    assert pointers(refused(answer, 422)) == {"/consents/1/channel"}


def test_the_first_thousand_errors_are_told(api: Caller) -> None:
    answer = api.ask("POST", "/sign-in", {f"odd{number}": 1 for number in range(2_000)})

    assert len(refused(answer, 422)["errors"]) == problem.MOST_ERRORS


def raising(app: Flask, error: Exception) -> Caller:
    """Give the application a route that fails like this."""
    app.config["PROPAGATE_EXCEPTIONS"] = False
    made = Flask("broken")
    made.config["PROPAGATE_EXCEPTIONS"] = False
    problem.install(made)

    @made.get("/api/v1/broken")
    def broken() -> str:
        raise error

    return Caller(made.test_client(), None)


def test_a_bug_tells_the_caller_nothing(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    caller = raising(app, RuntimeError("the password is swordfish"))

    text = caller.ask("GET", "/broken").get_data(as_text=True)

    refused(caller.ask("GET", "/broken"), 500)
    assert "swordfish" not in text
    assert "RuntimeError" in caplog.text


def test_a_database_that_is_away_is_503_with_a_time_to_return(app: Flask) -> None:
    answer = raising(app, OperationalError("SELECT 1", {}, Exception("gone"))).ask("GET", "/broken")

    refused(answer, 503)
    assert answer.headers["Retry-After"] == "30"


def test_two_requests_at_once_are_a_conflict(app: Flask) -> None:
    refused(raising(app, IntegrityError("INSERT", {}, Exception())).ask("GET", "/broken"), 409)
