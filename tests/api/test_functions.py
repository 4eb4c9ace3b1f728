"""Mirrors api/functions.py: every function of the source document is somewhere."""

from pathlib import Path
from typing import Any

import click
import pytest
from flask import Flask

from api.functions import FUNCTIONS, reference
from echelonx.cli import cli

PAGE = Path(__file__).parents[2] / "docs/reference/functions.md"
OWED = {"Users": 16, "Clients": 15, "Members": 20, "Communications": 20, "Campaigns": 20}
"""How many functions the source document lists."""


@pytest.fixture
def document(app: Flask) -> Any:
    return app.test_client().get("/api/v1/openapi.json").get_json()


def test_every_function_is_an_operation_of_the_api(document: Any) -> None:
    assert {room: len(functions) for room, functions in FUNCTIONS.items()} == OWED
    for functions in FUNCTIONS.values():
        for name, one in functions.items():
            if one.operation is not None:
                assert one.method in document["paths"].get(one.path, {}), f"{name}: {one.operation}"
    assert PAGE.read_text("utf-8") == reference(document), reference(document)


def test_every_command_is_one_of_the_command_line() -> None:
    for functions in FUNCTIONS.values():
        for name, one in functions.items():
            found: click.Command | None = cli
            for word in (one.command or "").split():
                assert isinstance(found, click.Group), f"{name}: {one.command}"
                found = found.get_command(click.Context(found), word)
            assert found is not None, f"{name}: {one.command}"
