"""Channel: a way to reach a member. Literal values are the source document's."""

from enum import StrEnum


class Channel(StrEnum):
    """A way to reach a member."""

    SMS = "sms"
    MMS = "mms"
    EMAIL = "email"
    VOICE = "voice"
    CHAT = "chat"
    CONVERSATION = "conversation"
    PUSH = "push"
    WEBHOOK = "webhook"

    @property
    def address_kind(self) -> str:
        """Return which kind of address carries it: `email`, `sms` (a phone number) or `push`."""
        return self.value if self in (Channel.EMAIL, Channel.PUSH) else "sms"
