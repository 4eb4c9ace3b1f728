"""Mirrors campaigns/preview.py: where the values of a preview come from."""

from typing import Any

import pytest

from accounts.client import update_client
from campaigns.preview import preview
from campaigns.template import create_template
from channels.channel import Channel
from core.clock import ManualClock
from core.db import Sessions, read, write
from tests.campaigns.conftest import MakeMember

TEXT = "{{ first_name }}|{{ foundation.offer }}|{{ event.total }}"


@pytest.mark.parametrize(
    ("member", "sample", "shown"),
    [
        (True, None, "Ana 1|Lessons|"),
        (True, {"event.total": 9}, "Ana 1|Lessons|9"),
        (False, None, "|Lessons|"),
        (False, {"first_name": "Bo", "foundation.offer": "Trial"}, "Bo|Trial|"),
    ],
)
def test_a_preview_shows_the_member_the_foundation_and_the_sample_before_both(
    sessions: Sessions, clock: ManualClock, client_id: int, make_member: MakeMember,
    member: bool, sample: dict[str, Any] | None, shown: str,
) -> None:  # fmt: skip
    member_id = make_member()
    with write(sessions) as session:
        update_client(
            session, clock, client_id=client_id, settings={"foundation": {"offer": "Lessons"}}
        )
        template_id = create_template(
            session, clock, client_id=client_id, name="t", channel=Channel.SMS, text=TEXT
        ).id

    with read(sessions) as session:
        faces = preview(
            session,
            client_id=client_id,
            template_id=template_id,
            member_id=member_id if member else None,
            sample=sample,
        )

    assert faces["body"] == shown
