"""What tests make workers do with the Celery task that wakes them, each a patch for a Fleet."""

import os
import random
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from echelonx import celery_app, rings
from scheduling.bell import LocalBell

DEATHS = "deaths"
LIMIT = "limit"
SHARE = 0.3
VISIBLE_SECONDS = 3


def hasty() -> None:
    """Let the broker deliver anew what nobody acknowledged for three seconds."""
    celery_app.CONFIG["broker_transport_options"] = {"visibility_timeout": VISIBLE_SECONDS}
    rings.PUBLISHER["visibility_timeout"] = VISIBLE_SECONDS


def heard() -> None:
    """Leave a mark at every ring that comes through the broker."""
    _each_ring(lambda: mark(folder(), os.getpid()).touch())


def deadly() -> None:
    """Die of a ring now and then, as often as the test allows."""
    _each_ring(_perhaps_die)


def mark(data: Path, pid: int) -> Path:
    """The file that says that a process heard a ring."""
    return data / f"heard-{pid}"


def deaths(data: Path) -> int:
    """How many died of a ring."""
    return len(list(data.glob(f"{DEATHS}-*")))


def deaf(data: Path, pids: Iterable[int]) -> list[int]:
    """Those who heard nothing since `forget`."""
    return [pid for pid in pids if not mark(data, pid).exists()]


def forget(data: Path) -> None:
    """Drop every mark."""
    for old in data.glob("heard-*"):
        old.unlink(missing_ok=True)


def folder() -> Path:
    return Path(os.environ["ECHELONX_DATA_DIR"])


def _perhaps_die() -> None:
    allowed = int((folder() / LIMIT).read_text())
    number = deaths(folder())
    if number < allowed and random.random() < SHARE:
        with suppress(FileExistsError):  # of two who hear one ring, one may
            (folder() / f"{DEATHS}-{number}").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)


def _each_ring(deed: Callable[[], None]) -> None:
    """Make every listener do something before it rings its bells."""

    class Doing(LocalBell):
        def ring(self) -> None:
            deed()

    begin = rings.Listener.__init__

    def listener(
        self: rings.Listener, broker_url: str, bells: Sequence[LocalBell], name: str
    ) -> None:
        begin(self, broker_url, [Doing(), *bells], name)

    rings.Listener.__init__ = listener  # type: ignore[method-assign]
