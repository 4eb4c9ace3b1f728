"""Mirrors api/scores.py."""

from communications.scoring import advance, learn
from core.clock import ManualClock
from core.db import read, write
from echelonx.wiring import Services
from tests.api.caller import Caller


def compute(product: Services, client_id: int) -> None:
    with read(product.sessions) as session:
        learnt = learn(session, product.clock, client_id=client_id)
    with write(product.sessions) as session:
        advance(session, product.clock, product.hasher, client_id=client_id, learnt=learnt)


def test_a_members_numbers_come_with_their_reasons(
    api: Caller, product: Services, client_id: int
) -> None:
    ana = api.post("/members", {"member_id": "ana"})
    order = {"member_id": ana["id"], "order_id": "A", "amount": "30.5", "currency": "EUR"}
    api.post("/orders", order)
    assert api.get(f"/members/{ana['id']}/scores")["data"] == []
    compute(product, client_id)

    churn, engagement, value = api.get(f"/members/{ana['id']}/scores")["data"]
    assert (churn["kind"], churn["value"]) == ("churn_risk", None)
    assert "not enough data" in churn["reasons"]["missing"]
    assert (engagement["kind"], engagement["value"]) == ("engagement", 28.3)
    assert engagement["reasons"]["top"][0]["reason"] == "purchase"
    assert (value["value"], value["reasons"]["currency"]) == (30.5, "EUR")
    models = api.get("/scores/models")["data"]
    assert {one["kind"]: one["method"] for one in models} == {
        "churn_risk": "not enough data",
        "lifetime_value": "not enough data",
    }


def test_advice_comes_with_its_evidence(api: Caller, clock: ManualClock) -> None:
    ana = api.post("/members", {"email": "ana@example.com"})
    api.post(f"/members/{ana['id']}/consents", {"channel": "email", "state": "granted"})
    (advice,) = api.get(f"/members/{ana['id']}/recommendations")["data"]

    assert (advice["kind"], advice["value"]) == ("channel", "email")
    assert advice["numbers"]["sent"] == 0
    assert advice["messages"] == []
