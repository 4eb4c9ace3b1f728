"""Mirrors echelonx/commands/serve.py; what the processes do is in tests/e2e and tests/faults."""

import pytest

from accounts.client import create_client
from core.db import write
from echelonx.commands.serve import begin
from echelonx.wiring import Services


def test_a_database_without_a_client_says_how_to_begin(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(services)
    assert "-> echelonx init" in capsys.readouterr().err

    with write(services.sessions) as session:
        create_client(session, services.clock, name="Shop")
    begin(services)
    assert capsys.readouterr().err == ""
