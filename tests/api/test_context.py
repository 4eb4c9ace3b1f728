"""Mirrors api/context.py."""

from flask import Flask

from echelonx.wiring import Services
from scheduling.bell import LocalBell
from tests.api.caller import Caller, refused


def test_a_refused_request_leaves_nothing_behind(api: Caller) -> None:
    template = api.post("/templates", {"name": "T", "channel": "sms", "text": "Hello"})
    variants = [{"channel": "sms", "template_id": template["id"]}]

    # The campaign is written before its variants are found not to fit it.
    body = {"name": "C", "type": "email", "target_audience": {"rule": "everyone"}}
    refused(api.ask("POST", "/campaigns", {**body, "variants": variants}), 422)

    assert api.get("/campaigns")["data"] == []


def test_a_refused_request_rings_nobody(api: Caller, product: Services) -> None:
    assert isinstance(product.bell, LocalBell)
    rung = product.bell.subscribe()
    body = {"name": "C", "type": "email", "target_audience": {"rule": "everyone"}}
    made = api.post("/campaigns", body)

    refused(api.ask("POST", f"/campaigns/{made['id']}/launch"), 409)

    assert not rung.is_set()


def test_reading_does_not_wait_for_whoever_writes(
    api: Caller, product: Services, app: Flask
) -> None:
    api.get("/members")  # the key's use is noted now, and not again within the minute
    with product.sessions() as writer:
        writer.connection().exec_driver_sql("UPDATE members SET version = version")

        assert api.get("/members")["data"] == []
