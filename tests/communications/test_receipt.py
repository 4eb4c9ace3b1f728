"""Mirrors communications/receipt.py."""

from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from channels.adapter import EventType, ProviderEvent
from channels.outcome import Accepted, Ambiguous
from communications.account import ProviderAccount
from communications.attempt import Attempt, AttemptOutcome
from communications.communication import Communication, Reason
from communications.event import CommunicationEvent, EventState
from communications.receipt import apply_events, learn_fact, retry_parked
from communications.reference import References
from communications.settle import Settled, settle
from communications.status import Status
from core.db import write
from core.token import Signer

REFERENCES = References(Signer(b"k" * 32))
TYPES = [
    EventType.ACCEPTED,
    EventType.SENT,
    EventType.DEFERRED,
    EventType.DELIVERED,
    EventType.BOUNCED_SOFT,
    EventType.OPENED,
    EventType.CLICKED,
]


def event(row, kind: EventType = EventType.DELIVERED, **values) -> ProviderEvent:
    """What a provider tells of an attempt."""
    return ProviderEvent(
        **{
            "type": kind,
            "dedup_key": f"{row.id}:{kind}",
            "occurred_at": None,
            "reference": REFERENCES.make(row.id, row.token),
            "provider_id": None,
            "provider_status": kind.value,
        }
        | values
    )


@pytest.fixture
def apply(sessions, clock, account_id):
    """Apply events as one webhook of the account."""

    def run(*events: ProviderEvent, account: int = account_id):
        with write(sessions) as session:
            return apply_events(
                session,
                clock,
                REFERENCES,
                account=session.get_one(ProviderAccount, account),
                inbox_id=None,
                events=events,
            )

    return run


@pytest.fixture
def accepted(sessions, clock, account_id, sending):
    """Rows a provider took, with its id."""

    def make(count: int = 1, provider_id: str | None = None):
        rows = sending(count)
        with write(sessions) as session:
            results = [Settled(row, Accepted(provider_id)) for row in rows]
            settle(session, clock, account_id=account_id, results=results)
        return rows

    return make


def events_stored(sessions) -> int:
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(CommunicationEvent)) or 0


def test_a_receipt_moves_its_message_and_says_whom_it_concerns(accepted, apply, row) -> None:
    (sent,) = accepted()

    applied = apply(event(sent))

    assert row(sent.id).status is Status.DELIVERED
    assert [change.communication_id for change in applied.changes] == [sent.id]
    assert (applied.events, applied.duplicates, applied.parked) == (1, 0, 0)


def test_a_repeated_event_has_one_effect(accepted, apply, sessions, row) -> None:
    (sent,) = accepted()
    told = [event(sent)] * 3

    first, second = apply(*told), apply(*told)

    assert (first.duplicates, second.duplicates) == (2, 3)
    assert second.changes == []
    assert events_stored(sessions) == 1


@pytest.mark.parametrize("order", list(permutations(range(4)))[::3])
def test_any_order_gives_the_same_row(order, accepted, apply, row, clock) -> None:
    (sent,) = accepted()
    told = [
        event(sent, kind, occurred_at=clock.now() + timedelta(seconds=number))
        for number, kind in enumerate(
            (EventType.SENT, EventType.DELIVERED, EventType.OPENED, EventType.CLICKED)
        )
    ]

    for number in order:
        apply(told[number])

    found = row(sent.id)
    assert found.status is Status.CLICKED
    assert found.delivered_at == clock.now() + timedelta(seconds=1)
    assert found.read_at == clock.now() + timedelta(seconds=2)
    assert found.clicked_at == clock.now() + timedelta(seconds=3)


