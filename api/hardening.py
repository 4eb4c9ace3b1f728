"""Hardening: the headers that keep browsers from doing more with an answer than was meant."""

from flask import Flask
from flask.wrappers import Response

from api.context import services

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer that does not say otherwise itself."""
TLS_ONLY = "max-age=31536000; includeSubDomains"


def install(app: Flask) -> None:
    """Put the headers on every answer, of whatever route, and of none."""

    @app.after_request
    def harden(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if is_secure():
            response.headers.setdefault("Strict-Transport-Security", TLS_ONLY)
        return response


def is_secure() -> bool:
    """Say whether people reach us over TLS."""
    return services().settings.public_url.startswith("https:")
