"""Mirrors docs/reference/api.md: its examples work, its routes are the routes."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

from flask import Flask

from tests.api.caller import Caller

PAGE = Path(__file__).parents[2] / "docs/reference/api.md"


def routes(app: Flask) -> str:
    """The table of routes, from the OpenAPI document."""
    document = app.test_client().get("/api/v1/openapi.json").get_json()
    lines = [
        f"| `{method.upper()} {path.removeprefix('/api/v1')}` | {operation['summary']} |\n"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method != "parameters"
    ]
    return "".join(lines)


def examples(page: Path) -> list[str]:
    """The requests that a page shows."""
    return re.findall(r"```http\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def play(api: Caller, requests: list[str]) -> int:
    """Send them in their order, each with a good answer; return how many there were."""
    for example in requests:
        line, _, body = example.partition("\n")
        method, _, target = line.partition(" ")
        path, _, query = target.removeprefix("/api/v1").partition("?")
        sent = json.loads(body) if body.strip() else None

        answer = api.ask(method, path, sent, **dict(parse_qsl(query)))

        assert answer.status_code < 300, f"{line}: {answer.get_data(as_text=True)}"
    return len(requests)


def test_the_examples_work_in_their_order(api: Caller) -> None:
    assert play(api, examples(PAGE)) > 15


def test_the_table_lists_every_route(app: Flask) -> None:
    assert PAGE.read_text("utf-8").endswith(f"| --- | --- |\n{routes(app)}"), routes(app)
