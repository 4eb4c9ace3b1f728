"""Mirrors webhooks/receiver.py."""

import pytest

from channels.channel import Channel
from channels.registry import UnknownProviderError
from channels.settings import ConfigError
from communications.account import AccountStatus, ProviderAccount, seal
from core.db import write
from webhooks.receiver import Directory, Receivers


@pytest.fixture
def receivers(desk) -> Receivers:
    return Receivers(desk.vault, desk.egress)


@pytest.fixture
def account(sessions, sendgrid):
    def read() -> ProviderAccount:
        with sessions() as session:
            return session.get_one(ProviderAccount, sendgrid.account_id)

    return read


def test_a_receiver_is_built_once(receivers, account):
    assert receivers.of(account()) is receivers.of(account())


def test_changed_settings_make_a_new_one(receivers, account, sessions, clock, desk):
    before = receivers.of(account())
    clock.advance(seconds=1)
    config = {"api_key": "SG.new", "from_email": "a@example.com"}
    with write(sessions) as session:
        row = session.get_one(ProviderAccount, account().id)
        row.config = seal(desk.vault, row.token, config)
        row.updated_at = clock.now()
    assert receivers.of(account()) is not before


def test_an_adapter_that_only_sends_receives_nothing(receivers, make, sessions):
    smtp = make.account("smtp", Channel.EMAIL, {"host": "localhost", "port": 25})
    with sessions() as session, pytest.raises(UnknownProviderError):
        receivers.of(session.get_one(ProviderAccount, smtp))


def test_settings_that_cannot_be_used_are_named(receivers, make, sessions):
    broken = make.account("sendgrid", Channel.EMAIL, {"from_email": "a@example.com"})
    with sessions() as session, pytest.raises(ConfigError) as caught:
        receivers.of(session.get_one(ProviderAccount, broken))
    assert caught.value.field == "api_key"


def test_an_account_is_remembered_for_a_moment_only(make, sendgrid, sessions):
    remembering, forgetful = Directory(sessions, remember=60), Directory(sessions, remember=0)
    for directory in (remembering, forgetful):
        assert directory.account(sendgrid.token).status is AccountStatus.ACTIVE
    with write(sessions) as session:
        session.get_one(ProviderAccount, sendgrid.account_id).status = AccountStatus.PAUSED

    assert remembering.account(sendgrid.token).status is AccountStatus.ACTIVE
    assert forgetful.account(sendgrid.token).status is AccountStatus.PAUSED
    assert remembering.account("x" * 43) is None
