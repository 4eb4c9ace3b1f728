"""Deliveries: the log of what endpoints were told, telling it again, and a test.

Kept for 30 days. A replay keeps its `webhook-id`: a receiver that has it already knows it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from accounts.endpoint import Endpoint, EndpointStateError
from accounts.news import News
from accounts.outbox import DeliveryState, EndpointDelivery
from core.clock import Clock
from core.errors import ConflictError, NotFoundError
from core.rows import among
from webhooks.outbound import disable

D = EndpointDelivery
KEPT = timedelta(days=30)
FORGOTTEN_AT_ONCE = 5_000
REPLAYED_AT_ONCE = 5_000


class DeliveryNotFoundError(NotFoundError):
    """The webhook endpoint has no such delivery."""

    code = "delivery_not_found"
    usual = "list the endpoint's deliveries, and use an id from there"


class DeliveryStateError(ConflictError):
    """The delivery still waits for its turn."""

    code = "delivery_state"


def deliveries_page(
    session: Session,
    found: Endpoint,
    *,
    before: int | None = None,
    limit: int = 50,
    state: DeliveryState | None = None,
    news: News | None = None,
) -> Sequence[EndpointDelivery]:
    """Return up to `limit` deliveries of an endpoint, newest first, older than id `before`."""
    query = select(D).where(D.endpoint_id == found.id)
    if before is not None:
        query = query.where(D.id < before)
    if state is not None:
        query = query.where(D.state == state)
    if news is not None:
        query = query.where(D.type == news)
    return session.scalars(query.order_by(D.id.desc()).limit(limit)).all()


def delivery(session: Session, found: Endpoint, delivery_id: int) -> EndpointDelivery:
    """Return one delivery of an endpoint. Raises DeliveryNotFoundError."""
    row = session.scalar(select(D).where(D.endpoint_id == found.id, D.id == delivery_id))
    if row is None:
        raise DeliveryNotFoundError(f"no delivery {delivery_id} to this endpoint")
    return row


def send_test(session: Session, clock: Clock, found: Endpoint) -> EndpointDelivery:
    """Tell an endpoint, whatever it listens to, that this is a test; it is told like the rest.

    Raises EndpointStateError for one that is disabled.
    """
    _require_enabled(found)
    now = clock.now()
    made = D(
        client_id=found.client_id,
        endpoint_id=found.id,
        type=News.TEST,
        object=f"endpoint:{found.id}",
        data={"id": found.id},
        at=now,
        due_at=now,
        created_at=now,
    )
    session.add(made)
    session.flush()
    return made


def replay_one(
    session: Session, clock: Clock, found: Endpoint, delivery_id: int
) -> EndpointDelivery:
    """Tell one fact again, whether it was taken or not.

    Raises DeliveryNotFoundError, DeliveryStateError for one that waits, EndpointStateError.
    """
    row = delivery(session, found, delivery_id)
    if not _again(session, clock, found, D.id == row.id, D.state != DeliveryState.WAITING):
        raise DeliveryStateError("it waits for its turn", remedy="wait until it was tried")
    session.refresh(row)
    return row


def replay_failed(
    session: Session, clock: Clock, found: Endpoint, *, since: datetime, until: datetime | None
) -> int:
    """Tell again what failed of what happened since, and before `until`; return how many.

    The oldest REPLAYED_AT_ONCE of them: where it is so many, there may be more.
    Raises EndpointStateError for an endpoint that is disabled.
    """
    meant = [D.state == DeliveryState.FAILED, D.at >= since]
    if until is not None:
        meant.append(D.at < until)
    return _again(session, clock, found, *meant)


def remove(session: Session, clock: Clock, found: Endpoint, *, actor: str) -> None:
    """Delete an endpoint; its log stays until it is forgotten with the rest."""
    disable(session, clock, found, reason="deleted", actor=actor)
    found.deleted_at = clock.now()
    session.flush()


def forget_deliveries(session: Session, clock: Clock) -> int:
    """Delete some of what is older than 30 days; return how many. Nothing so old waits."""
    old = select(D.id).where(D.created_at < clock.now() - KEPT).order_by(D.created_at)
    ids = list(session.scalars(old.limit(FORGOTTEN_AT_ONCE)))
    if ids:
        session.execute(
            delete(D).where(among(session, D.id, ids)).execution_options(synchronize_session=False)
        )
    return len(ids)


def _again(session: Session, clock: Clock, found: Endpoint, *meant: ColumnElement[bool]) -> int:
    _require_enabled(found)
    meant = (D.endpoint_id == found.id, *meant)
    some = select(D.id).where(*meant).order_by(D.id).limit(REPLAYED_AT_ONCE)
    told = session.execute(
        update(D)
        .where(D.id.in_(some), *meant)
        .values(state=DeliveryState.WAITING, due_at=clock.now(), tries=0, ended_at=None)
        .returning(D.id)
        .execution_options(synchronize_session=False)
    )
    return len(told.all())


def _require_enabled(found: Endpoint) -> None:
    if not found.enabled:
        raise EndpointStateError("the endpoint is disabled", remedy="enable it first")
