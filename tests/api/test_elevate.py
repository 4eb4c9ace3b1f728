"""Mirrors api/elevate.py."""

from accounts.user import Role, UserStatus, create_user
from core.clock import ManualClock
from core.db import write
from echelonx.wiring import Services
from tests.api.caller import Caller, refused
from tests.api.conftest import CallerOf


def test_the_path_shows_nine_nodes_and_what_is_missing(api: Caller) -> None:
    found = api.get("/elevate/path")

    assert [one["state"] for one in found["nodes"]] == ["open", *["locked"] * 8]
    assert (found["practice"], found["live_since"], found["percent"]) == (True, None, 0)
    hook, gift = found["nodes"][:2]
    assert (hook["stage"], hook["group"], hook["recipe"]) == ("Hook", "ATTRACT", "hook")
    assert gift["reason"] == "earn a star in Hook first"
    assert len(hook["criteria"]) == 3
    assert 8 <= len(found["badges"]) <= 12
    assert api.post("/elevate/stars") == {"new": []}


def test_the_funnel_is_measured_kept_and_entered(api: Caller) -> None:
    ana = api.post("/members", {"member_id": "ana", "email": "ana@example.com"})
    order = {"member_id": ana["id"], "order_id": "A", "amount": "30.5", "currency": "EUR"}
    api.post("/orders", order)
    found = {one["name"]: one for one in api.get("/elevate/metrics", days=7)["metrics"]}
    assert (found["convert_TotalSales"]["value"], found["gift_CPL"]["value"]) == ("30.5000", None)
    assert found["gift_CPL"]["source"] == "missing"

    kept = api.post(
        "/elevate/snapshots", {"period": "This week", "days": 7, "entered": {"gift_CPL": "2"}}
    )
    assert kept["numbers"]["gift_CPL"] == {"value": "2", "source": "entered"}
    assert api.get("/elevate/snapshots")["data"] == [kept]
    wrong = {"period": "April", "entered": {"gift": 1}}
    refused(api.ask("POST", "/elevate/snapshots", wrong), 422)

    people = {one["stage"]: one for one in api.get("/elevate/people")["stages"]}
    assert people["Sell"] == {"stage": "Sell", "reached": 0, "done": 1}
    stages = api.get(f"/members/{ana['id']}/stages")["stages"]
    assert [one["stage"] for one in stages if one["standing"] == "done"] == ["Sell"]


def test_the_class_is_the_teachers_alone(
    api: Caller, caller_of: CallerOf, product: Services, clock: ManualClock, client_id: int
) -> None:
    with write(product.sessions) as session:
        teacher = create_user(
            session,
            clock,
            email="t@example.com",
            role=Role.MANAGER,
            client_id=client_id,
            status=UserStatus.ACTIVE,
        )

    (student,) = caller_of(client_id, user_id=teacher.id).get("/elevate/class")["students"]
    assert (student["client_id"], student["current"], student["stuck"]) == (
        client_id,
        "Hook",
        False,
    )
    refused(api.ask("GET", "/elevate/class"), 403)
