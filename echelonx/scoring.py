"""Scoring: a worker's share in computing members' scores and tiers (communications/scoring.py)."""

from communications.scoring import advance, clients_due, learn
from core.db import read, write
from core.log import get
from echelonx.wiring import Services

log = get(__name__)

LOOK_SECONDS = 10.0
"""Between two looks; each is one query over the clients."""


class Scoring:
    """Computes what is due, one chunk of each client at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def unit(self) -> bool:
        """Do one chunk of every client with something to do; say whether there is more."""
        sessions, clock = self._services.sessions, self._services.clock
        with read(sessions) as session:
            due = clients_due(session, clock)
        more = False
        for client_id in due:
            with read(sessions) as session:
                learnt = learn(session, clock, client_id=client_id)
            for model in learnt:
                log.info("scores learnt", client_id=client_id, kind=model.kind, by=model.method)
            with write(sessions) as session:
                hasher = self._services.hasher
                more |= advance(session, clock, hasher, client_id=client_id, learnt=learnt)
        return more
