"""Settings: everything that can be set from outside, read once from the environment.

Each field is `ECHELONX_` plus its name in capitals. A name we do not know is an error rather than
a silence, because a misspelt setting is a setting that is not in force. Nothing below echelonx/
imports this module: wiring hands on the values. `reference()` writes docs/reference/settings.md.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from core.address import normalise_email
from core.errors import InvalidError
from core.secret import MIN_KEY_BYTES, Secret

PREFIX = "ECHELONX_"
MAX_ISSUER = 255
LINK = re.compile(r"\[[^]]+\]\(\.\./([^)]+)\)")
"""Another page, as docs/reference/settings.md leads there."""
IGNORED = "ECHELONX_TEST_"
"""Names of this kind belong to the test suite."""

Parse = Callable[[str], Any]


class SettingsError(InvalidError):
    """An environment variable of ours cannot be used."""

    code = "settings"


def _text(text: str) -> str:
    return text


def _url(*schemes: str) -> Parse:
    def parse(text: str) -> str:
        if urlsplit(text).scheme not in schemes:
            raise ValueError("it must start with " + " or ".join(f"{each}://" for each in schemes))
        return text

    return parse


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("it must be the address people reach us at, such as https://mail.shop.com")
    return text.rstrip("/")


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or len(text) > MAX_ISSUER)
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError("it must be the issuer's address exactly as it spells itself")
    return text


def _whole(low: int, high: int) -> Parse:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"it must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _seconds(low: float, high: float) -> Parse:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not low <= value <= high:
            raise ValueError(f"it must be from {low:g} to {high:g} seconds")
        return value

    return parse


def _truth(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in known:
        raise ValueError("it must be true or false")
    return known[text.lower()]


def _one_of(*values: str) -> Parse:
    def parse(text: str) -> str:
        for value in values:
            if value.lower() == text.lower():
                return value
        raise ValueError("it must be one of " + ", ".join(values))

    return parse


def _country(text: str) -> str:
    if not (len(text) == 2 and text.isascii() and text.isalpha()):
        raise ValueError("it must be a country of two letters, such as US")
    return text.upper()


def _sender(text: str) -> str:
    try:
        return normalise_email(text)
    except InvalidError:
        raise ValueError("it must be an e-mail address") from None


def _secret(text: str) -> Secret:
    if len(text.encode()) < MIN_KEY_BYTES:
        raise ValueError(f"it needs at least {MIN_KEY_BYTES} bytes; `openssl rand -base64 32`")
    return Secret(text)


def _secrets(text: str) -> tuple[Secret, ...]:
    return tuple(_secret(each.strip()) for each in text.split(","))


def _setting(default: Any, parse: Parse, doc: str, *, shown: bool = True) -> Any:
    """Declare one field; `shown=False` keeps values that may hold a password out of repr()."""
    return field(default=default, repr=shown, metadata={"parse": parse, "doc": doc})


@dataclass(frozen=True)
class Settings:
    """What one process was told at its start."""

    database_url: str = _setting(
        "sqlite:///echelonx.db",
        _url("sqlite", "postgresql", "postgresql+psycopg"),
        "The database: `sqlite:///file.db`, or `postgresql://user:password@host/name`.",
        shown=False,
    )
    broker_url: str | None = _setting(
        None,
        _url("redis", "rediss", "amqp", "amqps"),
        "The Celery broker that rings workers; unset means one process that needs none.",
        shown=False,
    )
    mode: Literal["development", "production"] = _setting(
        "development",
        _one_of("development", "production"),
        "`production` refuses to start without a secret key.",
    )
    secret_key: Secret | None = _setting(  # noqa: RUF009  (it makes a dataclass field)
        None,
        _secret,
        "The key every other key is derived from, 32 bytes or more. "
        "Development makes `secret.key` in the data directory when it is unset.",
        shown=False,
    )
    vault_keys: tuple[Secret, ...] = _setting(
        (),
        _secrets,
        "Keys of stored secrets, with commas between: the first seals, all of them open, and so "
        "does the secret key. See [change the key](../howto/rotate-keys.md).",
        shown=False,
    )
    data_dir: Path = _setting(  # noqa: RUF009  (it makes a dataclass field)
        Path("."), Path, "Where files of our own are kept."
    )
    public_url: str = _setting(
        "http://127.0.0.1:8000",
        _public_url,
        "Where people and providers reach us; links in messages start with it. Unset, it has the "
        "port of `ECHELONX_PORT`.",
    )
    host: str = _setting("127.0.0.1", _text, "The address the web server listens on.")
    port: int = _setting(
        8000, _whole(0, 65535), "The port the web server listens on; 0 takes a free one."
    )
    threads: int = _setting(8, _whole(1, 256), "Requests the web server handles at a time.")
    trusted_proxies: int = _setting(
        0,
        _whole(0, 10),
        "How many proxies of yours stand before the web server, each of which adds who asked it to "
        "`X-Forwarded-For`. Strangers are limited by address: behind a proxy they all have its own "
        "until this is set. 0 believes no such header.",
    )
    rate_limit: int = _setting(
        50,
        _whole(0, 100_000),
        "Requests a second that one API key or person may send to the API; 0 is no limit. A key "
        "can have its own. Somebody who did not say who they are may send a tenth as many writes.",
    )
    rate_burst: int = _setting(
        200, _whole(1, 1_000_000), "Requests that may come at once, after a while of none."
    )
    rate_limit_url: str | None = _setting(
        None,
        _url("redis", "rediss"),
        "The Redis where all processes count requests together; unset, that of "
        "`ECHELONX_BROKER_URL`, else each process counts by itself, as it does without an answer.",
        shown=False,
    )
    pump_seconds: float = _setting(
        5.0,
        _seconds(0.05, 3600),
        "How often workers look for work by themselves, when no bell rings.",
    )
    lease_seconds: int = _setting(
        120,
        _whole(10, 3600),
        "How long a worker may hold a message before others take it back; no send may take longer.",
    )
    answer_seconds: float = _setting(
        20.0,
        _seconds(0.5, 60),
        "How long a provider may take to answer; after that nobody can tell what it did. "
        "With the seconds it takes to connect (an eighth of a lease, at most 5), it must fit into "
        "the last three eighths of a lease, in which no send begins.",
    )
    metrics_token: Secret | None = _setting(  # noqa: RUF009  (it makes a dataclass field)
        None,
        _secret,
        "The bearer token `/metrics` and `/health/deep` ask for. Unset, they are open in "
        "development and closed in production.",
        shown=False,
    )
    mail_url: str | None = _setting(
        None,
        _url("smtp", "smtps"),
        "The mail server for letters to users: `smtp://user:password@host:587` (with STARTTLS), or "
        "`smtps://…`. Unset, links are shown to the admin who asked for them.",
        shown=False,
    )
    mail_from: str | None = _setting(
        None, _sender, "The address those letters come from; needed with `ECHELONX_MAIL_URL`."
    )
    failpoints: str = _setting(
        "",
        _text,
        "Where this process shall fail, for tests: `C6:kill@3`. Refused in production.",
    )
    allow_private_egress: bool = _setting(
        False,
        _truth,
        "Let outgoing requests reach private and loopback addresses, as simulators need.",
    )
    allow_http_endpoints: bool = _setting(
        False, _truth, "Let clients' webhook endpoints have `http://` URLs, not only `https://`."
    )
    log_level: str = _setting(
        "INFO",
        _one_of("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        "The least important records that are written.",
    )
    log_format: Literal["console", "json"] = _setting(
        "console", _one_of("console", "json"), "Lines for people, or one JSON object a line."
    )
    model_url: str | None = _setting(
        None,
        _url("http", "https"),
        "An OpenAI-compatible endpoint that drafts copy, such as `https://api.openai.com/v1`. "
        "Unset, nothing is drafted and everything else works.",
    )
    model_key: Secret | None = _setting(  # noqa: RUF009  (it makes a dataclass field)
        None, Secret, "That endpoint's API key, if it needs one.", shown=False
    )
    model_name: str | None = _setting(None, _text, "The model that endpoint is asked for.")
    oidc_issuer: str | None = _setting(
        None,
        _issuer,
        "The identity provider people sign in with, such as `https://login.shop.example`. Its word "
        "about a verified address opens the account of that address here.",
    )
    oidc_client_id: str | None = _setting(
        None, _text, "What that provider calls us. The four `ECHELONX_OIDC_…` are set together."
    )
    oidc_client_secret: Secret | None = _setting(  # noqa: RUF009  (it makes a dataclass field)
        None, Secret, "What proves to that provider that it is us.", shown=False
    )
    oidc_name: str | None = _setting(None, _text, "What people call that provider.")
    default_country: str | None = _setting(
        None, _country, "How phone numbers without + are read when the client has no country."
    )

    @property
    def connect_seconds(self) -> float:
        """How long connecting to a provider may take."""
        return min(5.0, self.lease_seconds / 8)

    def _check_answer(self) -> None:
        """Refuse an answer that could come after the lease: others would count it as lost."""
        room = self.lease_seconds * 3 / 8 - self.connect_seconds
        if self.answer_seconds > room:
            raise SettingsError(
                f"an answer that takes {self.answer_seconds:g} seconds can come after a lease of "
                f"{self.lease_seconds}",
                field=f"{PREFIX}ANSWER_SECONDS",
                remedy=f"set it to {room:g} at most, or {PREFIX}LEASE_SECONDS higher",
            )

    def _check_oidc(self) -> None:
        """Refuse half an identity provider, and one that anybody on the way can speak for."""
        told = {
            f"{PREFIX}OIDC_{name}": getattr(self, f"oidc_{name.lower()}")
            for name in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET", "NAME")
        }
        missing = [name for name, value in told.items() if value is None]
        if 0 < len(missing) < len(told):
            raise SettingsError(
                "an identity provider needs all four settings", field=missing[0], remedy="set it"
            )
        if self.mode == "production" and (self.oidc_issuer or "").startswith("http:"):
            raise SettingsError(
                "in production an identity provider is asked over TLS",
                field=f"{PREFIX}OIDC_ISSUER",
                remedy="set it to an https:// address",
            )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings; an empty variable counts as unset.

        Raises SettingsError for an unknown name, with the nearest known one, for a bad value, and
        for values that do not go together.
        """
        known = {PREFIX + each.name.upper(): each for each in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for name, text in environ.items():
            if not name.startswith(PREFIX) or name.startswith(IGNORED):
                continue
            if name not in known:
                raise _unknown(name, known)
            if text.strip():
                values[known[name].name] = _parsed(name, text.strip(), known[name])
        if values.get("port"):
            values.setdefault("public_url", f"http://127.0.0.1:{values['port']}")
        settings = cls(**values)
        settings._check_answer()
        settings._check_oidc()
        if settings.mail_url and not settings.mail_from:
            raise SettingsError(
                "letters need a sender", field=f"{PREFIX}MAIL_FROM", remedy="set it to an address"
            )
        if settings.failpoints and settings.mode == "production":
            raise SettingsError(
                "failpoints are for tests", field=f"{PREFIX}FAILPOINTS", remedy="unset it"
            )
        return settings


def _unknown(name: str, known: Mapping[str, Any]) -> SettingsError:
    nearest = get_close_matches(name.upper(), known, n=1, cutoff=0.0)[0]
    return SettingsError(
        f"there is no setting {name}; the nearest is {nearest}",
        field=name,
        remedy="correct the name or remove the variable; docs/reference/settings.md lists them",
    )


def _parsed(name: str, text: str, about: "dataclasses.Field[Any]") -> Any:
    try:
        return about.metadata["parse"](text)
    except ValueError as error:
        # The value is not repeated: it may be a secret under the wrong name.
        raise SettingsError(
            f"{name} cannot be used: {error}",
            field=name,
            remedy=LINK.sub(r"docs/\1", about.metadata["doc"]),
        ) from None


def reference() -> str:
    """Return docs/reference/settings.md, which a test holds equal to this table."""
    lines = [
        "# Settings",
        "",
        "EchelonX reads its settings from environment variables when a process starts.",
        "An empty variable counts as unset, and a name that is not listed here is an error.",
        "",
        "| variable | default | meaning |",
        "| - | - | - |",
    ]
    for each in dataclasses.fields(Settings):
        default = "" if each.default in (None, MISSING, ()) else f"`{_written(each.default)}`"
        lines.append(f"| `{PREFIX}{each.name.upper()}` | {default} | {each.metadata['doc']} |")
    return "\n".join(lines) + "\n"


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"
