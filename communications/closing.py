"""Closing: a client is deleted, and nothing that waits for it is ever sent."""

from sqlalchemy.orm import Session

from accounts.client import delete_client
from communications.communication import Reason
from communications.ledger import skip_queued
from core.clock import Clock


def close_client(session: Session, clock: Clock, *, client_id: int) -> int:
    """Delete a client; return how many queued messages were cancelled. Raises NotFoundError.

    What is on the wire finishes. Whatever a worker queues in the same moment stays queued: the
    gate of the ledger lets nothing pass for a client that is not in use.
    """
    delete_client(session, clock, client_id=client_id)
    return skip_queued(session, clock, reason=Reason.CANCELLED, client_id=client_id)
