"""Mirrors accounts/principal.py."""

from accounts.client import create_client
from accounts.key import issue_key
from accounts.principal import key_holder
from accounts.user import Role, UserStatus, create_user, grant_role
from core.clock import ManualClock
from core.db import Sessions, write


def test_what_one_client_grants_holds_at_no_other(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        other = create_client(session, clock, name="Other").id
        who = create_user(session, clock, email="ana@example.com", status=UserStatus.ACTIVE).id
        for place in (client_id, other):
            role = grant_role(session, clock, user_id=who, client_id=place, role=Role.USER)
            if place == client_id:
                role.permissions = ["campaigns:launch"]
        here, there = (
            key_holder(
                session, issue_key(session, clock, client_id=place, user_id=who, name="k")[0]
            )
            for place in (client_id, other)
        )

    assert "campaigns:launch" in here.actions
    assert "campaigns:launch" not in there.actions
    assert "segments:write" in there.actions
