"""Poison: one message that takes its process with it, in a process that was told so by a test.

What a C extension or the kernel's OOM killer does to a process, `os._exit` does here.
"""

import os
from typing import Any

from channels.adapter import OutgoingMessage
from channels.outcome import Outcome
from channels.providers.twilio import Twilio
from communications.claim import Claimed
from communications.dispatch import Dispatcher
from tests.faults.stage import phone

POISONED = 137
"""The member whose message it is; it shares a window with others."""
WORDING = 1
"""The template version that does not agree with that member; the next one does."""
CODE = 66


def rendering() -> None:
    """Die while that message is rendered."""
    render = Dispatcher._message

    def poisoned(self: Dispatcher, session: Any, lane: Any, row: Claimed) -> OutgoingMessage:
        if row.to_address == phone(POISONED) and row.template_version_id == WORDING:
            os._exit(CODE)
        return render(self, session, lane, row)

    Dispatcher._message = poisoned  # type: ignore[method-assign]


def sending() -> None:
    """Die while that message is handed to the provider's SDK."""
    create = Twilio._create

    def poisoned(self: Twilio, message: OutgoingMessage) -> Outcome:
        if message.to == phone(POISONED):
            os._exit(CODE)
        return create(self, message)

    Twilio._create = poisoned  # type: ignore[method-assign]
