"""Mirrors echelonx/celery_app.py."""

import pytest

from echelonx.celery_app import RING, make_app

URL = "redis://127.0.0.1:1/0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_serializer", "json"),
        ("accept_content", ["json"]),
        ("result_backend", None),
        ("task_ignore_result", True),
        ("task_acks_late", True),
        ("task_reject_on_worker_lost", False),
        ("worker_prefetch_multiplier", 1),
        ("task_soft_time_limit", 240),
        ("task_time_limit", 300),
        ("worker_max_tasks_per_child", 5000),
    ],
)
def test_celery_is_set_as_reliability_needs_it(name: str, value: object) -> None:
    assert make_app(URL).conf[name] == value


def test_a_task_ends_long_before_redis_would_deliver_it_again() -> None:
    conf = make_app(URL).conf

    assert conf.task_time_limit < conf.broker_transport_options["visibility_timeout"] / 2


def test_the_only_task_rings() -> None:
    rung: list[str] = []
    app = make_app(URL, lambda: rung.append("ring"))

    ours = [name for name in app.tasks if not name.startswith("celery.")]
    app.tasks[RING]()
    app.tasks[RING]()

    assert ours == [RING]
    assert rung == ["ring", "ring"], "a ring that comes twice is one look more"
