"""Checks of what clients' own programs are told, and of what they told us."""

from collections.abc import Iterator

from sqlalchemy import func, select

from accounts.endpoint import Endpoint
from core.db import read
from echelonx.health.finding import Finding, age, ok, skip, warn
from echelonx.health.work import PATIENCE, START
from echelonx.wiring import Services
from webhooks.collected import Collected
from webhooks.inbox import InboxState
from webhooks.outbound import BY_HAND, TIRED


def endpoints(services: Services) -> Iterator[Finding]:
    """Look for webhook endpoints that take nothing, or are told nothing any more.

    Their URLs are not shown: some hold secrets.
    """
    with read(services.sessions) as session:
        query = select(Endpoint).where(Endpoint.deleted_at.is_(None)).order_by(Endpoint.id)
        found = list(session.scalars(query))
    if not found:
        yield skip("Endpoints", "no program is told of news; echelonx endpoint add")
        return
    wrong = [finding for one in found if (finding := _endpoint(services, one)) is not None]
    yield from wrong or [ok("Endpoints", f"{len(found):,} are told of news, none fails")]


def _endpoint(services: Services, one: Endpoint) -> Finding | None:
    whose = f"{one.id} of client {one.client_id}"
    if not one.enabled:
        if one.disabled_reason == BY_HAND:
            return None
        remedy = (
            f"mend it, then enable it (PATCH /api/v1/webhook-endpoints/{one.id}) and tell it what "
            f"it missed: echelonx endpoint replay {one.id} --client {one.client_id} --since DATE"
        )
        return warn("Endpoints", f"{whose} is disabled: {one.disabled_reason}", remedy)
    if one.failing_since is None or one.failures < TIRED:
        return None
    since = age((services.clock.now() - one.failing_since).total_seconds())
    remedy = (
        f"what it answered: echelonx endpoint deliveries {one.id} --client {one.client_id}; "
        "it is tried again by itself, and disabled after five days"
    )
    return warn("Endpoints", f"{whose} took none of {one.failures:,} posts, for {since}", remedy)


def events(services: Services) -> Iterator[Finding]:
    """Look for what programs told of their users that is not applied, or could not be."""
    with read(services.sessions) as session:
        states = (InboxState.NEW, InboxState.DEAD)
        told = {
            state: (client_id, count, oldest)
            for state, client_id, count, oldest in session.execute(
                select(
                    Collected.state,
                    func.min(Collected.client_id),
                    func.count(),
                    func.min(Collected.received_at),
                )
                .where(Collected.state.in_(states))
                .group_by(Collected.state)
            )
        }
    client_id, stuck, _ = told.get(InboxState.DEAD, (0, 0, None))
    _, waiting, oldest = told.get(InboxState.NEW, (0, 0, None))
    fact = f"{waiting:,} requests waiting, {stuck:,} stuck"
    waited = services.clock.now() - oldest if oldest else None
    if stuck:
        remedy = (
            f"see why: echelonx event stuck --client {client_id}; once that is mended, "
            "echelonx event replay applies them, each once"
        )
        yield warn("Events", fact, remedy)
    elif waited is not None and waited > PATIENCE:
        yield warn("Events", f"{fact}; the oldest came {age(waited.total_seconds())} ago", START)
    else:
        yield ok("Events", fact)
