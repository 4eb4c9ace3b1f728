"""Services over a test's database, and a way to call the command line."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.clock import ManualClock
from core.settings import Settings
from echelonx import wiring
from echelonx.cli import called


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url, data_dir=tmp_path, pump_seconds=0.05, allow_private_egress=True
    )


@pytest.fixture
def services(settings: Settings, clock: ManualClock) -> Iterator[wiring.Services]:
    """A product over an empty database with all tables."""
    made = wiring.build(settings, clock)
    yield made
    made.close()


@dataclass(frozen=True, slots=True)
class Called:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Called]


@pytest.fixture
def call(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    """Call `echelonx …` in this process, in a directory of its own, on SQLite."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECHELONX_LOG_LEVEL", "ERROR")

    def run(*arguments: str) -> Called:
        capfd.readouterr()
        code = called(list(arguments))
        text = capfd.readouterr()
        return Called(code, text.out, text.err)

    return run


@pytest.fixture
def shop(call: Call) -> dict[str, Any]:
    """An installation with a client, made by `echelonx init`."""
    made = call("init", "--name", "Shop", "--email", "me@shop.example", "--country", "US", "--json")
    values: dict[str, Any] = made.json
    return values
