"""Registers the API with an application: errors, authentication, then every resource."""

from flask import Flask

from api import (
    auth,
    body,
    campaigns,
    clients,
    communications,
    context,
    imports,
    keys,
    members,
    openapi,
    problem,
    providers,
    segments,
    suppressions,
    templates,
)

RESOURCES = (
    clients,
    keys,
    members,
    imports,
    segments,
    suppressions,
    templates,
    providers,
    campaigns,
    communications,
)


def register(app: Flask) -> None:
    """Add /api/v1 to `app`, whose extension `echelonx` holds the services."""
    context.install(app)
    problem.install(app)
    body.install(app)
    auth.install(app)
    made = openapi.make(app)
    for resource in RESOURCES:
        made.register_blueprint(resource.bp)
