"""OidcPage: /account/oidc, where an identity provider sends browsers back to; it is all our own.

Opening it changes nothing: its script posts what came with the address, after taking it off there.
"""

from html import escape
from pathlib import Path

from flask import Flask, abort
from flask.wrappers import Response

from api.context import services
from api.oidc import PAGE
from api.viewer import POLICY

FOLDER = Path(__file__).parent / "page"
HEADERS = {"Content-Security-Policy": POLICY}


def install(app: Flask) -> None:
    """Serve the page and its script, where an identity provider is set."""

    @app.get(PAGE)
    def oidc_page() -> Response:
        """Show a button that begins, or post what came back."""
        issuer = services().issuer or abort(404)
        page = (FOLDER / "oidc.html").read_text("utf-8")
        return Response(page.replace("{name}", escape(issuer.name)), 200, HEADERS)

    @app.get(f"{PAGE}.js")
    def oidc_script() -> Response:
        """Return the page's script."""
        script = (FOLDER / "oidc.js").read_bytes()
        return Response(script, 200, HEADERS, mimetype="text/javascript")
