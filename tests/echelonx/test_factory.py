"""Mirrors echelonx/factory.py."""

from echelonx.factory import create_app
from echelonx.wiring import Services


def test_health_is_200_while_the_database_answers(services: Services) -> None:
    answer = create_app(services).test_client().get("/healthz")

    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_the_application_has_api_webhooks_and_links(services: Services) -> None:
    rules = {rule.rule for rule in create_app(services).url_map.iter_rules()}

    assert {"/webhooks/<adapter>/<token>", "/c/<token>", "/u/<token>", "/healthz"} <= rules
    assert any(rule.startswith("/api/v1/") for rule in rules)


def test_a_request_without_a_key_is_401(services: Services) -> None:
    answer = create_app(services).test_client().get("/api/v1/members")

    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
