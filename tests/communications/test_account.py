"""Mirrors communications/account.py."""

import pytest

from accounts.client import create_client
from channels.channel import Channel
from channels.registry import UnknownProviderError
from communications import account as accounts
from communications.account import AccountStatus, add_account
from communications.errors import (
    AccountConfigError,
    AccountNameTakenError,
    AccountNotFoundError,
)
from core.db import write
from core.errors import InvalidError
from core.secret import SealedError, Vault

VAULT = Vault(b"v" * 32)
SMTP = {"host": "mail.example", "port": 25, "tls": "none", "from_email": "a@shop.example"}


@pytest.fixture
def add(sessions, clock, client_id):
    def run(**values) -> accounts.ProviderAccount:
        wanted = {"client_id": client_id, "name": "mail", "adapter": "smtp", "config": SMTP}
        with write(sessions) as session:
            return add_account(session, clock, VAULT, **(wanted | values))

    return run


def test_an_account_keeps_its_settings_encrypted_and_bound_to_itself(add) -> None:
    one, other = add(), add(name="second")

    assert accounts.account_config(VAULT, one) == SMTP
    assert b"mail.example" not in one.config
    other.config = one.config
    with pytest.raises(SealedError):
        accounts.account_config(VAULT, other)


def test_settings_the_adapter_refuses_are_refused_with_their_field(add) -> None:
    with pytest.raises(InvalidError) as refused:
        add(config={"host": "mail.example"})

    assert refused.value.field is not None


def test_an_unknown_adapter_is_refused_with_the_known_ones(add) -> None:
    with pytest.raises(UnknownProviderError) as refused:
        add(adapter="carrier-pigeon")

    assert "twilio" in (refused.value.remedy or "")


def test_a_name_is_used_once_per_client(add) -> None:
    add()
    with pytest.raises(AccountNameTakenError):
        add()


@pytest.mark.parametrize("window", [0, 1001])
def test_a_window_has_bounds(window, add) -> None:
    with pytest.raises(AccountConfigError):
        add(window=window)


def test_an_account_is_found_by_its_token_and_only_by_its_own_client(
    add, sessions, client_id
) -> None:
    added = add()

    with sessions() as session:
        found = accounts.account_by_token(session, added.token)
        assert found is not None
        assert found.id == added.id
        assert accounts.account_by_token(session, added.token + "x") is None
        with pytest.raises(AccountNotFoundError):
            accounts.account(session, client_id + 1, added.id)


def test_a_paused_account_is_not_active_until_it_is_resumed(
    add, sessions, clock, client_id
) -> None:
    added = add()

    def active() -> bool:
        with sessions() as session:
            ids = accounts.active_account_ids(session)
            found = accounts.active_account(session, client_id, Channel.EMAIL)
            assert (added.id in ids) is (found is not None)
            return found is not None

    assert active()
    with write(sessions) as session:
        assert accounts.pause_account(session, clock, account_id=added.id, reason="401")
        assert not accounts.pause_account(session, clock, account_id=added.id, reason="again")
    assert not active()
    with sessions() as session:
        (listed,) = accounts.accounts(session, client_id)
        assert (listed.status, listed.status_reason) == (AccountStatus.PAUSED, "401")
    with write(sessions) as session:
        assert accounts.resume_account(session, clock, account_id=added.id)
    assert active()


def test_another_clients_accounts_are_neither_in_the_way_nor_used(
    add, sessions, clock, client_id
) -> None:
    with write(sessions) as session:
        other = create_client(session, clock, name="Other").id
    theirs, own = add(client_id=other), add()

    assert (theirs.name, own.name) == ("mail", "mail"), "a name is taken at one client only"
    with write(sessions) as session:
        assert accounts.account_ids(session, client_id, "smtp") == [own.id]
        assert accounts.accounts(session, client_id) == [session.get(type(own), own.id)]
        found = accounts.active_account(session, client_id, Channel.EMAIL)
        assert found is not None
        assert found.id == own.id, "not the oldest of all"
