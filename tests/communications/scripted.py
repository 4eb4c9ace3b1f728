"""An adapter that does as it is told: for what no real provider can be made to do on demand."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from channels.adapter import OutgoingMessage, Ports
from channels.channel import Channel
from channels.outcome import DEADLINE_PASSED, Accepted, Outcome

Answer = Outcome | Exception | None
"""None: the adapter forgets the message."""


class Scripted:
    """Answers each message by `script(message)`; keeps what it was given."""

    name: ClassVar[str] = "scripted"
    channel: ClassVar[Channel] = Channel.EMAIL
    window: ClassVar[int] = 3
    script: ClassVar[Callable[[OutgoingMessage], Answer]] = lambda _: Accepted("id")
    sent: ClassVar[list[OutgoingMessage]] = []
    opened: ClassVar[int] = 0

    @classmethod
    def from_config(cls, config: Mapping[str, Any], ports: Ports) -> Self:
        del config, ports
        cls.opened += 1
        return cls()

    def send(
        self, messages: Sequence[OutgoingMessage], expired: Callable[[], bool]
    ) -> Iterator[tuple[str, Outcome]]:
        for message in messages:
            if expired():
                yield message.reference, DEADLINE_PASSED
                continue
            Scripted.sent.append(message)
            answer = type(self).script(message)
            if isinstance(answer, Exception):
                raise answer
            if answer is not None:
                yield message.reference, answer

    def close(self) -> None:
        return None
