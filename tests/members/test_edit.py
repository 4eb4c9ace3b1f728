"""Mirrors members/edit.py, members/addressing.py, members/change.py, members/note.py, touch.py."""

import pytest
from sqlalchemy import select

from core.address import AddressHasher
from core.db import write
from members import addressing, edit, note, queries
from members.address import AddressState, MemberAddress
from members.change import changes_page
from members.errors import (
    AddressNotFoundError,
    AddressTakenError,
    MemberChangedError,
    MemberInvalidError,
    MemberKeyTakenError,
    MemberNotFoundError,
    NoteNotFoundError,
)
from members.merge import merge
from members.person import MAX_TAGS
from tests.factories import KEY, Factory

HASHER = AddressHasher(KEY)


@pytest.fixture
def make(sessions, clock, client_id) -> Factory:
    return Factory(sessions, clock, client_id)


@pytest.fixture
def do(sessions, clock, client_id):
    """Call a function that writes, in a transaction of its own."""

    def run(function, *extra, **values):
        with write(sessions) as session:
            return function(session, clock, *extra, client_id=client_id, **values)

    return run


@pytest.fixture
def history(sessions, client_id):
    """What was noted about a member, oldest first."""

    def read(member_id: int) -> list[dict]:
        with sessions() as session:
            rows = changes_page(session, client_id, member_id=member_id)
            return [row.changed for row in reversed(rows)]

    return read


@pytest.fixture
def held(sessions):
    """A member's addresses of a channel, in the order they came."""

    def read(member_id: int, channel: str = "email") -> list[tuple[str, bool]]:
        query = select(MemberAddress).where(
            MemberAddress.member_id == member_id, MemberAddress.channel == channel
        )
        with sessions() as session:
            return [(a.value, a.is_primary) for a in session.scalars(query.order_by("id"))]

    return read


def change(do, id: int, **values):
    return do(edit.update_member, HASHER, id=id, actor="key:1", **values)


def test_an_edit_is_noted_with_what_differed(make, do, history) -> None:
    ana = make.member(first_name="Ana", location="Rome")
    change(do, ana, last_name="Li", location=None, tags=["vip"])

    noted: dict = {}
    for changed in history(ana):
        noted |= changed
    assert noted["last_name"] == [None, "Li"]
    assert noted["full_name"] == [None, "Ana Li"]
    assert noted["location"] == ["Rome", None]
    assert noted["tags"] == [[], ["vip"]]
    change(do, ana, last_name="Li")
    assert len(history(ana)) == 2


def test_the_full_name_follows_the_names(make, do) -> None:
    ana = make.member(first_name="Ana", last_name="Li", full_name="Ana Li")

    assert change(do, ana, last_name="Cruz").full_name == "Ana Cruz"
    assert change(do, ana, first_name=None).full_name == "Cruz"
    assert change(do, ana, last_name=None).full_name is None
    assert change(do, ana, first_name="Bo", full_name="Doctor Bo").full_name == "Doctor Bo"


def test_an_edit_of_what_somebody_else_changed_is_refused(make, do, sessions, client_id) -> None:
    ana = make.member(location="Rome")
    seen = change(do, ana, location="Berlin").version

    with pytest.raises(MemberChangedError) as refused:
        change(do, ana, location=None, version=seen - 1)
    assert refused.value.remedy
    with sessions() as session:
        assert queries.member(session, client_id, ana).location == "Berlin"
    assert change(do, ana, location="Paris", version=seen).version > seen


def test_the_key_of_a_merged_member_is_taken(make, do) -> None:
    kept, gone = make.member(member_id="a"), make.member(member_id="b")
    do(merge, survivor_id=kept, absorbed_id=gone)

    with pytest.raises(MemberKeyTakenError):
        do(edit.create_member, HASHER, member_id="B")


def test_a_merged_member_says_into_whom(make, do, sessions, client_id) -> None:
    kept, gone = make.member(), make.member()
    do(merge, survivor_id=kept, absorbed_id=gone)

    with sessions() as session, pytest.raises(MemberNotFoundError) as missing:
        queries.member(session, client_id, gone)
    assert str(kept) in (missing.value.remedy or "")


