"""Mirrors members/undo.py."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from core.address import AddressHasher
from core.db import write
from members import edit, queries
from members.address import MemberAddress
from members.errors import ImportStateError
from members.import_job import ImportJob, ImportStatus
from members.importing import ImportOptions, import_csv
from members.undo import advance_undo, undo_import
from members.upsert import Existing

HASHER = AddressHasher(b"h" * 32)


@pytest.fixture
def load(sessions, clock, client_id, tmp_path):
    def run(text: str, chunk: int | None = None, **options) -> ImportJob:
        path = tmp_path / "people.csv"
        path.write_text(text)
        return import_csv(
            sessions,
            clock,
            HASHER,
            client_id=client_id,
            path=path,
            filename="people.csv",
            options=ImportOptions(**options),
            chunk=chunk,
        )

    return run


@pytest.fixture(params=[1, 100])
def chunk(request) -> int:
    """Rows of one transaction."""
    return request.param


@pytest.fixture
def undo(sessions, clock, client_id):
    def run(job: ImportJob) -> ImportJob:
        with write(sessions) as session:
            undo_import(session, clock, client_id=client_id, import_id=job.id)
        for _ in range(50):
            with write(sessions) as session:
                if not advance_undo(session, clock):
                    return session.get_one(ImportJob, job.id)
        raise AssertionError("the undo does not end")

    return run


def people(sessions, client_id) -> dict[str, dict]:
    with sessions() as session:
        found = queries.members_page(session, client_id)
        around = queries.around(session, client_id, [one.id for one in found])
        return {
            one.member_id: {
                "first_name": one.first_name,
                "email": one.email,
                "attributes": one.attributes,
                "tags": around[one.id].tags,
                "primary": {a.channel: a.value for a in around[one.id].addresses if a.is_primary},
                "consents": {c.channel: c.state.value for c in around[one.id].consents},
            }
            for one in found
        }


def test_an_undo_deletes_whom_the_import_made_and_gives_the_others_back_what_they_had(
    load, undo, sessions, client_id
) -> None:
    load("member_id,first_name,email,attributes.city,tags\n1,Ana,ana@example.com,Porto,old\n")
    before = people(sessions, client_id)
    job = load(
        "member_id,first_name,email,attributes.city,tags\n"
        "1,Anna,anna@example.com,Lisbon,new\n2,Bo,bo@example.com,Rome,\n",
        existing=Existing.OVERWRITE,
    )
    assert (job.created, job.updated) == (1, 1)

    undone = undo(job)

    assert undone.status is ImportStatus.UNDONE
    assert people(sessions, client_id) == before
    told = undone.report["undo"]
    assert (told["deleted"], told["kept"], told["restored"]) == (1, 0, 1)
    again = load("member_id,email\n2,bo@example.com\n")  # the key is free
    assert again.created == 1


def test_what_somebody_touched_since_is_left_alone(load, undo, sessions, clock, client_id) -> None:
    load("member_id,first_name,attributes.city\n1,Ana,Porto\n")
    job = load("member_id,first_name,tags\n1,Anna,a\n2,Bo,\n", existing=Existing.OVERWRITE)
    with sessions() as session:
        ids = {one.member_id: one.id for one in queries.members_page(session, client_id)}
    for key, name in (("1", "Annie"), ("2", "Bob")):
        with write(sessions) as session:
            edit.update_member(
                session, clock, HASHER, client_id=client_id, id=ids[key], first_name=name
            )

    told = undo(job).report["undo"]

    found = people(sessions, client_id)
    assert {key: one["first_name"] for key, one in found.items()} == {"1": "Annie", "2": "Bob"}
    assert found["1"]["tags"] == ()  # the tag was still as the import left it
    assert (told["deleted"], told["kept"], told["restored"]) == (0, 1, 1)


def test_consents_that_an_import_gave_are_withdrawn_and_the_address_is_primary_once(
    load, undo, sessions, client_id
) -> None:
    load("member_id,email\n1,ana@example.com\n")
    job = load("member_id,email\n1,ana@example.com\n", consent_channels=["email"])
    assert people(sessions, client_id)["1"]["consents"] == {"email": "granted"}

    undo(job)

    assert people(sessions, client_id)["1"]["consents"] == {"email": "withdrawn"}
    with sessions() as session:
        assert session.scalars(select(MemberAddress.is_primary)).all() == [True]


def test_a_person_told_of_twice_gets_back_what_was_there_first(
    load, undo, sessions, client_id, chunk
) -> None:
    load("member_id,first_name\n1,Ana\n")
    text = "member_id,first_name,tags\n1,Anna,a\n1,Annie,b\n"
    job = load(text, existing=Existing.OVERWRITE, chunk=chunk)
    assert job.duplicates == 1
    assert people(sessions, client_id)["1"]["first_name"] == "Annie"

    undo(job)

    found = people(sessions, client_id)["1"]
    assert (found["first_name"], found["tags"]) == ("Ana", ())


def test_a_rehearsal_and_an_old_import_cannot_be_undone(
    load, sessions, clock, client_id, tmp_path
) -> None:
    job = load("member_id\n1\n")
    clock.advance(hours=25)

    with write(sessions) as session, pytest.raises(ImportStateError, match="24 hours"):
        undo_import(session, clock, client_id=client_id, import_id=job.id)
    assert clock.now() - job.created_at > timedelta(hours=24)
