"""Checks of the machine: Python, settings, secret key. They need no database."""

import os
import platform
import stat
import sys
from collections.abc import Iterator

from core.secret import KEY_FILE, SecretKeyError, load_key
from core.settings import PREFIX, Settings
from echelonx.health.finding import Finding, fail, ok, warn

OLDEST_PYTHON = (3, 11)


def python(settings: Settings) -> Iterator[Finding]:
    """Look at the interpreter."""
    del settings
    bits = 64 if sys.maxsize > 2**32 else 32
    fact = f"{platform.python_version()}, {bits} bit"
    if sys.version_info >= OLDEST_PYTHON:
        yield ok("Python", fact)
    else:
        yield fail("Python", fact, "use Python 3.11 or newer")


def config(settings: Settings) -> Iterator[Finding]:
    """Look at the settings; unknown names were refused before we come here."""
    names = sorted(name for name in os.environ if name.startswith(PREFIX))
    fact = f"{settings.mode}, {len(names)} set in the environment, 0 unknown"
    if settings.mode == "production" and settings.allow_private_egress:
        yield warn(
            "Config",
            f"{fact}; requests may reach private addresses",
            "unset ECHELONX_ALLOW_PRIVATE_EGRESS; it is for simulators",
        )
    else:
        yield ok("Config", fact)


def secret_key(settings: Settings) -> Iterator[Finding]:
    """Look at the key and at who can read its file."""
    path = settings.data_dir / KEY_FILE
    if settings.secret_key is None and settings.mode == "development" and not path.exists():
        yield warn("Secret key", "not made yet", "echelonx init makes it, or set one")
        return
    try:
        length = len(load_key(settings))
    except SecretKeyError as error:
        yield fail("Secret key", str(error), error.remedy)
        return
    if settings.secret_key is not None:
        yield ok("Secret key", f"{length} bytes, from the environment")
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    fact = f"{length} bytes, {path}, mode {mode:04o}"
    if mode & 0o077:
        yield fail("Secret key", fact, f"chmod 600 {path}")
    else:
        yield ok("Secret key", fact)
