"""Mirrors members/search.py, members/statistics.py and the counts of members/queries.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.condition.text import parse
from core.db import Sessions, write
from members import queries
from members.member import MemberStatus, MemberTag, Tier
from members.search import neighbours, search
from members.statistics import member_statistics
from members.suppression import Scope, SuppressionReason, suppress
from tests.factories import Factory


@pytest.fixture
def make(sessions, clock, client_id) -> Factory:
    return Factory(sessions, clock, client_id)


@pytest.fixture
def people(make: Factory, sessions: Sessions, client_id: int) -> dict[str, int]:
    found = {
        "ana": make.member(
            member_id="shop-1",
            first_name="Ana",
            last_name="Steinmann",
            full_name="Ana Steinmann",
            email="ana@example.com",
            phone="+12015550123",
        ),
        "anabel": make.member(first_name="Anabel", last_name="Cruz", email="cruz@example.org"),
        "emile": make.member(first_name="Émile", last_name="Zola"),
        "full": make.member(first_name=None, full_name="Bohdan Petrenko"),
        "tagged": make.member(first_name="Chen"),
    }
    make.another_client().member(first_name="Ana", email="ana@example.com")
    with write(sessions) as session:
        session.add(MemberTag(member_id=found["tagged"], tag="vip", client_id=client_id))
    make.address(found["tagged"], "email", "further@example.com")
    return found


@pytest.mark.parametrize(
    ("words", "who"),
    [
        ("ana", ["ana", "anabel"]),
        ("ANA  Stein", ["ana"]),
        ("steinmann ana", ["ana"]),
        ("Anab", ["anabel"]),
        ("émile", ["emile"]),
        ("ÉMILE zo", ["emile"]),
        ("bohdan p", ["full"]),
        ("ana@exam", ["ana"]),
        ("further@example.com", ["tagged"]),
        ("+1 201 555 01", ["ana"]),
        ("(201) 555-0123", ["ana"]),
        ("SHOP-1", ["ana"]),
        ("vip", ["tagged"]),
        ("steinman", ["ana"]),
        ("stienmann", ["ana"]),
        ("steinmmann", ["ana"]),
        ("ana stienmann", ["ana"]),
        ("xyz", []),
        ("ana cruz", ["anabel"]),
        ("ana zola", []),
        ("%", []),
        ("_na", []),
        ("  ", []),
        ("\x00", []),
        ("'; DROP TABLE members; --", []),
        ("a" * 5000, []),
    ],
)
def test_a_search_finds_who_is_meant_best_first(words, who, people, sessions, client_id) -> None:
    with sessions() as session:
        found = search(session, client_id, words, country="US")

    names = {number: name for name, number in people.items()}
    assert [names[one.member.id] for one in found] == who
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_a_deleted_member_is_not_found(make, sessions, clock, client_id) -> None:
    make.member(first_name="Gone", deleted_at=clock.now())
    with sessions() as session:
        assert search(session, client_id, "gone") == []


@settings(max_examples=100)
@given(word=st.text("abcdefghijklmnop", min_size=4, max_size=12), data=st.data())
def test_a_word_with_one_letter_wrong_is_a_neighbour(word, data) -> None:
    place = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from("aeixyz"))
    wrong = data.draw(
        st.sampled_from(
            [
                word[:place] + word[place + 1 :],
                word[:place] + letter + word[place + 1 :],
                word[:place] + letter + word[place:],
            ]
        )
    )

    assert word in neighbours(wrong) or len(wrong) < 4


def test_every_number_is_that_of_the_list_behind_it(make, sessions, clock, client_id) -> None:
    for tier, status in ((Tier.BASIC, MemberStatus.ACTIVE), (Tier.ELITE, MemberStatus.CHURNED)):
        for channel in ("email", "sms"):
            make.address(make.member(tier=tier, status=status), channel)
    stopped = make.member()
    value = make.address(stopped, "email")
    make.member(deleted_at=clock.now())
    make.another_client().member()
    with write(sessions) as session:
        suppress(
            session,
            clock,
            client_id=client_id,
            channel="email",
            address_hash=make.hash("email", value),
            masked="m",
            scope=Scope.ALL,
            reason=SuppressionReason.BOUNCED,
        )

    with sessions() as session:
        found = member_statistics(session, clock, client_id)
        assert found.total == 5
        assert sum(one.members for one in found.by_status) == found.total
        assert sum(one.members for one in found.by_tier) == found.total
        assert {one.name: one.members for one in found.reachable} == {
            "email": 2,
            "sms": 2,
            "push": 0,
        }
        for figure in (*found.by_status, *found.by_tier, *found.reachable, *found.consented):
            behind = queries.count_rule(session, client_id, parse(figure.match), clock.now())
            assert behind == figure.members, figure


def test_a_short_list_is_counted_exactly(make, sessions, clock, client_id) -> None:
    for _ in range(3):
        make.member(tier=Tier.ELITE)
    make.member()
    with sessions() as session:
        every = queries.count_members(session, client_id, condition=None, now=clock.now())
        some = queries.count_members(
            session, client_id, condition=parse('tier = "elite"'), now=clock.now()
        )
    assert (every.value, every.exact, some.value) == (4, True, 3)


def test_a_long_list_is_estimated_on_postgresql(
    make, sessions, clock, client_id, monkeypatch
) -> None:
    monkeypatch.setattr(queries, "EXACT", 2)
    for _ in range(5):
        make.member()
    with sessions() as session:
        found = queries.count_members(session, client_id, condition=None, now=clock.now())
        sqlite = session.get_bind().dialect.name == "sqlite"
    assert found.exact is sqlite
    assert found.value == 5 if sqlite else found.value >= 3
