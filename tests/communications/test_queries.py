"""Mirrors communications/queries.py."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from sqlalchemy import event, text

from channels.channel import Channel
from communications import queries
from communications.communication import Reason
from communications.content import ContentStore, VersionContent
from communications.errors import CommunicationNotFoundError
from communications.status import Status
from communications.urls import Urls
from core.db import write
from core.page import NEWEST, OLDEST, Walk
from core.token import Signer
from members.address import MemberAddress
from members.member import Member
from tests.conftest import only_postgresql

FINAL = [
    # status, clicked: what it counts as, beside audience
    (Status.QUEUED, False, {"queued"}),
    (Status.SENDING, False, {"queued"}),
    (Status.UNKNOWN, False, {"unknown"}),
    (Status.SKIPPED, False, {"skipped"}),
    (Status.FAILED, False, {"failed"}),
    (Status.SENT, False, {"sent", "pending"}),
    (Status.BOUNCED, False, {"sent", "bounced"}),
    (Status.DELIVERED, False, {"sent", "delivered"}),
    (Status.READ, False, {"sent", "delivered", "read"}),
    (Status.CLICKED, True, {"sent", "delivered", "read", "clicked"}),
    (Status.REPLIED, False, {"sent", "delivered", "read", "replied"}),
    (Status.REPLIED, True, {"sent", "delivered", "read", "clicked", "replied"}),
]


@pytest.mark.parametrize(("status", "clicked", "columns"), FINAL)
def test_each_status_counts_where_it_belongs(
    status, clicked, columns, make_rows, sessions, clock
) -> None:
    make_rows(
        2,
        run_id=1,
        address_hash=None,
        status=status,
        reason=Reason.SUPPRESSED if status is Status.SKIPPED else None,
        lease_until=clock.now() if status is Status.SENDING else None,
        clicked_at=clock.now() if clicked else None,
    )

    with sessions() as session:
        totals = queries.run_statistics(session, 1)[Channel.EMAIL]

    reasons = totals.pop("skipped_reasons")
    assert {name for name, count in totals.items() if count} == columns | {"audience"}
    assert set(totals.values()) <= {0, 2}
    assert reasons == ({"suppressed": 2} if status is Status.SKIPPED else {})


def test_the_sums_always_add_up(make_rows, sessions, clock) -> None:
    for status, clicked, _ in FINAL:
        make_rows(
            3,
            run_id=1,
            address_hash=None,
            status=status,
            reason=Reason.EXPIRED,
            lease_until=clock.now(),
            clicked_at=clock.now() if clicked else None,
        )

    with sessions() as session:
        got = queries.run_statistics(session, 1)[Channel.EMAIL]

    parts = ("sent", "skipped", "failed", "unknown", "queued")
    assert got["audience"] == sum(got[name] for name in parts) == 3 * len(FINAL)
    assert got["sent"] == got["delivered"] + got["bounced"] + got["pending"]


def test_pages_go_back_in_time_and_filter(make_rows, sessions, client_id) -> None:
    ids = make_rows(5)
    (skipped,) = make_rows(1, status=Status.SKIPPED, reason=Reason.NO_CONSENT)

    with sessions() as session:
        page = queries.communications_page(session, client_id, limit=2)
        assert [row.id for row in page] == [skipped, ids[4]]
        page = queries.communications_page(
            session, client_id, walk=Walk(descending=True, edge=(ids[2],)), limit=10
        )
        assert [row.id for row in page] == [ids[1], ids[0]]
        page = queries.communications_page(session, client_id, reason=Reason.NO_CONSENT)
        assert [row.id for row in page] == [skipped]


def test_another_clients_row_is_not_found(make_rows, sessions, client_id) -> None:
    (mine,) = make_rows()

    with sessions() as session:
        assert queries.communication(session, client_id, mine).id == mine
        with pytest.raises(CommunicationNotFoundError):
            queries.communication(session, client_id + 1, mine)
        assert queries.communications_page(session, client_id + 1) == []


def test_content_is_rendered_again_exactly(make_rows, sessions, row) -> None:
    signer = Signer(b"s" * 32)
    content = VersionContent(
        client_id=1,
        channel=Channel.EMAIL,
        subject="Hi {{ member.first_name }}",
        html="<p>{{ member.first_name }}</p>",
        text="Hi {{ member.first_name }} {{ unsubscribe_url }}",
    )
    urls = Urls("https://m.example", signer)
    store = ContentStore(lambda session, version: content, urls)
    (templated,) = make_rows(1, template_version_id=1, merge={"first_name": "A<na"})
    (single,) = make_rows(1, subject="s", content="t")

    with sessions() as session:
        faces = queries.rendered(session, store, row(templated))
        assert faces["subject"] == "Hi A<na"
        assert "A&lt;na" in faces["html"]
        assert faces["text"] == f"Hi A<na {urls.unsubscribe(templated)}"
        assert queries.rendered(session, store, row(single)) == {"subject": "s", "text": "t"}


def test_a_reply_answers_the_newest_message_sent_to_that_address(
    make_rows, sessions, clock, client_id
) -> None:
    with write(sessions) as session:
        now = clock.now()
        member = Member(client_id=client_id, member_id="ana", created_at=now, updated_at=now)
        session.add(member)
        session.flush()
        session.add(
            MemberAddress(
                client_id=client_id,
                member_id=member.id,
                channel="email",
                value="m0@example.com",
                hash="hash-0",
                created_at=now,
                updated_at=now,
            )
        )
        member_id = member.id
    make_rows(1, member_id=member_id, sent_at=clock.now(), status=Status.SENT)
    (newest,) = make_rows(1, member_id=member_id, sent_at=clock.now(), status=Status.SENT)
    make_rows(1, member_id=member_id)

    with sessions() as session:
        found = queries.latest_to(session, client_id, Channel.EMAIL, "hash-0")
        assert found is not None
        assert found.id == newest
        assert queries.latest_to(session, client_id, Channel.EMAIL, "hash-9") is None


@pytest.mark.parametrize("walk", [NEWEST, OLDEST], ids=["newest", "oldest"])
def test_filters_together_mean_what_each_of_them_means(make_rows, sessions, client_id, walk):
    drawn = ((1, Status.SENT, 9), (2, Status.SENT, 8), (1, Status.READ, 9), (1, Status.SENT, 7)) * 2
    for number, (campaign_id, status, run_id) in enumerate(drawn, 1):
        told = {"status": status, "run_id": run_id, "member_id": number, "address_hash": None}
        make_rows(1, campaign_id=campaign_id, **told)
    given = {"campaign_id": 1, "status": Status.SENT, "channel": Channel.EMAIL, "run_id": 9}
    with write(sessions) as session:
        every = queries.communications_page(session, client_id, walk=walk)
        for some in (pair for size in (1, 2, 3) for pair in combinations(given, size)):
            asked: dict[str, Any] = {name: given[name] for name in some}
            meant = [
                row.id for row in every
                if all(getattr(row, name) == value for name, value in asked.items())
            ]  # fmt: skip
            found = queries.communications_page(session, client_id, walk=walk, **asked)
            assert (some, [row.id for row in found]) == (some, meant)


@only_postgresql  # SQLite needs one index
def test_an_old_campaigns_page_reads_no_younger_messages_of_a_status(
    make_rows, sessions, client_id
):
    make_rows(60, campaign_id=1, status=Status.SENT)
    make_rows(200, campaign_id=2, status=Status.SENT)
    with write(sessions) as session:
        session.execute(text("ANALYZE communications"))
        for way in ("nestloop", "hashjoin", "seqscan", "bitmapscan"):
            session.execute(text(f"SET LOCAL enable_{way} = off"))
        connection = session.connection()
        told = []
        event.listen(connection, "before_cursor_execute", lambda *given: told.append(given[2:4]))
        asked = {"campaign_id": 1, "status": Status.SENT}
        assert len(queries.communications_page(session, client_id, **asked, limit=5)) == 5
        ((said, values),) = told
        explained = "EXPLAIN (ANALYZE, FORMAT JSON) " + said
        (plan,) = connection.exec_driver_sql(explained, values).scalar_one()
    of_ids = [node for node in nodes(plan["Plan"]) if "Join" in node["Node Type"]][-1]
    assert max(node["Actual Rows"] for node in nodes(of_ids)) < 60


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)
