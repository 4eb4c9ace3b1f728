"""Plan: what a run sends, frozen when it starts: wordings, provider accounts, priority."""

from dataclasses import asdict, dataclass
from typing import Any

from channels.channel import Channel
from communications.communication import MessageType


@dataclass(frozen=True, slots=True)
class Share:
    """One wording of a test, and its part of the people."""

    name: str
    weight: int
    template_version_id: int


@dataclass(frozen=True, slots=True)
class Lane:
    """What goes out on one channel, and through which account."""

    channel: Channel
    template_version_id: int
    provider_account_id: int
    fields: tuple[str, ...]
    """What the wordings show of a member."""
    shares: tuple[Share, ...] = ()
    """All wordings, the first too, where there are several: each member gets one of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes out on all channels."""

    message_type: MessageType
    priority: int
    """0 urgent to 3 low."""
    lanes: tuple[Lane, ...]
    tracked: bool = True
    """Whether messages tell of opens and clicks."""

    def to_json(self) -> dict[str, Any]:
        """Return it as `runs.plan` stores it."""
        return {
            "message_type": self.message_type.value,
            "priority": self.priority,
            "tracked": self.tracked,
            "channels": {
                lane.channel.value: {
                    "template_version_id": lane.template_version_id,
                    "provider_account_id": lane.provider_account_id,
                    "fields": list(lane.fields),
                    "shares": [asdict(share) for share in lane.shares],
                }
                for lane in self.lanes
            },
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Plan":
        """Read it back."""
        return cls(
            message_type=MessageType(stored["message_type"]),
            priority=stored["priority"],
            tracked=stored.get("tracked", True),
            lanes=tuple(
                Lane(
                    channel=Channel(channel),
                    template_version_id=lane["template_version_id"],
                    provider_account_id=lane["provider_account_id"],
                    fields=tuple(lane["fields"]),
                    shares=tuple(Share(**share) for share in lane.get("shares", ())),
                )
                for channel, lane in sorted(stored["channels"].items())
            ),
        )
