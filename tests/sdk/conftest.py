"""Segment's own libraries against a real server; `make sdk` plays those that pip does not lock."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from accounts.key import issue_key
from core.clock import SystemClock
from core.db import read, write
from core.settings import Settings
from echelonx.factory import create_app
from echelonx.server import WebServer
from echelonx.wiring import Services, build
from members.event import Event
from members.member import Member
from webhooks.collecting import collecting

FOLDER = os.environ.get("ECHELONX_TEST_SDK")
"""Where `make sdk` installed the libraries."""

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what is marked `sdk` to `make sdk`."""
    if FOLDER:
        return
    away = [item for item in items if item.get_closest_marker("sdk")]
    if away:
        config.hook.pytest_deselected(items=away)
        items[:] = [item for item in items if item not in away]


@pytest.fixture
def product(database_url: str, tmp_path: Path) -> Iterator[Services]:
    settings = Settings.from_environment(
        {
            "ECHELONX_DATABASE_URL": database_url,
            "ECHELONX_DATA_DIR": str(tmp_path),
            "ECHELONX_SECRET_KEY": "a key of tests that nobody else uses",
        }
    )
    services = build(settings, SystemClock())
    yield services
    services.close()


@pytest.fixture
def host(product: Services) -> Iterator[str]:
    """Where the collector listens."""
    server = WebServer(create_app(product), host="127.0.0.1", port=0, threads=4)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


@pytest.fixture
def write_key(product: Services, client_id: int) -> str:
    """A server's key."""
    scopes = ("events:write", "members:write")
    with write(product.sessions) as session:
        made = issue_key(session, product.clock, client_id=client_id, name="sdk", scopes=scopes)
    return made[1]


@pytest.fixture
def became(product: Services) -> Callable[[], dict[str, Any]]:
    """Apply what was told; return what is known of the one member, and of what it did."""

    def look() -> dict[str, Any]:
        while collecting(product).step():
            pass
        with read(product.sessions) as session:
            live = select(Member).where(Member.deleted_at.is_(None))
            member = session.scalars(live).one()
            names = session.scalars(select(Event.name).where(Event.member_id == member.id))
            return {
                "key": member.member_id,
                "email": member.email,
                "name": member.full_name,
                "attributes": member.attributes,
                "events": sorted(names),
            }

    return look


EXPECTED = {
    "key": "u-1",
    "email": "ana@example.com",
    "name": "Ana Lee",
    "attributes": {"plan": "pro", "group_id": "acme", "group_size": 3},
    "events": ["Order Completed", "Viewed", "alias", "group", "identify", "page", "screen"],
}
"""What every library's story comes to: the visitor v-1 looks around and signs in as u-1."""
