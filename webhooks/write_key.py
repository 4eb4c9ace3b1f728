"""WriteKey: an API key as the collector sees it: whose events it tells, and how far it is believed.

| scopes | what it may do |
| - | - |
| `events:write` | tell events. It may stand in a web page, where anybody can read it |
| `members:write` too | change profiles and join people as well. It stays on a server |

`write` and `*` hold both.
"""

from dataclasses import dataclass

from accounts.key import USE_NOTED_EVERY, ApiKey, authenticate, key_of_text, note_use
from accounts.principal import key_holder
from core.clock import Clock, ticking
from core.db import Sessions, read, write
from core.errors import UnauthenticatedError

TELL, CHANGE = "events:write", "members:write"
REMEMBER_SECONDS = 5.0
"""How long a key that was revoked may still be used here."""
MOST = 10_000
"""Keys remembered."""


@dataclass(frozen=True, slots=True)
class WriteKey:
    """A key that is known."""

    id: int
    client_id: int
    refusal: str | None
    """Why it tells nothing: `key_not_in_force`, `key_without_scope`."""
    trusted: bool
    """Whether it may change profiles."""
    rate: int | None
    """Requests a second it may send, if it has a limit of its own."""


class WriteKeys:
    """Finds keys by their text; remembers them for a moment, for they come with every request."""

    def __init__(self, sessions: Sessions, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock
        self._known: dict[str, tuple[float, WriteKey]] = {}

    def of(self, text: str) -> WriteKey | None:
        """Return the key; None is never remembered, so guesses fill nothing."""
        known = self._known.get(text)
        if known is not None and ticking() < known[0]:
            return known[1]
        found = self._read(text)
        if found is None:
            self._known.pop(text, None)
            return None
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[text] = (ticking() + REMEMBER_SECONDS, found)
        return found

    def _read(self, text: str) -> WriteKey | None:
        if not text.isascii() or len(text) > 128:
            return None
        with read(self._sessions) as session:
            try:
                key = authenticate(session, self._clock, text)
                actions = key_holder(session, key).actions
            except UnauthenticatedError:
                ended = key_of_text(session, text)
                if ended is None:
                    return None
                return _write_key(ended, "key_not_in_force", trusted=False)
        now, used = self._clock.now(), key.last_used_at
        if used is None or now - used > USE_NOTED_EVERY:
            with write(self._sessions) as session:
                note_use(session, self._clock, key_id=key.id)
        refusal = None if TELL in actions else "key_without_scope"
        return _write_key(key, refusal, trusted=CHANGE in actions)


def _write_key(key: ApiKey, refusal: str | None, *, trusted: bool) -> WriteKey:
    return WriteKey(key.id, key.client_id, refusal, trusted, key.rate)
