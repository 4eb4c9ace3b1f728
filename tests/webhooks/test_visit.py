"""Mirrors webhooks/visit.py."""

from communications.communication import Communication
from communications.event import CommunicationEvent
from communications.status import Status
from core.db import write
from webhooks.click import Click
from webhooks.visit import Visit, keep


def test_visits_of_all_kinds_are_kept_together(make, desk, all_rows):
    now = desk.clock.now()
    other = make.another_client()
    ours, theirs = make.message(), other.message()
    visits = [
        Visit(make.client_id, ours, now, machine=True),
        Visit(other.client_id, theirs, now, machine=False),
        Visit(make.client_id, ours, now, machine=False),
        Visit(make.client_id, ours, now, machine=False),
        Visit(make.client_id, ours, now, machine=False, position=1),
        Visit(make.client_id, ours, now, machine=False, position=1),
        Visit(make.client_id, ours, now, machine=True, position=0),
    ]

    with write(desk.sessions) as session:
        keep(session, desk.clock, visits)

    opens = {(e.communication_id, e.machine) for e in all_rows(CommunicationEvent)}
    assert opens == {(ours, True), (ours, False), (theirs, False)}
    assert len(all_rows(CommunicationEvent)) == 3
    assert {(c.position, c.machine) for c in all_rows(Click)} == {(1, False), (0, True)}
    assert {row.status for row in all_rows(Communication)} == {Status.READ}


def test_another_clients_message_is_not_opened(make, desk, all_rows):
    theirs = make.another_client().message()

    with write(desk.sessions) as session:
        keep(session, desk.clock, [Visit(make.client_id, theirs, desk.clock.now(), machine=False)])

    assert all_rows(CommunicationEvent) == []
