"""Tracking: who joins and leaves tracked segments, seen within a second of the change.

A look that finds nothing is one small query, and one more for each client with a tracked segment.
"""

from core.clock import Clock
from core.db import Sessions, read, write
from core.log import get
from members.membership import due, is_noted, refresh, refresh_touched, tracking

log = get(__name__)

LOOK_SECONDS = 0.4
"""Between two looks: a change is seen within a second, with time to decide."""


class Tracking:
    """Reads the notes of changed members, and looks at everybody where it is time to."""

    def __init__(self, sessions: Sessions, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock

    def unit(self) -> bool:
        """Read one set of notes for each client, then look wholly at one segment; say if more."""
        with read(self._sessions) as session:
            noted = [one for one in tracking(session) if is_noted(session, one)]
            whole = due(session, self._clock)
        for client_id in noted:
            with write(self._sessions) as session:
                refresh_touched(session, self._clock, client_id=client_id)
        if whole is not None:
            with write(self._sessions) as session:
                moves = refresh(session, self._clock, segment_id=whole.id)
            log.info("segment looked at", segment_id=whole.id, moves=str(moves))
        return bool(noted) or whole is not None
