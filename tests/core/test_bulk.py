"""Mirrors core/bulk.py."""

from typing import Any, cast

import pytest
from sqlalchemy import Table, select

from core.bulk import load, next_ids
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.member import Member

MEMBERS = cast(Table, Member.__table__)


@pytest.mark.parametrize(
    "documents",
    [
        [{}, {"a": 1}, {}],
        [{"a": "},\n{", "b": ",\n"}, {"c": "line\nline\ttab \\ \\n"}],
        [{"a": [{"b": 1}, {"c": 2}]}, {"d": {}}],
        [{"a": [{}, {}]}],
        [{"ü": None, "b": True, "c": 1.5, "d": '"'}],
    ],
)
def test_documents_are_loaded_as_they_are(
    sessions: Sessions, clock: ManualClock, client_id: int, documents: list[dict[str, Any]]
) -> None:
    with write(sessions) as session:
        ids = next_ids(session, MEMBERS, len(documents))
        columns = {
            "id": ids,
            "client_id": client_id,
            "member_id": [f"m{one}" for one in ids],
            "attributes": documents,
            "created_at": clock.now(),
            "updated_at": clock.now(),
        }
        load(session, MEMBERS, columns, len(ids))

    with read(sessions) as session:
        found = session.scalars(select(Member.attributes).order_by(Member.id)).all()
    assert found == documents


def test_ids_rise_and_are_taken_once(sessions: Sessions) -> None:
    with write(sessions) as session:
        first, none = next_ids(session, MEMBERS, 1000), next_ids(session, MEMBERS, 0)

        assert none == []
        assert first == sorted(set(first))
        assert len(first) == 1000
