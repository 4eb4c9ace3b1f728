"""Mirrors members/erasure.py."""

import pytest
from sqlalchemy import select

from communications.communication import Communication
from core.db import write
from echelonx.tables import METADATA
from members.edit import delete_member, set_tags
from members.erasure import erase, erasures_page
from members.errors import ErasureError, MemberNotFoundError
from members.member import Member
from members.merge import merge
from members.note import write_note
from members.suppression import Scope, Suppression, SuppressionReason, is_suppressed, suppress
from tests.factories import Factory

SECRETS = ("Ana", "Steinmann", "ana@example.com", "+12015550123", "Likes tea", "Hello you", "old-7")


@pytest.fixture
def make(sessions, clock, client_id) -> Factory:
    return Factory(sessions, clock, client_id)


@pytest.fixture
def ana(make, sessions, clock, client_id) -> int:
    """A person with belongings, into whom another was merged."""
    member_id = make.member(
        member_id="ana-1",
        first_name="Ana",
        last_name="Steinmann",
        email="ana@example.com",
        attributes={"pet": "Steinmann"},
    )
    make.address(member_id, "email", "ana@example.com")
    absorbed = make.member(member_id="old-7", first_name="Ana", phone="+12015550123")
    make.address(absorbed, "sms", "+12015550123")
    make.message(
        member_id,
        to_address="ana@example.com",
        subject="Hello you",
        merge={"first_name": "Ana"},
    )
    with write(sessions) as session:
        write_note(
            session, clock, client_id=client_id, member_id=member_id, author="a", text="Likes tea"
        )
        set_tags(session, clock, client_id=client_id, id=member_id, add=["vip"])
        merge(session, clock, client_id=client_id, survivor_id=member_id, absorbed_id=absorbed)
        suppress(
            session,
            clock,
            client_id=client_id,
            channel="email",
            address_hash=make.hash("email", "ana@example.com"),
            masked="a***",
            scope=Scope.ALL,
            reason=SuppressionReason.UNSUBSCRIBED,
        )
    return member_id


def everything(sessions) -> str:
    """Every value of every row, as text."""
    with sessions() as session:
        return "\n".join(
            str(dict(row))
            for table in METADATA.sorted_tables
            for row in session.execute(select(table)).mappings()
        )


def test_nothing_of_the_person_is_left_but_the_suppression(
    make, ana, sessions, clock, client_id
) -> None:
    before = everything(sessions)
    assert all(secret in before for secret in SECRETS)
    bo = make.member(first_name="Bohdan", email="bo@example.com")
    with write(sessions) as session:
        delete_member(session, clock, client_id=client_id, id=ana)
    with write(sessions) as session:
        receipt = erase(session, clock, make.hasher, client_id=client_id, id=ana, actor="key:1")

    after = everything(sessions)
    assert [secret for secret in SECRETS if secret in after] == []
    assert receipt.digest == make.hasher.hash(client_id, "member_id", "ana-1")
    assert receipt.erased["addresses"] == 2
    assert receipt.erased["communications"] == 1
    with sessions() as session:
        assert is_suppressed(
            session,
            client_id=client_id,
            channel="email",
            address_hash=make.hash("email", "ana@example.com"),
            marketing=False,
        )
        assert session.scalars(select(Communication.status)).all() == ["sent"]
        assert session.scalars(select(Communication.content_removed_at)).all() == [clock.now()]
        assert session.get_one(Member, bo).email == "bo@example.com"
        assert [one.id for one in erasures_page(session, client_id)] == [receipt.id]


def test_erasing_is_the_second_step_and_done_once(make, ana, sessions, clock, client_id) -> None:
    def run(id: int = ana, whose: int = client_id) -> None:
        with write(sessions) as session:
            erase(session, clock, make.hasher, client_id=whose, id=id)

    with pytest.raises(ErasureError) as refused:
        run()
    assert refused.value.remedy
    with write(sessions) as session:
        delete_member(session, clock, client_id=client_id, id=ana)
        absorbed = session.scalars(select(Member.id).where(Member.merged_into == ana)).one()
    with pytest.raises(ErasureError):
        run(absorbed)
    with pytest.raises(MemberNotFoundError):
        run(ana, make.another_client().client_id)
    run()
    with pytest.raises(ErasureError):
        run()


def test_no_import_brings_an_erased_address_back(make, sessions, clock, client_id) -> None:
    ana = make.member(member_id="ana-1")
    for kind, address in (("email", "ana@example.com"), ("sms", "+12015550123")):
        make.address(ana, kind, address)
    make.address(make.member(), "sms", "+12015550123")  # a family's number
    with write(sessions) as session:
        suppress(
            session, clock, client_id=client_id, channel="email", masked="a***@e***.com",
            address_hash=make.hasher.hash(client_id, "email", "ana@example.com"),
            scope=Scope.MARKETING, reason=SuppressionReason.UNSUBSCRIBED,
        )  # fmt: skip
        delete_member(session, clock, client_id=client_id, id=ana)
        erase(session, clock, make.hasher, client_id=client_id, id=ana)
    make.address(make.member(member_id="ana-1"), "email", "ana@example.com")
    with sessions() as session:
        kept = select(Suppression.channel, Suppression.reason, Suppression.masked)
        assert {tuple(row) for row in session.execute(kept)} == {
            ("email", SuppressionReason.ERASED, "erased"),
            ("email", SuppressionReason.UNSUBSCRIBED, "erased"),
        }
        for kind, address in (("email", "ana@example.com"), ("sms", "+12015550123")):
            assert is_suppressed(
                session,
                client_id=client_id,
                channel=kind,
                address_hash=make.hash(kind, address),
                marketing=False,
            ) is (kind == "email")
