"""Mirrors members/traces.py and members/consent_guard.py: nothing of an erased person is left."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from channels.adapter import RawWebhook
from communications.account import ProviderAccount
from communications.attempt import Attempt, AttemptOutcome
from communications.communication import Communication, Direction
from communications.event import CommunicationEvent
from core.db import write
from core.secret import SealedError
from echelonx.tables import METADATA
from members import consent, traces
from members.consent import Consent, ConsentState
from members.edit import delete_member, set_tags
from members.erasure import erase
from members.event import Event
from members.import_job import ImportJob, ImportReject
from members.note import write_note
from members.suppression import Scope, SuppressionReason, suppress
from tests.factories import Factory
from webhooks import inbox
from webhooks.inbox import InboxItem, InboxState

PLANTED = (
    "Quillfeather", "ana.q@example.com", "+12015550123", "pet-of-ana", "likes-oolong", "dear-ana-q",
    "body-for-ana", "mailbox of ana.q", "550-rejected-ana", "agreed-on-stage-ana",
    "bought-socks-ana", "said-ana-by-sms",
)  # fmt: skip
NAME, EMAIL, PHONE, PET, NOTE, MERGE, BODY, BOUNCE, REFUSED, WORDING, BOUGHT, SAID = PLANTED


@pytest.fixture
def make(sessions, clock, client_id) -> Factory:
    return Factory(sessions, clock, client_id)


def everything(sessions, vault) -> str:
    """Every value of every row, and what is sealed in the inbox, as text."""
    with sessions() as session:
        rows = [
            str(dict(row))
            for one in METADATA.sorted_tables
            for row in session.execute(select(one)).mappings()
        ]
        for item in session.scalars(select(InboxItem)):
            if item.request:
                rows.append(inbox.opened(vault, item).body.decode())
    return "\n".join(rows)


@pytest.fixture
def ana(make, sessions, clock, client_id) -> int:
    """A person who is everywhere."""
    member_id = make.member(
        first_name="Ana", last_name=NAME, full_name=f"Ana {NAME}", email=EMAIL, phone=PHONE,
        attributes={"pet": PET},
    )  # fmt: skip
    make.address(member_id, "email", EMAIL)
    make.address(member_id, "sms", PHONE)
    sent = make.message(
        member_id, to_address=EMAIL, merge={"greeting": MERGE}, content=BODY, error_message=BOUNCE
    )
    make.message(member_id, "sms", direction=Direction.INBOUND, from_address=PHONE, content=SAID)
    stray = make.message(
        make.member(), "sms", direction=Direction.INBOUND, from_address=PHONE, content=SAID
    )
    account = make.account("sendgrid", "email", {})
    told = [keep(make, account, f"{EMAIL} bounced {number}") for number in range(3)]
    now = clock.now()
    with write(sessions) as session:
        session.get_one(Communication, stray).member_id = None
        write_note(session, clock, client_id=client_id, member_id=member_id, author="a", text=NOTE)
        set_tags(session, clock, client_id=client_id, id=member_id, add=["vip"])
        consent.record(
            session, clock, client_id=client_id, member_id=member_id, channel="email",
            state=ConsentState.GRANTED, source="form", wording=WORDING, proof={"form": WORDING},
        )  # fmt: skip
        suppress(
            session, clock, client_id=client_id, channel="email",
            address_hash=make.hash("email", EMAIL), masked="a***", scope=Scope.ALL,
            reason=SuppressionReason.UNSUBSCRIBED,
        )  # fmt: skip
        job = ImportJob(client_id=client_id, filename="x.csv", created_at=now)
        session.add(job)
        session.flush()
        session.add_all([
            Event(
                id=1, client_id=client_id, member_id=member_id, name="purchase", message_id="m",
                properties={"item": BOUGHT}, amount=1, occurred_at=now, received_at=now,
            ),
            CommunicationEvent(
                client_id=client_id, communication_id=sent, inbox_id=told[0], source="sendgrid",
                dedup_key="k", type="bounced", detail=REFUSED, occurred_at=now, received_at=now,
            ),
            Attempt(
                client_id=client_id, communication_id=sent, token=1, detail=REFUSED,
                outcome=AttemptOutcome.REJECTED, finished_at=now,
            ),
            ImportReject(
                client_id=client_id, import_id=job.id, line=2, column="phone", code="phone",
                message="no", value="(201) 555-0123",
                original=["x", f"Ana {NAME}", "(201) 555-0123"],
            ),
            ImportReject(
                client_id=client_id, import_id=job.id, line=3, column="phone", code="phone",
                message="no", value="7", original=["Bohdan", "7"],
            ),
        ])  # fmt: skip
    return member_id


def keep(make: Factory, account_id: int, body: str, state: InboxState = InboxState.APPLIED) -> int:
    """A stored request that was applied; returns its id."""
    with write(make.sessions) as session:
        account = session.get_one(ProviderAccount, account_id)
        webhook = RawWebhook(
            url="https://x.example/w", headers={}, body=body.encode(), method="POST"
        )
        row = inbox.sealed(make.clock, make.vault, account=account, webhook=webhook)
        inbox.store(session, [row | {"repeats": 0}])
        item = session.scalars(select(InboxItem).where(InboxItem.digest == row["digest"])).one()
        item.state = state
        return item.id


def forgotten(make: Factory, member_id: int) -> dict:
    with write(make.sessions) as session:
        delete_member(session, make.clock, client_id=make.client_id, id=member_id)
    with write(make.sessions) as session:
        return erase(
            session, make.clock, make.hasher, client_id=make.client_id, id=member_id
        ).erased


def test_nothing_planted_anywhere_outlives_an_erasure(make, ana, sessions, clock) -> None:
    before = everything(sessions, make.vault)
    assert [one for one in PLANTED if one not in before and one != BOUNCE] == []

    erased = forgotten(make, ana)
    # What the events of a message named is empty at once, the rest of that time within a day.
    assert (erased["inbox"], erased["import_rejects"]) == (1, 1)
    with write(sessions) as session:
        assert traces.sweep(session, now=clock.now()) == 2
    after = everything(sessions, make.vault)
    assert [one for one in PLANTED if one in after] == []
    assert "(201) 555-0123" not in after
    assert "Bohdan" in after
    assert make.hash("email", EMAIL) in after  # suppressed, whoever imports it again


def test_what_comes_later_about_an_erased_person_is_emptied_too(make, ana, sessions, clock) -> None:
    forgotten(make, ana)
    with write(sessions) as session:
        traces.sweep(session, now=clock.now())
    clock.advance(hours=1)
    account = make.account("sendgrid", "email", {})
    late = keep(make, account, f"{EMAIL} opened")
    other = keep(make, account, "bohdan@example.com opened")
    waiting = keep(make, account, "nobody knows yet", InboxState.NEW)
    now = clock.now()
    with write(sessions) as session:
        message = session.scalars(
            select(Communication.id).where(Communication.member_id == ana)
        ).first()
        session.add(
            CommunicationEvent(
                client_id=make.client_id, communication_id=message, inbox_id=late,
                source="sendgrid", dedup_key="late", type="bounced", detail=REFUSED,
                occurred_at=now, received_at=now,
            )
        )  # fmt: skip
    with write(sessions) as session:
        assert traces.sweep(session, now=clock.now()) == 1
        items = {one.id: one for one in session.scalars(select(InboxItem))}
        assert [bool(items[one].request) for one in (late, other, waiting)] == [False, True, True]
        assert set(session.scalars(select(CommunicationEvent.detail))) == {None}
        with pytest.raises(SealedError, match="emptied"):
            inbox.opened(make.vault, items[late])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consents SET state = 'withdrawn'",
        "UPDATE consents SET wording = 'another'",
        "UPDATE consents SET occurred_at = created_at, source = 'api'",
        "DELETE FROM consents",
    ],
)
def test_nobody_changes_the_ledger_of_consent(make, ana, sessions, statement) -> None:
    with pytest.raises(DBAPIError, match="append-only"), write(sessions) as session:
        session.execute(text(statement))
    with sessions() as session:
        assert session.scalars(select(Consent.wording)).all() == [WORDING]
