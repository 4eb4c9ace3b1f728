"""The model of the sending protocol: variant E holds, and every shortcut is found out."""

import pytest

from communications.status import OPERATOR_STEPS, PERHAPS_SENT, STEPS, Status, Step
from tests.faults.model import Rules, explore

BROKEN = {
    # Check the status, send, update; try again on any error.
    "A": (Rules(claim=False, retry_ambiguous=True, remember_open=False), "S1"),
    # Claim with a lease; its end, or a timeout, queues the message again.
    "B": (
        Rules(intent=False, requeue_lost=True, retry_ambiguous=True, remember_open=False), "S1",
    ),
    "C: a timeout is tried again": (Rules(retry_ambiguous=True), "S1"),
    "D: what a dead worker was sending is queued again": (Rules(requeue_lost=True), "S1"),
    "E0: the last attempt decides": (Rules(remember_open=False), "S3"),
    "G: absent is believed at once": (Rules(requeue_absent=True, quarantine=False), "S1"),
    "H: a worker writes however late": (Rules(requeue_absent=True, deadline=False), "S1"),
    "J: the provider's search is behind": (Rules(requeue_absent=True, stale_search=True), "S1"),
}  # fmt: skip
SOUND = {
    "E": Rules(),
    "F: absent is believed after a quarantine": Rules(requeue_absent=True),
    "I: a provider with idempotency keys": Rules(
        requeue_lost=True, retry_ambiguous=True, keyed=True
    ),
}


@pytest.mark.parametrize("variant", SOUND)
def test_what_we_do_keeps_every_promise(variant: str) -> None:
    found = explore(SOUND[variant])

    assert found.broken == {}
    assert found.stuck == 0
    assert found.states > 5_000, "the model has lost most of its states"


@pytest.mark.parametrize("variant", BROKEN)
def test_every_shortcut_breaks_its_promise(variant: str) -> None:
    rules, promise = BROKEN[variant]

    found = explore(rules)

    assert promise in found.broken, f"{found.states} states, and nothing was found"
    assert len(found.broken[promise]) <= 14, "a shorter story exists"


def test_the_product_is_variant_e() -> None:
    """The status table says what the model's E says; nothing but an operator leads back."""
    unasked = {step for step in Step if step not in OPERATOR_STEPS}
    back = {step for step in unasked if STEPS[step][1] is Status.QUEUED}

    assert back == {Step.RETRY}, "only what was certainly not sent is queued again"
    assert STEPS[Step.LOSE][1] is Status.UNKNOWN
    assert {Step.LOSE, Step.ACCEPT} <= PERHAPS_SENT
    for step in unasked - {Step.ACCEPT}:
        assert Status.UNKNOWN not in STEPS[step][0], f"{step} leaves unknown without evidence"
