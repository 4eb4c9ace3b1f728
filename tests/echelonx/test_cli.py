"""Mirrors echelonx/cli.py."""

import subprocess
import sys
from typing import Any

import pytest

from echelonx.cli import COMMANDS
from tests.echelonx.conftest import Call

HEAVY = ("sqlalchemy", "celery", "flask", "twilio", "rich")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "simulator"])
def test_every_command_explains_itself(call: Call, name: str) -> None:
    told = call(name, "--help")

    assert told.code == 0
    assert "Usage: echelonx" in told.out


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "simulator"])
def test_a_list_of_commands_cuts_no_sentence_short(call: Call, name: str) -> None:
    assert "..." not in call(name, "--help").out.partition("Commands:")[2]


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from echelonx.cli import called; called(['--help']); "
        f"sys.exit(any(name in sys.modules for name in {HEAVY!r}))"
    )

    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def test_an_unknown_setting_is_a_usage_error_that_names_the_nearest(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHELONX_DATABSE_URL", "sqlite:///x.db")

    told = call("campaign", "list")

    assert told.code == 2
    assert "ECHELONX_DATABASE_URL" in told.err
    assert "->" in told.err


def test_a_database_that_is_away_is_one_line_and_a_next_step(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHELONX_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    told = call("campaign", "list")

    assert told.code == 1
    assert "Traceback" not in told.err
    assert "-> check ECHELONX_DATABASE_URL" in told.err


def test_an_empty_database_is_told_how_to_be_filled(call: Call) -> None:
    told = call("campaign", "list")

    assert told.code == 1
    assert "-> echelonx migrate" in told.err


def test_a_command_that_does_not_exist_is_a_usage_error(call: Call) -> None:
    assert call("lunch").code == 2


def test_a_launch_that_is_blocked_exits_with_3(call: Call, shop: dict[str, Any]) -> None:
    told = call("campaign", "launch", "999")

    assert told.code == 1, "not found is a problem, not a refusal"
    assert "no campaign 999" in told.err
