"""Mirrors accounts/client_data.py."""

import json

from accounts.client_data import stored, stored_rows
from accounts.key import issue_key
from accounts.user import create_user
from channels.channel import Channel
from core.clock import ManualClock
from core.db import Sessions, read, write
from echelonx.tables import METADATA
from tests.factories import Factory

PERSONAL = {
    "clients": {"name", "email", "phone", "address", "billing_address", "tax_id", "notes"},
    "members": {"first_name", "email", "phone", "date_of_birth", "attributes", "notes"},
    "communications": {"to_address", "subject", "content", "merge"},
    "addresses": {"value"},
    "events": {"properties"},
    "import_rejects": {"value", "original", "message"},
    "member_notes": {"text"},
    "member_changes": {"changed"},
    "audit_log": {"detail"},
}


def test_everything_of_a_client_is_handed_over_but_no_secret(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    make = Factory(sessions, clock, client_id)
    other = make.another_client()
    member = make.member()
    make.message(member, to_address=make.address(member))
    make.account("smtp", Channel.EMAIL, {"password": "hunter2"}, token="webhook-token", name="mail")
    other.message(other.member())
    with write(sessions) as session:
        issue_key(session, clock, client_id=client_id, name="shop")
        create_user(session, clock, email="ana@example.com", client_id=client_id)

    with read(sessions) as session:
        told = {one.table: (one, list(one.rows)) for one in stored(session, client_id)}
        counted = stored_rows(session, client_id)

    assert counted == {table: len(rows) for table, (_, rows) in told.items() if rows}
    assert counted["members"] == counted["communications"] == counted["providers"] == 1
    for one, rows in told.values():
        for row in rows:
            assert row["id" if one.table == "clients" else "client_id"] == client_id
            assert tuple(row) == one.columns
    everything = json.dumps([rows for _, rows in told.values()], default=str)
    for secret in ("hunter2", "webhook-token", make.hash("email", f"m{member}@example.com")):
        assert secret not in everything
    assert "key_hash" not in told["api_keys"][0].columns
    for table, columns in PERSONAL.items():
        assert columns <= set(told[table][0].personal), table
    assert told["templates"][0].personal == ()


def test_every_table_of_a_clients_rows_is_in_it(sessions: Sessions, client_id: int) -> None:
    owned = {table.name for table in METADATA.sorted_tables if "client_id" in table.columns}

    with read(sessions) as session:
        assert {one.table for one in stored(session, client_id)} == owned | {"clients"}
