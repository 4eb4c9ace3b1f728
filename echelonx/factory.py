"""Factory: the web application, the same behind waitress, granian and a test's client.

For scale-out any WSGI server serves `from_environment`:

    granian --interface wsgi --factory echelonx.factory:from_environment
"""

import dataclasses
import os

from flask import Flask, Response, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

import api.register
from core.db import read
from core.log import configure
from core.settings import Settings
from echelonx import wiring
from webhooks import receive, tracking


def create_app(services: wiring.Services) -> Flask:
    """Return the application over these services."""
    app = Flask("echelonx", static_folder=None)
    app.extensions["echelonx"] = services
    receiving = dataclasses.replace(services, bell=services.receipt_bell)
    app.register_blueprint(receive.blueprint(receiving))
    app.register_blueprint(tracking.blueprint(receiving))
    api.register.register(app)

    @app.get("/healthz")
    def health() -> tuple[Response, int]:
        """Say whether this process can serve: 200, or 503 while the database is away."""
        try:
            with read(services.sessions) as session:
                session.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return jsonify(status="database away"), 503
        return jsonify(status="ok"), 200

    return app


def from_environment() -> Flask:
    """Return the application with the settings of this process's environment."""
    settings = Settings.from_environment(os.environ)
    configure(settings)
    return create_app(wiring.build(settings))
