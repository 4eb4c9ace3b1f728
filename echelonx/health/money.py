"""Checks of what is agreed with clients: limits of spending, ends of contracts."""

from collections.abc import Iterator

from accounts.client_queries import expiring_contracts
from campaigns.spending import limited_clients, spend
from core.db import read
from echelonx.health.finding import Finding, ok, skip, warn
from echelonx.wiring import Services

SHOWN = 10
RAISE = "raise monthly_spend_limit (PATCH /api/v1/clients/{id}), or wait for the next month"


def spending(services: Services) -> Iterator[Finding]:
    """Look for clients that have spent, or nearly spent, what they may in a month."""
    with read(services.sessions) as session:
        limited = limited_clients(session)
        found = [(one, spend(session, services.clock, one)) for one in limited]
    near = [(client, month) for client, month in found if month.near]
    if not limited:
        yield skip("Spending", "no client has a limit")
    elif not near:
        yield ok("Spending", f"{len(limited)} with a limit, none near it")
    for client, month in near[:SHOWN]:
        state = "nothing more is launched" if month.reached else "near its limit"
        fact = f"client {client.id}: {month.highest:.2f} of {month.limit:.2f}, {state}"
        yield warn("Spending", fact, RAISE.format(id=client.id))


def contracts(services: Services) -> Iterator[Finding]:
    """Look for contracts that end within 30 days, or have ended."""
    with read(services.sessions) as session:
        found = expiring_contracts(session, services.clock, None, limit=200)
    overdue = sum(one.overdue for one in found)
    fact = f"{len(found) - overdue} end within 30 days, {overdue} have ended"
    if found:
        yield warn("Contracts", fact, "see them: echelonx client expiring")
    else:
        yield ok("Contracts", fact)
