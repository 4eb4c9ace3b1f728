"""Examination: every check, in the order in which a reader wants to know."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError

from core.secret import SecretKeyError
from core.settings import Settings
from echelonx.health import database, machine, money, outside, telling, work
from echelonx.health.finding import Finding, State, fail, skip
from echelonx.process import lock_path
from echelonx.wiring import Services, build

Check = Callable[[Services], Iterator[Finding]]

OF_MACHINE: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    machine.python,
    machine.config,
    machine.secret_key,
)
OF_SERVICES: dict[str, Check] = {
    "Database": database.database,
    "Schema": database.tables,
    "Clock": database.clock,
    "Scheduler": work.scheduler,
    "Workers": work.workers,
    "Messages": work.stuck,
    "Webhooks": work.inbox,
    "Receipts": work.parked,
    "Journeys": work.journeys,
    "Counts": work.counts,
    "Sending": work.held,
    "Events": telling.events,
    "Endpoints": telling.endpoints,
    "Spending": money.spending,
    "Contracts": money.contracts,
    "Providers": outside.providers,
    "Broker": outside.broker,
    "Public URL": outside.public_url,
}
BASIC = ("Database", "Schema")
"""Without these the checks of work and providers have nothing to look at."""
FREE = ("Broker", "Public URL")
OF_CLIENTS = ("Spending", "Contracts", "Endpoints")
LEFT_OUT = (*OF_CLIENTS, "Counts", "Events", "Public URL")
IN_DEPTH = {name: check for name, check in OF_SERVICES.items() if name not in LEFT_OUT}
IN_DEPTH["Providers"] = outside.answering
"""Nothing of single clients, nor the names of their accounts, nor what reads many rows: it is asked
for often. And we do not ask ourselves, who are busy answering."""
AWAY = (OperationalError, InterfaceError, ProgrammingError)


def examine(settings: Settings) -> Iterator[Finding]:
    """Make every check and yield what each found; checks that cannot be made are skipped."""
    for check in OF_MACHINE:
        yield from check(settings)
    path = lock_path(settings.database_url)
    if path is not None and not path.with_suffix("").exists():
        yield fail("Database", f"{path.with_suffix('')} does not exist yet", "echelonx init")
        return
    try:
        services = build(settings)
    except SecretKeyError as error:
        yield skip("Database", f"not looked at: {error}")
        return
    try:
        yield from _of(services, OF_SERVICES)
    finally:
        services.close()


def in_depth(services: Services) -> list[Finding]:
    """Return what the checks find that show no client's data and do not ask ourselves."""
    return list(_of(services, IN_DEPTH))


def _of(services: Services, checks: Mapping[str, Check]) -> Iterator[Finding]:
    sound = True
    for name, check in checks.items():
        if not sound and name not in (*BASIC, *FREE):
            yield skip(name, "needs the database")
            continue
        found = _tried(name, partial(check, services))
        sound = sound and not any(one.state is State.FAIL and name in BASIC for one in found)
        yield from found


def _tried(name: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(check())
    except AWAY as error:
        why = str(error.orig).partition("\n")[0]
        return [fail(name, f"cannot be used: {why}", "check ECHELONX_DATABASE_URL")]
