"""Awards: stars of the student's path are kept when they are earned, whether somebody looks or not.

Looked at are clients that have earned one before: whoever never saw the path costs nothing.
"""

from datetime import datetime, timedelta

from campaigns.elevate.star import starred
from campaigns.elevate.student import award
from core.db import read, write
from core.log import get
from echelonx.wiring import Services

log = get(__name__)

EVERY = timedelta(hours=1)


class Awards:
    """Keeps what is earned, once an hour."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._looked_at: datetime | None = None

    def unit(self) -> bool:
        """Look at one student's path after the other where an hour has passed; no more is due."""
        services, now = self._services, self._services.clock.now()
        if self._looked_at is not None and now - self._looked_at < EVERY:
            return False
        self._looked_at = now
        with read(services.sessions) as session:
            students = starred(session)
        for client_id in students:
            with write(services.sessions) as session:
                new = award(session, services.clock, services.vault, client_id=client_id)
            if new:
                log.info("stars earned", client_id=client_id, stars=len(new))
        return False
