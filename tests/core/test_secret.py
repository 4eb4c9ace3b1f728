"""Mirrors core/secret.py."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.secret import KEY_FILE, SealedError, Secret, SecretKeyError, Vault, derive, load_key
from core.settings import Settings

KEY = bytes(range(32))


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("hunter2-hunter2")

    shown = f"{secret} {secret!r} {[secret]} {logging.Formatter().format(record(secret))}"

    assert "hunter2" not in shown
    assert secret.reveal() == "hunter2-hunter2"


def test_secrets_compare_by_what_they_hide() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


@given(st.binary(max_size=200), st.text(st.characters(codec="utf-8"), max_size=20))
def test_the_vault_gives_back_what_it_took(plain: bytes, context: str) -> None:
    vault = Vault(KEY)

    sealed = vault.encrypt(plain, context=context)

    assert vault.decrypt(sealed, context=context) == plain


def test_no_plain_byte_is_stored_and_no_two_seals_are_alike() -> None:
    vault = Vault(KEY)

    first = vault.encrypt(b"the same secret", context="provider:1")
    second = vault.encrypt(b"the same secret", context="provider:1")

    assert b"same" not in first
    assert first != second


@pytest.mark.parametrize("place", range(17 + 6 + 16))
def test_a_value_altered_anywhere_does_not_open(place: int) -> None:
    sealed = bytearray(Vault(KEY).encrypt(b"secret", context="provider:1"))
    sealed[place] ^= 1

    with pytest.raises(SealedError):
        Vault(KEY).decrypt(bytes(sealed), context="provider:1")


@pytest.mark.parametrize("length", range(17 + 6 + 16))
def test_a_value_cut_short_does_not_open(length: int) -> None:
    sealed = Vault(KEY).encrypt(b"secret", context="provider:1")

    with pytest.raises(SealedError):
        Vault(KEY).decrypt(sealed[:length], context="provider:1")


def test_a_value_copied_to_another_place_does_not_open() -> None:
    sealed = Vault(KEY).encrypt(b"secret", context="provider:1")

    with pytest.raises(SealedError, match="another place"):
        Vault(KEY).decrypt(sealed, context="provider:2")


def test_another_key_is_named_as_the_reason() -> None:
    sealed = Vault(KEY).encrypt(b"secret", context="provider:1")

    with pytest.raises(SealedError, match="another key"):
        Vault(KEY[::-1]).decrypt(sealed, context="provider:1")


def test_a_new_key_still_opens_what_the_older_one_sealed() -> None:
    sealed = Vault(KEY).encrypt(b"secret", context="provider:1")
    vault = Vault(KEY[::-1], KEY)

    assert vault.decrypt(sealed, context="provider:1") == b"secret"

    again = vault.encrypt(b"secret", context="provider:1")
    assert Vault(KEY[::-1]).decrypt(again, context="provider:1") == b"secret"


def test_each_purpose_has_its_own_key() -> None:
    keys = {derive(KEY, purpose) for purpose in ("sign", "hash", "vault")}

    assert len(keys) == 3
    assert all(len(key) == 32 for key in keys)
    assert derive(KEY, "sign") == derive(KEY, "sign")


def test_development_makes_its_key_once_for_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")

    first = load_key(settings)

    path = tmp_path / "data" / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(first) >= 32
    assert load_key(settings) == first
    assert [each.name for each in path.parent.iterdir()] == [KEY_FILE]


def test_production_does_not_invent_a_key(tmp_path: Path) -> None:
    with pytest.raises(SecretKeyError) as refused:
        load_key(Settings(mode="production", data_dir=tmp_path))

    assert refused.value.field == "ECHELONX_SECRET_KEY"
    assert not list(tmp_path.iterdir())


def test_a_key_that_is_set_is_the_key(tmp_path: Path) -> None:
    settings = Settings(mode="production", secret_key=Secret("s" * 40), data_dir=tmp_path)

    assert load_key(settings) == b"s" * 40
    assert not list(tmp_path.iterdir())


def test_a_damaged_key_file_is_refused_rather_than_replaced(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"short\n")

    with pytest.raises(SecretKeyError, match="5 bytes"):
        load_key(Settings(data_dir=tmp_path))


def test_a_data_directory_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SecretKeyError) as refused:
        load_key(Settings(data_dir=tmp_path / "file"))

    assert "ECHELONX_DATA_DIR" in str(refused.value.remedy)


def record(value: object) -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, "x", 1, "%s", (value,), None)
