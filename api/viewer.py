"""Viewer: /api/docs, a page to read the API's document and to try it; it is all our own."""

from pathlib import Path

from flask import Flask, abort
from flask.wrappers import Response

FOLDER = Path(__file__).parent / "page"
FILES = {"": "index.html", "page.css": "page.css", "page.js": "page.js"}
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def install(app: Flask) -> None:
    """Serve the page and its two files; nothing else is in there."""

    @app.get("/api/docs", defaults={"name": ""})
    @app.get("/api/docs/<name>")
    def viewer(name: str) -> Response:
        """Show the API and send what is filled in."""
        file = FOLDER / (FILES.get(name) or abort(404))
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
        return Response(file.read_bytes(), 200, headers, mimetype=KINDS[file.suffix])
