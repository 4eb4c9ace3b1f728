"""Mirrors members/upsert.py and members/edit.py."""

import pytest
from sqlalchemy import select

from accounts.client import Client
from core.address import AddressHasher
from core.db import write
from members import edit, queries
from members.address import MemberAddress
from members.errors import MemberChangedError, MemberKeyTakenError, MemberNotFoundError
from members.person import Person, read_person
from members.upsert import Existing, Result, upsert

HASHER = AddressHasher(b"h" * 32)


def person(**values) -> Person:
    return read_person(values, country="US")


@pytest.fixture
def put(sessions, clock, client_id):
    """Write people; return what became of each."""

    def run(*people: Person, existing=Existing.FILL) -> list[Result]:
        with write(sessions) as session:
            written = upsert(
                session, clock, HASHER, client_id=client_id, people=people, existing=existing
            )
            return [result for result, _ in written]

    return run


@pytest.fixture
def everyone(sessions, client_id):
    """Read all members, with what belongs to them."""

    def read():
        with sessions() as session:
            members = queries.members_page(session, client_id)
            around = queries.around(session, client_id, [one.id for one in members])
            return [(one, around[one.id]) for one in members]

    return read


SPELLINGS = [
    {"email": "ana@example.com"},
    {"email": " ANA@Example.COM "},
    {"email": "\uff41na@example.com"},
    {"phone": "+1 201 555 0123"},
    {"phone": "(201) 555-0123"},
    {"phone": "2015550123"},
    {"phone": "+12015550123", "email": "ana@example.com"},
    {"member_id": "c-1"},
    {"member_id": " C-1 "},
    {"member_id": "C-1", "email": "other@example.com"},
]


def test_one_person_in_ten_spellings_is_one_member(put, everyone) -> None:
    put(person(member_id="C-1", email="ana@example.com", phone="+12015550123"))
    for spelling in SPELLINGS:
        put(person(**spelling))
    put(*[person(**spelling) for spelling in SPELLINGS])

    assert len([one for one, _ in everyone() if one.member_id == "c-1"]) == 1


def test_people_without_an_id_are_known_by_their_address(put, everyone) -> None:
    first = put(person(email="ana@example.com"), person(phone="+12015550123"))
    again = put(person(email="ANA@example.com", first_name="Ana"), person(phone="2015550123"))

    assert first == [Result.CREATED] * 2
    assert again == [Result.UPDATED, Result.UNCHANGED]
    assert len(everyone()) == 2


def test_two_people_with_ids_of_their_own_may_share_a_mailbox(put, everyone) -> None:
    put(
        person(member_id="a", email="us@example.com"), person(member_id="b", email="us@example.com")
    )

    assert len(everyone()) == 2


def test_filling_keeps_what_is_there_and_adds_what_is_not(put, everyone) -> None:
    put(person(member_id="a", first_name="Ana", tags="x", attributes={"city": "Lisbon"}))
    result = put(
        person(
            member_id="a",
            first_name="Anna",
            location="Porto",
            tags="y",
            attributes={"city": "Porto", "plan": "pro"},
        )
    )

    ((member, around),) = everyone()
    assert result == [Result.UPDATED]
    assert (member.first_name, member.location) == ("Ana", "Porto")
    assert member.attributes == {"city": "Lisbon", "plan": "pro"}
    assert around.tags == ("x", "y")


def test_overwriting_replaces_and_keeps_the_old_address_as_a_further_one(put, everyone) -> None:
    put(person(member_id="a", email="old@example.com", first_name="Ana"))
    put(
        person(member_id="a", email="new@example.com", first_name="Anna"),
        existing=Existing.OVERWRITE,
    )

    ((member, around),) = everyone()
    assert (member.first_name, member.email) == ("Anna", "new@example.com")
    assert [(a.value, a.is_primary) for a in around.addresses] == [
        ("old@example.com", False),
        ("new@example.com", True),
    ]


def test_skipping_changes_nobody(put, everyone) -> None:
    put(person(member_id="a", first_name="Ana"))

    assert put(person(member_id="a", location="Porto"), existing=Existing.SKIP) == [
        Result.UNCHANGED
    ]
    assert everyone()[0][0].location is None


def test_writing_the_same_again_changes_nothing(put, everyone) -> None:
    ana = {"member_id": "a", "email": "a@example.com", "tags": "x", "total_spend": "1.50"}
    put(person(**ana))
    version = everyone()[0][0].version

    assert put(person(**ana), existing=Existing.OVERWRITE) == [Result.UNCHANGED]
    assert everyone()[0][0].version == version


def test_an_import_never_overrules_a_withdrawn_consent(put, everyone) -> None:
    yes = [{"channel": "email", "state": "granted", "source": "import:1"}]
    no = [{"channel": "email", "state": "withdrawn", "source": "unsubscribe"}]
    put(person(member_id="a", consents=yes))
    put(person(member_id="a", consents=no))
    put(person(member_id="a", consents=yes))

    ((_, around),) = everyone()
    assert [consent.state.value for consent in around.consents] == ["withdrawn"]


@pytest.fixture
def create(sessions, clock, client_id):
    def run(**values):
        with write(sessions) as session:
            return edit.create_member(session, clock, HASHER, client_id=client_id, **values).id

    return run


def test_a_taken_id_is_refused(create) -> None:
    create(member_id="C-1")
    with pytest.raises(MemberKeyTakenError):
        create(member_id=" c-1 ")


def test_an_edit_needs_the_version_it_saw(create, sessions, clock, client_id) -> None:
    made = create(member_id="a", first_name="Ana", location="Porto")

    def change(version, **values):
        with write(sessions) as session:
            return edit.update_member(
                session, clock, HASHER, client_id=client_id, id=made, version=version, **values
            )

    changed = change(1, first_name="Anna", location=None)
    assert (changed.first_name, changed.location, changed.version) == ("Anna", None, 2)
    with pytest.raises(MemberChangedError):
        change(1, first_name="Ana")


def test_a_deleted_member_is_gone_and_its_id_is_free(create, sessions, clock, client_id) -> None:
    made = create(member_id="a", email="a@example.com")
    with write(sessions) as session:
        edit.delete_member(session, clock, client_id=client_id, id=made)

    with sessions() as session, pytest.raises(MemberNotFoundError):
        queries.member(session, client_id, made)
    assert create(member_id="a") != made


def test_another_clients_people_are_not_found_and_not_matched(
    create, sessions, clock, client_id
) -> None:
    made = create(member_id="a", email="a@example.com")
    with write(sessions) as session:
        other = Client(name="Other", created_at=clock.now(), updated_at=clock.now())
        session.add(other)
        session.flush()
        theirs = edit.create_member(
            session, clock, HASHER, client_id=other.id, member_id="a", email="a@example.com"
        )
        assert theirs.id != made
        with pytest.raises(MemberNotFoundError):
            queries.member(session, other.id, made)
        hashes = session.scalars(select(MemberAddress.hash)).all()
        assert len(set(hashes)) == 2
