"""Mirrors campaigns/journeys/publish.py: drafts, versions, pauses, and what is listened for."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from campaigns import usage
from campaigns.errors import (
    JourneyChangedError,
    JourneyStateError,
    NameTakenError,
    PublishBlockedError,
    TemplateInUseError,
)
from campaigns.journeys.enrolment import EnrolmentStatus
from campaigns.journeys.enter import Entry, enter
from campaigns.journeys.errors import JourneyError
from campaigns.journeys.journey import Journey, JourneyStatus
from campaigns.journeys.json import to_json
from campaigns.journeys.machine import machine
from campaigns.journeys.planning import plan
from campaigns.journeys.publish import (
    archive,
    create_journey,
    drain,
    pause,
    publish,
    resume,
    save_draft,
)
from campaigns.journeys.text import parse
from campaigns.renaming import rename_template
from core.db import read, write
from members.consent import ConsentState, Word, record_many
from members.errors import SegmentInUseError
from members.member import Member, MemberStatus
from members.segment import create_segment
from members.signal import listened
from tests.campaigns.journeys.conftest import Shop
from tests.conftest import only_postgresql
from tests.waiting import until_waiting

DAY = timedelta(days=1)
TEXT = """
journey "Welcome"
  when event signup
  when asked
  send email "hello"
  wait 1d
  send email "more"
"""


@pytest.fixture
def ready(shop: Shop) -> Shop:
    shop.template("hello")
    shop.template("more")
    return shop


def names(shop: Shop) -> set[str]:
    with read(shop.sessions) as session:
        return listened(session, shop.client_id)


def turned(shop: Shop, how, journey_id: int):
    with write(shop.sessions) as session:
        return how(session, shop.clock, client_id=shop.client_id, journey_id=journey_id)


def test_what_is_missing_is_told_all_at_once(shop: Shop) -> None:
    text = """
journey "Broken"
  when enters segment "Nobody made"
  send email "hello"
  branch
    if clicked "unknown"
      exit