def test_tags_are_given_and_taken(make, do, sessions, client_id, history) -> None:
    ana = make.member()
    do(edit.set_tags, id=ana, add=["VIP", "new"])
    do(edit.set_tags, id=ana, add=["vip", "old"], remove=["New", "old", "none"])

    with sessions() as session:
        assert queries.around(session, client_id, [ana])[ana].tags == ("old", "vip")
    assert history(ana) == [{"tags": [[], ["new", "vip"]]}, {"tags": [["new"], ["old"]]}]
    with pytest.raises(MemberInvalidError):
        do(edit.set_tags, id=ana, add=[f"t{number}" for number in range(MAX_TAGS)])
    with pytest.raises(MemberNotFoundError):
        do(edit.set_tags, id=make.another_client().member(), add=["x"])


def add(do, member_id: int, value: str, channel: str = "email", **more):
    return do(
        addressing.add_address, HASHER, member_id=member_id, channel=channel, value=value, **more
    )


def test_the_first_address_is_primary_until_another_is_chosen(
    make, do, held, sessions, client_id
) -> None:
    ana = make.member()
    add(do, ana, "One@Example.com")
    second = add(do, ana, "two@example.com")
    add(do, ana, "one@example.com")
    assert held(ana) == [("one@example.com", True), ("two@example.com", False)]

    do(addressing.make_primary, member_id=ana, address_id=second.id)
    assert held(ana) == [("one@example.com", False), ("two@example.com", True)]
    add(do, ana, "three@example.com", primary=True)
    with sessions() as session:
        assert queries.member(session, client_id, ana).email == "three@example.com"


def test_when_the_primary_is_removed_the_oldest_that_works_follows(
    make, do, held, sessions, client_id
) -> None:
    ana = make.member()
    first = add(do, ana, "+12015550123", "sms")
    second = add(do, ana, "+12015550124", "sms")
    third = add(do, ana, "+12015550125", "sms")
    with write(sessions) as session:
        session.get_one(MemberAddress, second.id).state = AddressState.INVALID

    do(addressing.remove_address, member_id=ana, address_id=first.id)
    assert held(ana, "sms") == [("+12015550124", False), ("+12015550125", True)]
    for one in (third, second):
        do(addressing.remove_address, member_id=ana, address_id=one.id)
    with sessions() as session:
        assert queries.member(session, client_id, ana).phone is None


def test_an_address_belongs_to_one_member_unless_it_is_shared(make, do, held) -> None:
    ana, bo = make.member(), make.member()
    add(do, ana, "home@example.com")

    with pytest.raises(AddressTakenError) as taken:
        add(do, bo, "home@example.com")
    assert "home@" not in str(taken.value)
    add(do, bo, "home@example.com", shared=True)
    assert held(bo) == [("home@example.com", True)]


def test_an_address_is_of_the_member_that_is_named(make, do) -> None:
    ana, bo = make.member(), make.member()
    address = add(do, ana, "home@example.com")
    stranger = make.another_client().member()

    for deed in (addressing.make_primary, addressing.remove_address):
        with pytest.raises(AddressNotFoundError):
            do(deed, member_id=bo, address_id=address.id)
        with pytest.raises(MemberNotFoundError):
            do(deed, member_id=stranger, address_id=address.id)


def test_notes_are_listed_newest_first_until_taken_off(make, do, sessions, client_id) -> None:
    ana, bo = make.member(), make.member()
    first, second = (
        do(note.write_note, member_id=ana, author="user:1", text=text) for text in ("One", " Two ")
    )
    with pytest.raises(NoteNotFoundError):
        do(note.delete_note, member_id=bo, note_id=first.id)
    for text in ("", "   ", "x" * 10_001):
        with pytest.raises(MemberInvalidError):
            do(note.write_note, member_id=ana, author="user:1", text=text)

    with sessions() as session:
        assert [n.text for n in note.notes_page(session, client_id, ana)] == ["Two", "One"]
    do(note.delete_note, member_id=ana, note_id=second.id)
    with pytest.raises(NoteNotFoundError):
        do(note.delete_note, member_id=ana, note_id=second.id)
    with sessions() as session:
        assert [n.text for n in note.notes_page(session, client_id, ana)] == ["One"]


def test_a_deleted_member_is_noted_and_its_key_is_free(make, do, history) -> None:
    ana = make.member(member_id="a")
    do(edit.delete_member, id=ana)

    assert history(ana) == [{"deleted": [None, True]}]
    assert do(edit.create_member, HASHER, member_id="a").id != ana
