"""Celery: one task that rings, on a queue that every worker hears. Work itself is in the database.

Each setting is there because its opposite lost or repeated tasks.
A ring that is lost costs `pump_seconds`, a ring that comes twice costs a look (law 3).
"""

from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu.common import Broadcast
from kombu.entity import Exchange

RING = "echelonx.ring"
QUEUE = "echelonx.rings"
EXCHANGE: Any = Exchange(  # type: ignore[no-untyped-call]  # kombu is half typed
    QUEUE, type="fanout", durable=False, auto_delete=False
)
STALE_SECONDS = 60
"""A ring older than that says nothing a pump has not found out."""
VISIBILITY_SECONDS = 3600

CONFIG: dict[str, Any] = {
    "task_serializer": "json",
    "accept_content": ["json"],
    "result_backend": None,
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    "task_acks_late": True,
    # True made a poison loop: 9 runs in 12 s.
    "task_reject_on_worker_lost": False,
    "worker_prefetch_multiplier": 1,
    "task_soft_time_limit": 240,
    "task_time_limit": 300,
    "worker_max_tasks_per_child": 5000,
    "worker_hijack_root_logger": False,
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "task_send_sent_event": False,
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {"visibility_timeout": VISIBILITY_SECONDS},
    "task_create_missing_queues": False,
    "task_default_queue": QUEUE,
    "task_routes": {RING: {"queue": QUEUE, "exchange": QUEUE, "routing_key": QUEUE}},
    "timezone": "UTC",
}


def make_app(broker_url: str, ring: Callable[[], None] | None = None) -> Celery:
    """Return the Celery app; with `ring`, one that can work: its task calls that and nothing else.

    Every worker has a queue of its own behind one exchange, which the broker drops with it.
    """
    app = Celery("echelonx", broker=broker_url, set_as_current=False)
    app.conf.update(CONFIG)
    app.conf.task_queues = (
        Broadcast(  # type: ignore[no-untyped-call]  # kombu is half typed
            QUEUE,
            exchange=EXCHANGE,
            # Redis publishes to exchange and key; both sides must name the same.
            routing_key=QUEUE,
            message_ttl=STALE_SECONDS,
            durable=False,
        ),
    )
    if ring is not None:

        @app.task(name=RING, shared=False)  # type: ignore[untyped-decorator]  # celery has no types
        def heard() -> None:
            ring()

    return app
