"""Mirrors core/settings.py."""

from pathlib import Path

import pytest

from communications.dispatch import MARGIN
from core.secret import Secret
from core.settings import Settings, SettingsError


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_environment({"PATH": "/bin", "ECHELONX": "no setting"})

    assert settings == Settings()
    assert settings.database_url == "sqlite:///echelonx.db"
    assert settings.secret_key is None


def test_each_kind_of_value_is_read() -> None:
    settings = Settings.from_environment(
        {
            "ECHELONX_DATABASE_URL": "postgresql://u:p@h/d",
            "ECHELONX_BROKER_URL": "redis://127.0.0.1/0",
            "ECHELONX_MODE": "Production",
            "ECHELONX_SECRET_KEY": "s" * 32,
            "ECHELONX_DATA_DIR": "/var/lib/echelonx",
            "ECHELONX_PUBLIC_URL": "https://mail.example.com/",
            "ECHELONX_PORT": " 9000 ",
            "ECHELONX_PUMP_SECONDS": "0.5",
            "ECHELONX_ALLOW_PRIVATE_EGRESS": "yes",
            "ECHELONX_LOG_LEVEL": "debug",
            "ECHELONX_LOG_FORMAT": "json",
            "ECHELONX_DEFAULT_COUNTRY": "de",
        }
    )

    assert settings.mode == "production"
    assert settings.secret_key == Secret("s" * 32)
    assert settings.data_dir == Path("/var/lib/echelonx")
    assert settings.public_url == "https://mail.example.com"
    assert (settings.port, settings.pump_seconds) == (9000, 0.5)
    assert settings.allow_private_egress is True
    assert (settings.log_level, settings.log_format) == ("DEBUG", "json")
    assert settings.default_country == "DE"


def test_an_empty_variable_counts_as_unset() -> None:
    assert (
        Settings.from_environment({"ECHELONX_BROKER_URL": "", "ECHELONX_PORT": " "}) == Settings()
    )


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"PORT": "8123"}, "http://127.0.0.1:8123"),
        ({"PORT": "0"}, "http://127.0.0.1:8000"),
        ({"PORT": "8123", "PUBLIC_URL": "https://mail.shop.com"}, "https://mail.shop.com"),
    ],
)
def test_the_public_url_has_our_port_unless_it_is_given(given: dict[str, str], url: str) -> None:
    found = Settings.from_environment({f"ECHELONX_{name}": value for name, value in given.items()})

    assert found.public_url == url


def test_the_test_suites_own_names_are_left_alone() -> None:
    assert Settings.from_environment({"ECHELONX_TEST_PG": "postgresql://x"}) == Settings()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ECHELONX_DATABSE_URL", "ECHELONX_DATABASE_URL"),
        ("ECHELONX_SECRETKEY", "ECHELONX_SECRET_KEY"),
        ("ECHELONX_BROKER", "ECHELONX_BROKER_URL"),
        ("ECHELONX_database_url", "ECHELONX_DATABASE_URL"),
        ("ECHELONX_", "ECHELONX_"),
    ],
)
def test_an_unknown_name_is_an_error_that_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({name: ""})

    assert refused.value.field == name
    assert f"the nearest is {nearest}" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ECHELONX_DATABASE_URL", "mysql://u:hunter2@h/d"),
        ("ECHELONX_BROKER_URL", "hunter2"),
        ("ECHELONX_MODE", "hunter2"),
        ("ECHELONX_SECRET_KEY", "hunter2"),
        ("ECHELONX_PUBLIC_URL", "hunter2.example.com"),
        ("ECHELONX_PUBLIC_URL", "https://example.com/?hunter2"),
        ("ECHELONX_PORT", "70000"),
        ("ECHELONX_PORT", "-1"),
        ("ECHELONX_PORT", "٨"),
        ("ECHELONX_THREADS", "0"),
        ("ECHELONX_PUMP_SECONDS", "nan"),
        ("ECHELONX_PUMP_SECONDS", "hunter2"),
        ("ECHELONX_LEASE_SECONDS", "1"),
        ("ECHELONX_ALLOW_PRIVATE_EGRESS", "maybe"),
        ("ECHELONX_DEFAULT_COUNTRY", "USA"),
    ],
)
def test_a_bad_value_is_refused_by_name_and_not_repeated(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({name: text})

    assert refused.value.field == name
    assert "hunter2" not in str(refused.value)


def test_the_remedy_names_a_page_as_it_is_found_in_the_repository() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({"ECHELONX_VAULT_KEYS": "short"})
    assert "See docs/howto/rotate-keys.md." in str(refused.value.remedy)


@pytest.mark.parametrize(
    ("lease", "answer", "fits"),
    [(120, 40, True), (120, 41, False), (67, 20, True), (60, 20, False), (10, 2, True)],
)
def test_an_answer_must_fit_into_the_end_of_a_lease(lease: int, answer: int, fits: bool) -> None:
    environ = {"ECHELONX_LEASE_SECONDS": f"{lease}", "ECHELONX_ANSWER_SECONDS": f"{answer}"}
    if fits:
        settings = Settings.from_environment(environ)
        longest = settings.connect_seconds + settings.answer_seconds
        assert longest <= settings.lease_seconds * MARGIN
        return

    with pytest.raises(SettingsError) as refused:
        Settings.from_environment(environ)

    assert refused.value.field == "ECHELONX_ANSWER_SECONDS"
    assert "ECHELONX_LEASE_SECONDS" in str(refused.value.remedy)


def test_settings_do_not_print_what_may_hold_a_password() -> None:
    settings = Settings(
        database_url="postgresql://u:hunter2@h/d",
        broker_url="redis://:hunter2@h",
        secret_key=Secret("hunter2" * 8),
    )

    assert "hunter2" not in repr(settings)


OIDC = {
    "ECHELONX_OIDC_ISSUER": "https://login.shop.example",
    "ECHELONX_OIDC_CLIENT_ID": "echelonx",
    "ECHELONX_OIDC_CLIENT_SECRET": "hush hush",
    "ECHELONX_OIDC_NAME": "Shop",
}


@pytest.mark.parametrize("missing", list(OIDC))
def test_half_an_identity_provider_is_refused(missing: str) -> None:
    assert "hush" not in repr(Settings.from_environment(OIDC))

    with pytest.raises(SettingsError, match="all four") as raised:
        Settings.from_environment({**OIDC, missing: ""})

    assert raised.value.field == missing


def test_an_identity_provider_is_asked_over_tls_where_it_counts() -> None:
    plain = {**OIDC, "ECHELONX_OIDC_ISSUER": "http://login.shop.example"}
    assert Settings.from_environment(plain).oidc_issuer

    with pytest.raises(SettingsError, match="TLS"):
        Settings.from_environment({**plain, "ECHELONX_MODE": "production"})
    for wrong in ("login.shop.example", "https://u:p@x.example", "https://x.example?a=1"):
        with pytest.raises(SettingsError, match="OIDC_ISSUER"):
            Settings.from_environment({**OIDC, "ECHELONX_OIDC_ISSUER": wrong})
