"""Mirrors echelonx/factory.py."""

from echelonx.factory import create_app
from echelonx.wiring import Services


def test_the_application_has_api_webhooks_links_and_probes(services: Services) -> None:
    rules = {rule.rule for rule in create_app(services).url_map.iter_rules()}

    assert {"/webhooks/<adapter>/<token>", "/c/<token>", "/u/<token>"} <= rules
    assert {"/health/live", "/health/ready", "/health/deep", "/metrics"} <= rules
    assert any(rule.startswith("/api/v1/") for rule in rules)


def test_a_request_without_a_key_is_401(services: Services) -> None:
    answer = create_app(services).test_client().get("/api/v1/members")

    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