"""
    with pytest.raises(PublishBlockedError) as refused:
        shop.publish(text)

    found = [(one.code, one.field) for one in refused.value.findings]
    assert found == [
        ("no_template", "steps"), ("no_segment", "triggers"), ("condition", "steps"),
    ]  # fmt: skip


def test_publishing_the_same_again_makes_no_version(ready: Shop) -> None:
    first = ready.publish(TEXT)

    assert ready.again(first, TEXT).id == first.id
    assert ready.again(first, TEXT.replace("1d", "2d")).number == 2
    assert parse(first.text) == parse(TEXT)
    assert first.ast == to_json(parse(TEXT))


def test_who_is_inside_stays_on_their_version(ready: Shop) -> None:
    first = ready.publish(TEXT)
    ana, bo = ready.member(), ready.member()
    ready.ask(first, ana)
    ready.settle()
    second = ready.again(first, TEXT.replace("1d", "5d"))
    ready.ask(second, bo)
    ready.settle()
    ready.pass_time(DAY)

    assert len(ready.log(ana)) == 2
    assert len(ready.log(bo)) == 1


def test_a_draft_saved_by_two_is_saved_by_the_first(ready: Shop) -> None:
    version = ready.publish(TEXT)
    told = {"client_id": ready.client_id, "journey_id": version.journey_id}
    with write(ready.sessions) as session:
        saved = save_draft(session, ready.clock, **told, text="not yet right", revision=1)
        assert saved.revision == 2
        with pytest.raises(JourneyChangedError):
            save_draft(session, ready.clock, **told, text="mine", revision=1)


def test_a_name_is_taken_once(ready: Shop) -> None:
    ready.publish(TEXT)
    with write(ready.sessions) as session, pytest.raises(NameTakenError):
        create_journey(session, ready.clock, client_id=ready.client_id, text=TEXT)


def test_pausing_freezes_draining_does_not_and_archiving_ends(ready: Shop) -> None:
    version = ready.publish(TEXT)
    ana, bo = ready.member(), ready.member()
    ready.ask(version, ana)
    ready.settle()
    turned(ready, pause, version.journey_id)
    ready.pass_time(2 * DAY)
    assert len(ready.log(ana)) == 1
    with pytest.raises(JourneyStateError):
        ready.ask(version, bo)

    turned(ready, resume, version.journey_id)
    ready.settle()
    assert len(ready.log(ana)) == 2
    ready.ask(version, bo)
    ready.settle()

    turned(ready, drain, version.journey_id)
    with pytest.raises(JourneyStateError):
        ready.ask(version, ready.member())
    ready.pass_time(DAY)
    assert len(ready.log(bo)) == 2

    turned(ready, resume, version.journey_id)
    cleo = ready.member()
    ready.ask(version, cleo)
    ready.settle()
    assert turned(ready, archive, version.journey_id) == 1
    ready.pass_time(2 * DAY)
    assert len(ready.log(cleo)) == 1
    assert ready.enrolments(cleo)[0].status is EnrolmentStatus.EXITED


def test_only_live_journeys_are_listened_for(ready: Shop) -> None:
    version = ready.publish(TEXT)
    assert names(ready) == {"event:signup"}

    turned(ready, pause, version.journey_id)
    assert names(ready) == set()
    ready.did("m1", "signup")
    turned(ready, resume, version.journey_id)
    ready.settle()
    assert ready.enrolments() == []
    assert names(ready) == {"event:signup"}
    turned(ready, publish, version.journey_id)
    assert names(ready) == {"event:signup"}


def test_what_happened_during_a_pause_counts_when_it_goes_on(ready: Shop) -> None:
    version = ready.publish(
        'journey "Pay"\n  when asked\n  wait until event paid\n  send email "hello"\n'
    )
    ana = ready.member()
    ready.ask(version, ana)
    ready.settle()
    turned(ready, pause, version.journey_id)
    ready.clock.advance(hours=1)
    ready.did("m1", "paid")
    ready.settle()
    assert ready.log(ana) == []

    turned(ready, resume, version.journey_id)
    ready.settle()
    assert len(ready.log(ana)) == 1


def test_a_journey_that_another_calls_keeps_its_name(ready: Shop) -> None:
    called = ready.publish('journey "A"\n  when asked\n  send email "hello"\n')
    ready.publish('journey "B"\n  when asked\n  call "A"\n')
    with pytest.raises(PublishBlockedError, match="“B” calls it “A”"):
        ready.again(called, 'journey "Z"\n  when asked\n  send email "hello"\n')


def test_whoever_asks_with_an_old_version_in_hand_lets_into_the_new_one(ready: Shop) -> None:
    old = ready.publish(TEXT)
    with read(ready.sessions) as session:
        known = machine(session, old.id)
    new = ready.again(old, TEXT.replace("1d", "2d"))
    ana = ready.member()
    with write(ready.sessions) as session:
        enter(session, ready.clock, known, [Entry(ana, ready.clock.now())], cause="asked")
    assert [one.version_id for one in ready.enrolments(ana)] == [new.id]


def test_what_was_paused_while_it_drained_drains_on(ready: Shop) -> None:
    id = ready.publish(TEXT).journey_id
    turned(ready, drain, id)
    turned(ready, pause, id)
    turned(ready, pause, id)
    assert turned(ready, resume, id).status is JourneyStatus.DRAINING
    assert turned(ready, resume, id).status is JourneyStatus.ACTIVE
    turned(ready, pause, id)
    assert turned(ready, resume, id).status is JourneyStatus.ACTIVE


def test_publishing_what_was_archived_takes_people_again(ready: Shop) -> None:
    id = ready.publish(TEXT).journey_id
    turned(ready, archive, id)
    with read(ready.sessions) as session:
        seen = plan(session, ready.clock, client_id=ready.client_id, text=TEXT)
    assert (seen.reopens, seen.says) == (True, "takes people again; changes nothing")
    assert turned(ready, publish, id).number == 1


def test_a_draft_that_cannot_be_read_is_kept_if_it_has_a_name(ready: Shop) -> None:
    make = partial(create_journey, clock=ready.clock, client_id=ready.client_id)
    with write(ready.sessions) as session:
        made = make(session, text='journey "Later"\n  snd email "hello"\n')
        assert (made.name, made.draft[:15]) == ("Later", 'journey "Later"')
        with pytest.raises(JourneyError):
            make(session, text='jurney "Later"\n')


def test_journeys_that_call_each_other_in_a_circle_are_refused(ready: Shop) -> None:
    """B092: members would go round without end."""
    first = ready.publish('journey "A"\n  when asked\n  send email "hello"\n')
    ready.publish('journey "B"\n  when asked\n  call "A"\n')
    with pytest.raises(PublishBlockedError, match="“A” → “B” → “A” call each other"):
        ready.again(first, 'journey "A"\n  when asked\n  call "B"\n')


def test_a_segment_that_a_journey_names_is_neither_deleted_nor_renamed(ready: Shop) -> None:
    """B093."""
    with write(ready.sessions) as session:
        made = create_segment(
            session, ready.clock, client_id=ready.client_id, name="Warm", rule='has tag "warm"'
        )
        told = {"client_id": ready.client_id, "segment_id": made.id}
    ready.publish(TEXT.replace("  when asked", '  when enters segment "Warm"'))

    for change in (partial(usage.change, name="Hot"), usage.delete):
        with write(ready.sessions) as session, pytest.raises(SegmentInUseError, match="Welcome"):
            change(session, ready.clock, **told)
    with read(ready.sessions) as session:
        found = [(one.kind, one.name, one.direct) for one in usage.usage(session, **told)]
    assert found == [("journey", "Welcome", True)]


def test_what_the_text_alone_shows_to_be_wrong_is_refused(ready: Shop) -> None:
    """B092: a loop without a wait."""
    text = """
journey "Round"
  when asked
  send email "hello" as again
  go to again at most 9 times
