"""Probes: what load balancers, watchdogs and Prometheus ask for. None shows a client's data.

| path | asks |
| - | - |
| `/health/live` | does the process answer |
| `/health/ready` | can it serve: database there, schema as needed |
| `/health/deep` | does everything work: the doctor's findings |
| `/metrics` | numbers for Prometheus |

The last two want `Authorization: Bearer <ECHELONX_METRICS_TOKEN>`; without that setting they are
open in development and do not exist in production.
"""

import hmac
from dataclasses import asdict

from flask import Blueprint, Response, jsonify, request
from sqlalchemy.exc import SQLAlchemyError

from core.db import read
from core.settings import Settings
from echelonx import schema
from echelonx.exposition import CONTENT_TYPE, text_of
from echelonx.health.examination import in_depth
from echelonx.health.finding import State
from echelonx.holding import COMMAND, current_hold
from echelonx.metrics import Metrics
from echelonx.wiring import Services

Answer = tuple[Response, int]

AWAY = "database away"


def blueprint(services: Services) -> Blueprint:
    """Return the routes over these services."""
    probes = Blueprint("probes", __name__)
    metrics = Metrics(services)

    @probes.get("/health/live")
    def live() -> Answer:
        """Say that this process answers; nothing else is looked at."""
        return jsonify(status="ok"), 200

    @probes.get("/health/ready")
    def ready() -> Answer:
        """Say whether this process can serve: 200, or 503 with what is missing."""
        return _ready(services)

    @probes.get("/health/deep")
    def deep() -> Answer:
        """Say what was found out about everything; 503 if something does not work."""
        return _refused(services.settings) or _deep(services)

    @probes.get("/metrics")
    def numbers() -> Answer:
        """Give every metric in Prometheus's text format; 503 while the database is away."""
        refusal = _refused(services.settings)
        if refusal is not None:
            return refusal
        try:
            page = text_of(metrics.read())
        except SQLAlchemyError:
            return jsonify(status=AWAY), 503
        return Response(page, content_type=CONTENT_TYPE), 200

    return probes


def _ready(services: Services) -> Answer:
    wanted = schema.head()
    try:
        found = schema.current(services.engine)
        if found != wanted:
            state = f"the schema is {found or 'empty'}, this version needs {wanted}"
            return jsonify(status=state, remedy="echelonx migrate"), 503
        with read(services.sessions) as session:
            held = current_hold(session) is not None
    except SQLAlchemyError:
        return jsonify(status=AWAY), 503
    # Held, it serves all the same: the API is how people see what became of their messages.
    more = {"held": f"nothing is sent, see: {COMMAND}"} if held else {}
    return jsonify(status="ok", **more), 200


def _deep(services: Services) -> Answer:
    found = in_depth(services)
    states = {one.state for one in found}
    worst = next((bad for bad in (State.FAIL, State.WARN) if bad in states), State.OK)
    checks = [asdict(one) for one in found]
    return jsonify(status=worst, checks=checks), 503 if worst is State.FAIL else 200


def _refused(settings: Settings) -> Answer | None:
    """Return the answer for who may not look; None for who may."""
    token = settings.metrics_token
    if token is None:
        return None if settings.mode == "development" else (jsonify(status="not found"), 404)
    wanted = f"Bearer {token.reveal()}".encode()
    given = request.headers.get("Authorization", "").encode()
    if hmac.compare_digest(wanted, given):
        return None
    answer = jsonify(status="a bearer token is needed", remedy="ECHELONX_METRICS_TOKEN is it")
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer, 401