@settings(
    max_examples=30,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_batching_and_shuffling_change_nothing(data, accepted, apply, row, clock) -> None:
    one, other = accepted(2)
    facts = st.tuples(st.sampled_from(TYPES), st.booleans())
    kinds = data.draw(st.lists(facts, min_size=1, max_size=6, unique=True))
    shuffled = data.draw(st.permutations(kinds * 2))
    cut = data.draw(st.integers(0, len(shuffled)))

    def told(row, facts) -> list[ProviderEvent]:
        return [
            event(row, kind, machine=machine, dedup_key=f"{row.id}:{kind}:{machine}")
            for kind, machine in facts
        ]

    apply(*told(one, kinds))
    apply(*told(other, shuffled[:cut]))
    apply(*told(other, shuffled[cut:]))

    taught = ("status", "rank", "machine_read", "machine_clicked")
    first, second = ([getattr(row(each.id), name) for name in taught] for each in (one, other))
    assert first == second
    assert first[2:] == [(kind, True) in kinds for kind in TYPES[-2:]]


def test_the_earliest_time_of_a_stage_is_kept(accepted, apply, row, clock) -> None:
    (sent,) = accepted()
    late, early = clock.now(), clock.now() - timedelta(minutes=5)

    apply(event(sent, dedup_key="late", occurred_at=late))
    apply(event(sent, dedup_key="early", occurred_at=early))

    assert row(sent.id).delivered_at == early


@pytest.mark.parametrize("days", [-400, 4000])
def test_a_time_that_cannot_be_is_replaced_by_ours(days, accepted, apply, row, clock) -> None:
    (sent,) = accepted()

    apply(event(sent, occurred_at=clock.now() + timedelta(days=days)))

    assert row(sent.id).delivered_at == clock.now()


def test_a_receipt_resolves_unknown(sending, apply, row, sessions, clock, account_id) -> None:
    (sent,) = sending()
    with write(sessions) as session:
        results = [Settled(sent, Ambiguous("cut"))]
        settle(session, clock, account_id=account_id, results=results)
    assert row(sent.id).reason is Reason.NO_ANSWER

    apply(event(sent))

    assert (row(sent.id).status, row(sent.id).reason) == (Status.DELIVERED, None)
    with sessions() as session:
        assert session.scalars(select(Attempt.outcome)).one() is AttemptOutcome.RESOLVED_SENT


def test_a_receipt_that_overtakes_our_own_commit_is_believed(sending, apply, row) -> None:
    (sent,) = sending()

    apply(event(sent))

    found = row(sent.id)
    assert (found.status, found.lease_until) == (Status.DELIVERED, None)


def test_machine_opens_and_clicks_are_stored_and_advance_nothing(
    accepted, apply, row, sessions
) -> None:
    (sent,) = accepted()

    apply(event(sent, EventType.OPENED, machine=True), event(sent, EventType.CLICKED, machine=True))

    found = row(sent.id)
    assert (found.status, found.clicked_at) == (Status.SENT, None)
    assert (found.machine_read, found.machine_clicked) == (True, True)
    assert events_stored(sessions) == 2


@pytest.mark.parametrize("kind", [EventType.OPENED, EventType.CLICKED])
def test_a_machine_is_noted_of_its_message_alone_and_a_person_is_none(
    kind, accepted, apply, row
) -> None:
    sent, other = accepted(2)

    def noted(row) -> list[bool]:
        return [row.machine_read, row.machine_clicked]

    apply(event(sent, kind, machine=True), event(other, kind, machine=False))
    apply(event(sent, kind, machine=True, dedup_key="again"))
    apply(event(sent, kind, dedup_key="a person"))

    assert noted(row(sent.id)) == [kind is EventType.OPENED, kind is EventType.CLICKED]
    assert noted(row(other.id)) == [False, False]


def test_complaints_and_unsubscribes_change_no_status(accepted, apply, row) -> None:
    (sent,) = accepted()

    applied = apply(event(sent, EventType.COMPLAINED), event(sent, EventType.UNSUBSCRIBED))

    assert row(sent.id).status is Status.SENT
    assert len(applied.changes) == 2


@pytest.mark.parametrize("reference", [None, "", "forged", "A" * 24])
def test_an_event_that_names_nothing_of_ours_is_parked_and_given_up_after_a_day(
    reference, accepted, apply, sessions, clock, row
) -> None:
    (sent,) = accepted()

    applied = apply(event(sent, reference=reference, provider_id="elsewhere"))

    assert (applied.parked, applied.changes) == (1, [])
    assert row(sent.id).status is Status.SENT
    clock.advance(hours=25)
    with write(sessions) as session:
        assert retry_parked(session, clock) == []
    with sessions() as session:
        assert session.scalars(select(CommunicationEvent.state)).one() is EventState.UNMATCHED


def test_a_parked_event_finds_its_message_by_the_providers_id_later(
    sending, apply, sessions, clock, account_id, row
) -> None:
    (sent,) = sending()
    assert apply(event(sent, reference=None, provider_id="SM1")).parked == 1
    with write(sessions) as session:
        results = [Settled(sent, Accepted("SM1"))]
        settle(session, clock, account_id=account_id, results=results)

    with write(sessions) as session:
        assert [c.communication_id for c in retry_parked(session, clock)] == [sent.id]
        assert retry_parked(session, clock) == []

    assert row(sent.id).status is Status.DELIVERED


def test_a_providers_id_that_names_several_messages_names_none(accepted, apply, row) -> None:
    rows = accepted(2, provider_id="request-1")

    assert apply(event(rows[0], reference=None, provider_id="request-1")).parked == 1


def test_another_clients_message_is_not_touched(
    accepted, apply, sessions, clock, row, account_id
) -> None:
    (sent,) = accepted()
    with write(sessions) as session:
        from accounts.client import Client  # noqa: PLC0415  (used once)

        other = Client(name="Other", created_at=clock.now(), updated_at=clock.now())
        session.add(other)
        session.flush()
        stranger = ProviderAccount(
            client_id=other.id,
            name="x",
            adapter="smtp",
            channel="email",
            config=b"",
            token="other-token",
            created_at=clock.now(),
            updated_at=clock.now(),
        )
        session.add(stranger)
        session.flush()
        stranger_id = stranger.id

    applied = apply(event(sent, EventType.BOUNCED_HARD), account=stranger_id)

    assert (applied.parked, applied.changes) == (1, [])
    assert row(sent.id).status is Status.SENT


def test_our_own_tracking_is_learnt_once(accepted, sessions, clock, client_id, row) -> None:
    (sent,) = accepted()

    def learn():
        with write(sessions) as session:
            return learn_fact(
                session,
                clock,
                client_id=client_id,
                communication_id=sent.id,
                event=event(sent, EventType.CLICKED, dedup_key=f"click:{sent.id}:0"),
                source="tracking",
            )

    assert learn() is not None
    assert learn() is None
    assert row(sent.id).status is Status.CLICKED


def test_hostile_text_is_cut_and_cleaned(accepted, apply, sessions, row) -> None:
    (sent,) = accepted()

    apply(
        event(
            sent,
            EventType.BOUNCED_HARD,
            dedup_key="k" * 5000,
            code="9" * 100,
            text="\x00\ud800" + "x" * 5000,
            provider_status="s" * 100,
        )
    )

    found: Communication = row(sent.id)
    assert found.status is Status.BOUNCED
    assert found.error_message is not None
    assert len(found.error_message) == 300
