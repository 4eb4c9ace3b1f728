"""Mirrors echelonx/rotation.py: stored secrets move to a new key, and the old one may go."""

import json

import pytest
from sqlalchemy import LargeBinary, update

from accounts import endpoint, two_factor
from accounts.idempotency import Answer, Asked, reserve, settle
from accounts.key import issue_key
from accounts.user import create_user
from channels.adapter import RawWebhook
from communications.account import ProviderAccount, account_config
from core.db import write
from core.secret import SealedError, Vault
from echelonx.rotation import SEALED, rotate
from echelonx.tables import METADATA
from tests.factories import Factory
from webhooks import collected, inbox
from webhooks.write_key import WriteKey

OLD, NEW = b"o" * 32, b"n" * 32
UNSEALED = {"event_keys.digest"}
"""A hash."""


@pytest.fixture
def make(sessions, clock, client_id) -> Factory:
    made = Factory(sessions, clock, client_id)
    made.vault = Vault(OLD)
    return made


def test_no_sealed_column_is_overlooked() -> None:
    binary = {
        f"{table.name}.{column.name}"
        for table in METADATA.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    named = {kept.name for kept in SEALED}
    assert binary - UNSEALED == named - {"users.two_factor_secret"}


@pytest.fixture
def stored(make, sessions, clock, client_id) -> None:
    """Something of each kind, sealed under the old key."""
    vault = make.vault
    asked = Asked(client_id, "key:1", "k" * 16, b"fingerprint")
    webhook = RawWebhook(url="https://x.example", headers={}, body=b"told", method="POST")
    account_id = make.account("sendgrid", "email", {"api_key": "SG.secret"})
    with write(sessions) as session:
        key, _ = issue_key(session, clock, client_id=client_id, name="browser")
        write_key = WriteKey(key.id, client_id, None, trusted=True, rate=None)
        row = collected.sealed(clock, vault, key=write_key, body=b"{}", kind=None, events=1)
        account = session.get_one(ProviderAccount, account_id)
        endpoint.add_endpoint(
            session, clock, vault, client_id=client_id, url="https://x.example", types=["*"],
            secret="whsec_" + "c2VjcmV0" * 6,
        )  # fmt: skip
        ana = create_user(session, clock, email="ana@example.com")
        two_factor.prepare(session, vault, ana)
        inbox.store(
            session,
            [inbox.sealed(clock, vault, account=account, webhook=webhook) | {"repeats": 0}],
        )
        collected.store(session, [row])
        taken = reserve(session, clock, vault, asked)
        settle(session, vault, taken, Answer(201, b"answer"))


def test_everything_opens_without_the_old_key_afterwards(
    stored, make, sessions, clock, client_id
) -> None:
    both = Vault(NEW, OLD)
    before = rotate(sessions, both, dry_run=True)
    assert {one.name: one.renewed for one in before} == {kept.name: 1 for kept in SEALED}
    assert rotate(sessions, both) == before
    again = rotate(sessions, Vault(NEW))
    assert {(one.current, one.renewed, one.unreadable) for one in again} == {(1, 0, 0)}

    new = Vault(NEW)
    asked = Asked(client_id, "key:1", "k" * 16, b"fingerprint")
    with write(sessions) as session:
        account = session.query(ProviderAccount).one()
        assert account_config(new, account)["api_key"] == "SG.secret"
        assert inbox.opened(new, session.query(inbox.InboxItem).one()).body == b"told"
        assert collected.opened(new, session.query(collected.Collected).one()) == b"{}"
        assert reserve(session, clock, new, asked) == Answer(201, b"answer")
        [told] = session.query(endpoint.Endpoint).all()
        assert len(endpoint.secrets_of(clock, new, told)) == 1
        with pytest.raises(SealedError):
            account_config(Vault(OLD), account)


def test_who_writes_meanwhile_wins(stored, sessions, monkeypatch) -> None:
    """Between the read and the write of a slice somebody enters new credentials."""
    both = Vault(NEW, OLD)
    theirs = both.encrypt(json.dumps({"api_key": "SG.other"}).encode(), context="elsewhere")
    encrypt = Vault.encrypt

    def meanwhile(vault: Vault, plain: bytes, *, context: str) -> bytes:
        if context.startswith("provider:"):
            with write(sessions) as session:
                session.execute(update(ProviderAccount).values(config=theirs))
        return encrypt(vault, plain, context=context)

    monkeypatch.setattr(Vault, "encrypt", meanwhile)
    [told] = [one for one in rotate(sessions, both) if one.name == "providers.config"]
    assert told.renewed == 0
    with sessions() as session:
        assert session.query(ProviderAccount).one().config == theirs


def test_what_no_key_opens_is_told_and_left(stored, sessions) -> None:
    told = rotate(sessions, Vault(NEW))
    assert {one.unreadable for one in told} == {1}
    assert {one.unreadable for one in rotate(sessions, Vault(OLD))} == {0}
