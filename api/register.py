"""Registers the API with an application: errors, authentication, then every resource."""

from flask import Flask

from api import (
    activity,
    audit,
    auditing,
    auth,
    belonging,
    body,
    bulk_edits,
    campaigns,
    clients,
    communications,
    context,
    duplicates,
    elevate,
    endpoints,
    enrolments,
    etag,
    examples,
    exports,
    headers,
    idempotency,
    imports,
    journeys,
    keys,
    members,
    openapi,
    people,
    privacy,
    problem,
    prompts,
    providers,
    rate,
    recipes,
    reports,
    scores,
    segments,
    shelf,
    suppressions,
    templates,
    tiers,
    unknown,
    users,
    viewer,
)

RESOURCES = (
    clients,
    users,
    keys,
    members,
    people,
    activity,
    scores,
    tiers,
    duplicates,
    bulk_edits,
    imports,
    exports,
    segments,
    belonging,
    suppressions,
    templates,
    providers,
    campaigns,
    shelf,
    journeys,
    enrolments,
    recipes,
    prompts,
    elevate,
    communications,
    reports,
    unknown,
    audit,
    endpoints,
    privacy,
)


def register(app: Flask) -> None:
    """Add /api/v1 to `app`, whose extension `echelonx` holds the services."""
    context.install(app)
    auditing.install(app)
    problem.install(app)
    body.install(app)
    auth.install(app)
    rate.install(app)
    idempotency.install(app)
    etag.install(app)
    made = openapi.make(app)
    made.finishing += [headers.describe, examples.describe]
    viewer.install(app)
    for resource in RESOURCES:
        made.register_blueprint(resource.bp)
    auth.check(app)
