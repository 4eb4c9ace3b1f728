"""Two clients and four roles send whatever the OpenAPI document allows, and much that it does not.

No answer is an error of ours or one the document does not promise, nothing of the first client is
in an answer to the second, and nothing the second sends changes anything at the first. `make test`
sends some requests, `make chaos` 20,000.
"""

from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.client import create_client
from accounts.user import Role
from core.clock import ManualClock
from core.db import Sessions, write
from echelonx.wiring import Services
from tests.api.caller import Caller
from tests.api.conftest import CallerOf
from tests.api.owned import NAME
from tests.api.test_auth import person
from tests.api.test_conformance import CHECKS
from tests.api.test_register import snapshot
from tests.faults.conftest import LONG, note

REQUESTS = 20_000 if LONG else 500
"""At least so many, over all operations, and good and bad ones alike."""
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture
def callers(
    caller_of: CallerOf, product: Services, sessions: Sessions, clock: ManualClock, client_id: int
) -> dict[tuple[int, Role], Caller]:
    """Somebody of each role at two clients."""
    with write(product.sessions) as session:
        other = create_client(session, clock, name="Somebody else", country="US").id
    return {
        (client, role): caller_of(client, user_id=person(sessions, clock, client, role))
        for client in (client_id, other)
        for role in Role
    }


def test_nothing_gets_past_the_walls(
    app: Flask,
    api: Caller,
    owned: dict[str, Any],
    callers: dict[tuple[int, Role], Caller],
    client_id: int,
) -> None:
    app.testing = False
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    strangers = {who: caller for who, caller in callers.items() if is_stranger(who, client_id)}
    sent, good = 0, 0
    before = snapshot(api)
    for whom in (strangers, callers):  # strangers first: what they change would be seen
        for operation in operations:
            for mode in schemathesis.GenerationMode:

                @settings(
                    max_examples=max(1, REQUESTS // (3 * len(operations))),
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                @given(
                    case=operation.as_strategy(generation_mode=mode),
                    who=st.sampled_from(sorted(whom)),
                )
                def ask(case: schemathesis.Case, who: tuple[int, Role]) -> None:
                    nonlocal sent, good
                    answer = case.call_and_validate(headers=callers[who].headers, checks=CHECKS)
                    sent, good = sent + 1, good + (answer.status_code < 300)
                    assert not is_stranger(who, client_id) or NAME.encode() not in answer.content, (
                        f"{who[1]} of another client sees {NAME}: {case.method} {case.path}"
                    )

                ask()
        if whom is strangers:
            assert snapshot(api) == before
    assert good
    assert sent >= REQUESTS or not LONG, f"{sent} are too few"
    note("walls", requests=sent, good=good, wrong=[])


def is_stranger(who: tuple[int, Role], client_id: int) -> bool:
    """Say whether somebody has no business at a client; a super admin has it at every one."""
    return who[0] != client_id and who[1] is not Role.SUPER_ADMIN
