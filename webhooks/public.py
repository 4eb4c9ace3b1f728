"""Public pages: what a person sees who follows a link of a message. No script, no cookie.

Every answer carries the same headers, because tokens in URLs must not travel on, and every
link we did not make gets the same page, because a guess must teach nothing.
"""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

from flask import Response, render_template

STYLE = (files("webhooks") / "templates" / "public_style.html").read_text(encoding="utf-8")
_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}


def page(name: str, values: Mapping[str, str] | None = None, *, status: int = 200) -> Response:
    """Render one of `templates/public_*.html`."""
    html = render_template(f"public_{name}.html", style=STYLE, **(values or {}))
    return Response(html, status=status, mimetype="text/html")


def missing() -> Response:
    """Return the one answer to every link that is not ours."""
    return page("missing", status=404)


def away() -> Response:
    """Return the answer while the database cannot be asked."""
    response = page("away", status=503)
    response.headers["Retry-After"] = "30"
    return response


def sealed(response: Response) -> Response:
    """Put the headers on a response that every public link's answer carries."""
    response.headers.update(HEADERS)
    return response
