"""Guard: notices a database that was restored or copied, and then nothing is sent (held mode).

Such a database calls queued what may have been sent. At the start of a process that sends or ticks,
and every minute while it runs, the database is compared with what is noted outside of it.

Invariants
    1. What is noted outside is read before the database is: it can only be ahead of a database that
       went back.
    2. A process that sends has looked before its first send, and asks `held()` before every window.
    3. What a hold makes doubtful is written in the transaction that begins the hold.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy.orm import Session

from core.clock import ticking
from core.db import read, write
from core.log import get
from echelonx.care import Every
from echelonx.holding import begin_hold
from echelonx.home import home
from echelonx.logbook import Logbook, Note
from echelonx.wiring import Services
from scheduling import instance
from scheduling.instance import Instance
from scheduling.worker import BEAT_SECONDS, workers

log = get(__name__)

RISE_SECONDS = 60.0
"""How often the epoch rises: what was sent since the last time, a restored database cannot know."""
LOOK_SECONDS = 1.0
"""A hold that another process begins is seen within that."""
LONG = timedelta(hours=24)
SLACK = timedelta(seconds=2 * RISE_SECONDS)
"""How much later than its last note a lost database may have sent."""
WEB_ONLY = ["web"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why nothing may be sent, and up to when what is queued is in doubt."""

    reason: str
    until: datetime


class Guard:
    """Watches over one process's sending; `sends=False` watches nothing: a web server alone."""

    def __init__(self, services: Services, *, sends: bool = True) -> None:
        self._sends = sends
        self._clock = services.clock
        self._sessions = services.sessions
        self._logbook = Logbook(services.settings.data_dir)
        self._lock = Lock()
        self._rise = Every(RISE_SECONDS)
        self._next_look = 0.0
        self._held = False
        self._name: str | None = None
        self._epoch = -1
        """The highest this process has seen committed."""

    def start(self) -> None:
        """Compare for the first time; call it before anything is sent or recovered."""
        if self._sends:
            self._rise.due()
            self._compare(starting=True)

    def beat(self) -> None:
        """Once a minute, compare again and let the epoch rise."""
        if self._sends and self._rise.due():
            self._compare()

    def end(self) -> None:
        """Note that this process stopped sending in good order."""
        if self._sends:
            self._compare()

    def held(self) -> bool:
        """Say whether nothing may be sent now; asks the database once a second at most.

        While the database cannot be asked, it raises what the database raises.
        """
        with self._lock:
            if ticking() < self._next_look:
                return self._held
            known = self._epoch
            with read(self._sessions) as session:
                row = instance.instance(session)
            # Began by another process, or the database was changed under our feet.
            went_back = row is None or row.epoch < known
            self._held = row is not None and row.held_at is not None
            behind = self._sends and went_back and not self._held and known >= 0
            if not behind:
                self._next_look = ticking() + LOOK_SECONDS
        if behind:
            self._compare()
        return self._held

    def _compare(self, *, starting: bool = False) -> None:
        """Look at the database and what is noted outside; hold, or let the epoch rise."""
        known = self._epoch
        with read(self._sessions) as session:
            name, here = instance.name_of(session), home(session)
        note = self._logbook.read(name, here) if name else None
        last = self._logbook.latest(name) if name else None
        with write(self._sessions) as session:
            row = instance.begin(session, self._clock, home=here)
            if row.held_at is None:
                verdict = self._moved(row, here, last) or self._verdict(
                    session, row, note, known, starting=starting
                )
                if verdict is not None:
                    begin_hold(session, self._clock, reason=verdict.reason, until=verdict.until)
            instance.note_epoch(session, max(known, note.epoch if note else known))
            epoch = instance.rise(session, self._clock)
        self._know(row.name, here, epoch)

    def _know(self, name: str, here: str, epoch: int | None) -> None:
        """Remember what was committed, here and outside; without an epoch we are held."""
        with self._lock:
            self._name = name
            self._held = epoch is None
            self._next_look = ticking() + LOOK_SECONDS
            if epoch is not None:
                self._epoch = max(self._epoch, epoch)
        if epoch is not None:
            self._logbook.write(name, here, Note(epoch, self._clock.now()))

    def _moved(self, row: Instance, here: str, last: Note | None) -> Verdict | None:
        """Say so if it is elsewhere; `last` is what is noted of its name, at whichever home."""
        if row.home == here:
            return None
        now = self._clock.now()
        return Verdict(
            "this database is a copy or was moved: it is not where it last sent from",
            max(now, last.at + SLACK) if last else now,
        )

    def _verdict(
        self, session: Session, row: Instance, note: Note | None, known: int, *, starting: bool
    ) -> Verdict | None:
        now = self._clock.now()
        if self._name not in (None, row.name):
            return Verdict("another database was put in the place of this one", now)
        if note is not None and row.epoch < note.epoch:
            return Verdict(
                f"this database was restored: it was last used at {_said(row.beat_at)}, "
                f"{self._logbook.path.name} says at {_said(note.at)}",
                note.at + SLACK,
            )
        if row.epoch < known:
            return Verdict("this database was restored while it was in use", now)
        if starting and abs(now - row.beat_at) > LONG and _broke_off(session, row):
            return Verdict(
                f"it was last used at {_said(row.beat_at)}, more than a day from now, and did not "
                "end in good order: a restored machine, or a clock that is wrong",
                max(now, row.beat_at),
            )
        return None


def _broke_off(session: Session, row: Instance) -> bool:
    """Say whether a process that sends was alive at the last beat and did not take its leave."""
    since = row.beat_at - timedelta(seconds=BEAT_SECONDS)
    return any(one.roles != WEB_ONLY and one.heartbeat_at >= since for one in workers(session))


def _said(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"
