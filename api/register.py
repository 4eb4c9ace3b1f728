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
    hardening,
    headers,
    idempotency,
    imports,
    invitations,
    jobs,
    journeys,
    keys,
    me,
    members,
    oidc,
    oidc_page,
    openapi,
    people,
    privacy,
    problem,
    prompts,
    proof,
    providers,
    rate,
    recipes,
    recovery,
    reports,
    scores,
    segments,
    shelf,
    sign_in,
    sign_in_link,
    sparse,
    stuck,
    suppressions,
    templates,
    tiers,
    two_factor,
    unknown,
    users,
    viewer,
)

RESOURCES = (
    sign_in,
    sign_in_link,
    oidc,
    recovery,
    me,
    two_factor,
    proof,
    invitations,
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
    jobs,
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
    stuck,
)


def register(app: Flask) -> None:
    """Add /api/v1 to `app`, whose extension `echelonx` holds the services."""
    context.install(app)
    auditing.install(app)
    hardening.install(app)
    problem.install(app)
    body.install(app)
    auth.install(app)
    rate.install(app)
    idempotency.install(app)
    etag.install(app)
    made = openapi.make(app)
    made.finishing += [headers.describe, examples.describe, sparse.describe, auditing.describe]
    viewer.install(app)
    oidc_page.install(app)
    for resource in RESOURCES:
        made.register_blueprint(resource.bp)
    auth.check(app)
