"""Rate limits: so many requests a second for each caller, or for each address without one.

api.auth takes a token once it knows who asks, or that they failed to prove it.
"""

from dataclasses import replace
from math import ceil

from flask import Flask, g, request
from flask.wrappers import Response

from api.context import services
from api.openapi import READS
from core.bucket import Rate, Taken
from core.errors import RateLimitedError

STRANGERS = 10
"""How many times fewer writes somebody may send who did not say who they are."""


def take() -> None:
    """Take a token for this request. Raises RateLimitedError, which tells when to come back."""
    settings = services().settings
    if not settings.rate_limit:
        return
    rate = Rate(settings.rate_limit, settings.rate_burst)
    if "principal" in g:
        name = f"{g.principal.client_id}:{g.principal.actor}"
        rate = replace(rate, per_second=g.principal.rate or rate.per_second)
    elif request.method in READS:
        name = f"ip:{request.remote_addr}"
    else:
        name = f"ip:{request.remote_addr}:write"
        rate = Rate(rate.per_second / STRANGERS, max(rate.burst // STRANGERS, 1))
    g.taken = services().buckets.take(name, rate)
    g.rate = rate
    if not g.taken.allowed:
        raise _refusal(g.taken, rate)


def install(app: Flask) -> None:
    """Say in every answer what is left."""

    @app.after_request
    def tell(response: Response) -> Response:
        taken: Taken | None = g.pop("taken", None)
        if taken is not None:
            response.headers["RateLimit-Limit"] = str(g.pop("rate").burst)
            response.headers["RateLimit-Remaining"] = str(taken.remaining)
            response.headers["RateLimit-Reset"] = str(ceil(taken.full_in))
        return response


def _refusal(taken: Taken, rate: Rate) -> RateLimitedError:
    error = RateLimitedError(
        f"more than {rate.per_second:g} requests a second",
        remedy="wait for as long as Retry-After says; ask for many things in one request",
    )
    error.retry_after = max(ceil(taken.wait), 1)
    return error
