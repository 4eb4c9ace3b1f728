"""accounts.user_search: the same users are found in the same order, however many hold the words."""

import pytest

from accounts import user_search
from accounts.user import Role, UserStatus, create_user
from accounts.user_queries import search_users, users_page
from core.clock import ManualClock
from core.db import Sessions, read, write

NAMES = ("Ana García", "Jonas Müller", "Mia Anand", "Zoë O'Brien", "Max Mustermann", "Al Xu")
WORDS = (
    "an", "ana", "a", "x", "xu", "mia an", "user1", "user", "@office", "o'b", "zoë", "rcí", "50",
    "ana garcía", "ana nobody", "100%", "_",
)  # fmt: skip


@pytest.fixture
def people(sessions: Sessions, clock: ManualClock, client_id: int) -> list[tuple[int, str, str]]:
    """Each one's id, name and email, in lower case."""
    made = []
    with write(sessions) as session:
        for number in range(48):
            first, last = NAMES[number % len(NAMES)].split()
            one = create_user(
                session,
                clock,
                email=f"user{number}@office{number % 5}.example",
                role=Role.USER,
                client_id=client_id,
                first_name=first,
                last_name=last,
                status=UserStatus.ACTIVE,
            )
            made.append((one.id, f"{first} {last}".lower(), one.email))
    return made


@pytest.mark.parametrize("looked_at", [0, 5, 1_000])
def test_a_search_and_a_list_find_whoever_holds_the_words(
    people: list[tuple[int, str, str]],
    sessions: Sessions,
    client_id: int,
    looked_at: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(user_search, "LOOKED_AT", looked_at)

    def rank(one: tuple[int, str, str], plain: str) -> tuple[int, int]:
        id_, name, email = one
        kinds = [email == plain, email.startswith(plain), name.startswith(plain), True]
        return kinds.index(True), id_

    for plain in WORDS:
        meant = [
            one for one in people if all(word in one[1] or word in one[2] for word in plain.split())
        ]
        best = [one[0] for one in sorted(meant, key=lambda one: rank(one, plain))]
        for where in (client_id, None):
            with read(sessions) as session:
                found = [one.user.id for one in search_users(session, where, plain, limit=7)]
                page = [one.user.id for one in users_page(session, where, words=plain, limit=100)]
            assert (plain, found) == (plain, best[:7])
            assert (plain, page) == (plain, [one[0] for one in meant])
