"""Caller: somebody with an API key, or without one."""

import re
from collections.abc import Mapping
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

JSON = Mapping[str, Any]


class Caller:
    """Speaks to /api/v1 as a program would."""

    def __init__(self, http: FlaskClient, key: str | None) -> None:
        self.http = http
        self.headers = {"Authorization": f"Bearer {key}"} if key is not None else {}

    def ask(
        self, method: str, path: str, body: Any = None, headers: JSON | None = None, **query: Any
    ) -> TestResponse:
        """Send one request; `body` travels as JSON. A refusal has its whole frame."""
        answer = self.http.open(
            f"/api/v1{path}",
            method=method,
            json=body,
            query_string=query or None,
            headers={**self.headers, **(headers or {})},
        )
        if answer.status_code >= 400:
            framed(answer)
        return answer

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of a good answer."""
        return good(self.ask("GET", path, **query))

    def post(self, path: str, body: Any = None) -> Any:
        """Send and return the JSON of a good answer."""
        return good(self.ask("POST", path, body))

    def patch(self, path: str, body: Any) -> Any:
        """Change and return the JSON of a good answer."""
        return good(self.ask("PATCH", path, body))

    def delete(self, path: str) -> None:
        """Delete, and be told so."""
        assert self.ask("DELETE", path).status_code == 204

    def send_file(self, path: str, **form: Any) -> TestResponse:
        """Post a form; files are `(stream, name)`."""
        return self.http.post(f"/api/v1{path}", data=form, headers=self.headers)


def good(answer: TestResponse) -> Any:
    """Return the JSON of an answer below 300."""
    assert answer.status_code < 300, answer.get_data(as_text=True)
    return answer.get_json()


FRAME = {"type": str, "title": str, "status": int, "code": str, "detail": str, "errors": list}
FRAME_OF_ERROR = {"pointer": str, "detail": str, "remedy": str}
PLACE = re.compile(r"((query|header):)?(/.*)?", re.DOTALL)


def framed(answer: TestResponse) -> dict[str, Any]:
    """Return the problem document of a refusal: it has all that each must have."""
    text = answer.get_data(as_text=True)
    assert answer.mimetype == "application/problem+json", text
    problem: dict[str, Any] = answer.get_json()
    wrong = [name for name, kind in FRAME.items() if type(problem.get(name)) is not kind]
    assert not wrong, text
    assert problem["status"] == answer.status_code, text
    assert problem["type"] == f"urn:echelonx:problem:{problem['code']}", text
    assert all((problem["title"], problem["detail"], problem["errors"])), text
    for error in problem["errors"]:
        wrong = [name for name, kind in FRAME_OF_ERROR.items() if type(error.get(name)) is not kind]
        assert not wrong, text
        assert all((error["detail"], error["remedy"], PLACE.fullmatch(error["pointer"]))), text
    return problem


def refused(answer: TestResponse, status: int) -> dict[str, Any]:
    """Return the problem document of a refusal, whose frame is checked here."""
    text = answer.get_data(as_text=True)
    assert answer.status_code == status, text
    return framed(answer)


def pointers(problem: JSON) -> set[str]:
    """Return where a problem says that something is wrong."""
    return {error["pointer"] for error in problem["errors"]}


def remedies(problem: JSON) -> str:
    """Return what a problem says to do about it."""
    return " ".join(error.get("remedy") or "" for error in problem["errors"])
