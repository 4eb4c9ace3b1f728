"""Mirrors accounts/endpoint.py."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from accounts import endpoint
from accounts.endpoint import EndpointStateError, add_endpoint, endpoints
from core.clock import ManualClock
from core.db import Sessions, is_sqlite, write
from core.secret import Vault
from tests.factories import KEY


def test_of_two_that_add_the_last_endpoint_one_does(
    sessions: Sessions, clock: ManualClock, client_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "MAX_ENDPOINTS", 1)

    def add(session: Session) -> None:
        url, vault = "https://crm.example.com/hook", Vault(KEY)
        add_endpoint(session, clock, vault, client_id=client_id, url=url, types=["*"])

    with write(sessions) as first:
        add(first)
        if not is_sqlite(first):  # where there is one writer at a time anyway
            with sessions() as second:
                second.execute(text("SET LOCAL lock_timeout = '50ms'"))
                with pytest.raises(OperationalError, match="lock timeout"):
                    add(second)
    with write(sessions) as session:
        with pytest.raises(EndpointStateError):
            add(session)
        assert len(endpoints(session, client_id)) == 1