"""
    with pytest.raises(PublishBlockedError) as refused:
        ready.publish(text)
    assert [one.code for one in refused.value.findings] == ["loop_without_wait"]


def test_who_is_let_in_by_the_journey_itself_goes_round_no_more_than_100_steps_a_day(
    ready: Shop,
) -> None:
    """B092."""
    version = ready.publish(
        'journey "Round"\n  when asked\n  again always\n'
        + "".join(f'  tag "a{number}"\n' for number in range(20))
    )
    ana = ready.member()
    for _ in range(7):
        ready.clock.advance(seconds=1)
        ready.ask(version, ana)
        ready.settle()
    assert len(ready.enrolments(ana)) == 5

    ready.clock.advance(days=1)
    ready.ask(version, ana)
    assert len(ready.enrolments(ana)) == 6


def test_what_happened_during_a_pause_counts_when_it_is_drained(ready: Shop) -> None:
    version = ready.publish(
        'journey "Pay"\n  when asked\n  wait until event paid\n  send email "hello"\n'
    )
    ana = ready.member()
    ready.ask(version, ana)
    ready.settle()
    turned(ready, pause, version.journey_id)
    ready.clock.advance(hours=1)
    ready.did("m1", "paid")
    turned(ready, drain, version.journey_id)
    ready.settle()
    assert len(ready.log(ana)) == 1


def test_resuming_what_goes_on_changes_nothing(ready: Shop) -> None:
    version = ready.publish(TEXT)
    with read(ready.sessions) as session:
        before = session.get_one(Journey, version.journey_id).triggered_at
    ready.clock.advance(hours=1)
    turned(ready, resume, version.journey_id)
    with read(ready.sessions) as session:
        assert session.get_one(Journey, version.journey_id).triggered_at == before


def test_who_is_suspended_on_the_way_gets_nothing_more(ready: Shop) -> None:
    version = ready.publish(TEXT)
    ana = ready.member()
    ready.ask(version, ana)
    ready.settle()
    with write(ready.sessions) as session:
        session.get_one(Member, ana).status = MemberStatus.SUSPENDED
    ready.pass_time(DAY)
    assert len(ready.log(ana)) == 1
    assert ready.enrolments(ana)[0].end_reason == "the member is suspended"


def test_a_consent_wakes_who_waits_for_it(ready: Shop) -> None:
    version = ready.publish(
        'journey "Yes"\n  when asked\n  wait until consent sms\n  send email "hello"\n'
    )
    ana = ready.member()
    ready.ask(version, ana)
    ready.settle()
    assert ready.log(ana) == []
    word = Word(ana, "sms", ConsentState.GRANTED, "test")
    with write(ready.sessions) as session:
        record_many(session, ready.clock, client_id=ready.client_id, words=[word])
    ready.settle()
    assert len(ready.log(ana)) == 1


def test_a_call_of_a_journey_that_does_not_exist_is_refused(ready: Shop) -> None:
    ready.publish(TEXT)
    with pytest.raises(PublishBlockedError) as refused:
        ready.publish('journey "Caller"\n  when asked\n  call "Welcom"\n')
    found = [(one.code, one.remedy) for one in refused.value.findings]
    assert found == [("no_journey", "did you mean “Welcome”?")]


RENAMING: dict[str, Callable[[Any, Any, int], object]] = {
    "template": lambda session, clock, client_id: rename_template(
        session, clock, client_id=client_id, template_id=1, name="other"
    ),
    "segment": lambda session, clock, client_id: usage.change(
        session, clock, client_id=client_id, segment_id=1, name="Other"
    ),
    "no segment": lambda session, clock, client_id: usage.delete(
        session, clock, client_id=client_id, segment_id=1
    ),
}
NAMING = 'journey "J"\n  when enters segment "VIP"\n  send email "hello"\n'


@pytest.fixture
def naming(ready, sessions, clock, client_id) -> int:
    """A draft that names a segment and a template."""
    with write(sessions) as session:
        create_segment(session, clock, client_id=client_id, name="VIP", rule='tier = "elite"')
        return create_journey(session, clock, client_id=client_id, text=NAMING).id


@pytest.mark.parametrize("what", RENAMING)
@only_postgresql  # on SQLite one writes at a time
def test_what_is_being_published_is_not_renamed(naming, sessions, clock, client_id, what) -> None:
    def rename() -> None:
        with write(sessions) as session:
            RENAMING[what](session, clock, client_id)

    with ThreadPoolExecutor(1) as pool:
        with write(sessions) as session:
            publish(session, clock, client_id=client_id, journey_id=naming)
            renamed = pool.submit(rename)
            until_waiting(session, renamed)
        with pytest.raises((TemplateInUseError, SegmentInUseError), match="J"):
            renamed.result()


@pytest.mark.parametrize("what", RENAMING)
@only_postgresql  # on SQLite one writes at a time
def test_what_is_being_renamed_is_not_published_by_its_old_name(
    naming, sessions, clock, client_id, what
) -> None:
    def go_live() -> None:
        with write(sessions) as session:
            publish(session, clock, client_id=client_id, journey_id=naming)

    with ThreadPoolExecutor(1) as pool:
        with write(sessions) as session:
            RENAMING[what](session, clock, client_id)
            published = pool.submit(go_live)
            until_waiting(session, published)
        with pytest.raises(PublishBlockedError):
            published.result()
