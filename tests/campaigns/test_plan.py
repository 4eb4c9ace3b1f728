"""Mirrors campaigns/plan.py."""

from campaigns.plan import Lane, Plan, Share
from channels.channel import Channel
from communications.communication import MessageType


def test_a_plan_is_read_back_as_it_was_written() -> None:
    plan = Plan(
        message_type=MessageType.TRANSACTIONAL,
        priority=1,
        lanes=(
            Lane(Channel.EMAIL, 3, 4, ("first_name", "attributes.city")),
            Lane(Channel.SMS, 5, 6, (), (Share("A", 1, 5), Share("B", 3, 7))),
        ),
    )

    assert Plan.from_json(plan.to_json()) == plan
