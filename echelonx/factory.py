"""Factory: the web application, the same behind waitress, granian and a test's client.

For scale-out any WSGI server serves `from_environment`:

    granian --interface wsgi --factory echelonx.factory:from_environment
"""

import dataclasses
import os

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

import api.register
from api import account
from core.log import configure
from core.settings import Settings
from echelonx import probes, wiring
from webhooks import collector, receive, tracking


def create_app(services: wiring.Services) -> Flask:
    """Return the application over these services."""
    app = Flask("echelonx", static_folder=None)
    app.extensions["echelonx"] = services
    hops = services.settings.trusted_proxies
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=0)  # type: ignore[method-assign]
    receiving = dataclasses.replace(services, bell=services.receipt_bell)
    app.register_blueprint(receive.blueprint(receiving))
    app.register_blueprint(tracking.blueprint(receiving))
    app.register_blueprint(collector.blueprint(receiving))
    api.register.register(app)
    app.register_blueprint(account.bp)
    app.register_blueprint(probes.blueprint(services))
    return app


def from_environment() -> Flask:
    """Return the application with the settings of this process's environment."""
    settings = Settings.from_environment(os.environ)
    configure(settings)
    return create_app(wiring.build(settings))
