"""Mirrors campaigns/journeys/recipe.py: every recipe is sound, and leads people to its end."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from accounts.client import update_client
from campaigns.errors import RecipeNotFoundError
from campaigns.journeys.ast import Elevate
from campaigns.journeys.check import findings
from campaigns.journeys.enrolment import EnrolmentStatus
from campaigns.journeys.journey import JourneyStatus, JourneyVersion
from campaigns.journeys.publish import publish, save_draft
from campaigns.journeys.recipe import Recipe, install, preview, recipe, recipes
from campaigns.journeys.text import format, parse
from campaigns.preview import shown
from campaigns.template import Template, TemplateVersion, load_content, new_version
from channels.adapter import EventType, ProviderEvent
from channels.channel import Channel
from channels.template import compile_template
from communications.communication import Communication, Direction, MessageType
from communications.receipt import learn_fact
from communications.status import Status
from core.db import read, write
from members.consent import ConsentState, record
from members.member import MemberTag
from members.signal import REPLY, Heard, signal
from tests.campaigns.journeys.conftest import Shop

DAY = timedelta(days=1)
RECIPES = {one.name: one for one in recipes()}
ADDRESSES = {"email": "ana@example.com", "sms": "+14155550100", "push": "device-token"}
FOUNDATION = {
    "sender": "Mia",
    "gift": "The checklist",
    "gift_url": "https://shop.example/gift",
    "offer": "The course",
    "offer_url": "https://shop.example/course",
    "next_offer": "The masterclass",
    "next_offer_url": "https://shop.example/master",
    "pains": ["no time", "no list"],
}
ORDER = ("purchase", {"order_id": "o1", "total": 40, "product": "The course"})
ENTRY: dict[str, tuple[str, dict[str, Any]]] = {
    "abandoned-cart": ("checkout_started", {"cart_id": "c1", "url": "https://shop.example/c"}),
    "action-reminder": (
        "action_item_due",
        {"action_id": "a1", "title": "Write it down", "due_date": "2026-11-23"},
    ),
    "educate": ORDER,
    "gift": ("opted_in", {}),
    "notifications": ("notification", {"title": "New reply", "message": "Bo wrote"}),
    "nurture": ("opted_in", {}),
    "review-request": ORDER,
    "share": ("review", {"rating": 5}),
    "upsell": ORDER,
}
"""How people come in; the others are asked."""


# ---- each recipe by itself


def test_the_nine_steps_come_first_in_their_order() -> None:
    names = list(RECIPES)

    assert names[:9] == [stage.casefold() for stage in Elevate]
    assert {"welcome", "win-back", "abandoned-cart", "review-request"} < set(names[9:])
    assert {"action-reminder", "notifications"} < set(names[9:])
    for stage in Elevate:
        assert stage in RECIPES[stage.casefold()].stages


@pytest.mark.parametrize("one", RECIPES.values(), ids=RECIPES)
def test_a_recipe_is_sound_and_written_as_the_formatter_writes(one: Recipe) -> None:
    assert findings(one.journey) == []
    assert format(one.journey).strip() == one.text.strip()
    assert parse(one.text) == one.journey


@pytest.mark.parametrize("one", RECIPES.values(), ids=RECIPES)
def test_a_recipe_uses_each_template_it_brings_and_only_those(one: Recipe) -> None:
    words = {part for place, part in enumerate(one.text.split('"')) if place % 2}

    for template in one.templates:
        assert template.name in words
        assert template.compiled().has_unsubscribe or template.channel is not Channel.EMAIL
        if template.channel is Channel.SMS:
            assert template.text is not None
            assert template.text.isascii()


def test_nurture_and_upsell_speak_by_email_sms_and_push() -> None:
    for name in ("nurture", "upsell"):
        assert RECIPES[name].channels == [Channel.EMAIL, Channel.PUSH, Channel.SMS]
        assert len(RECIPES[name].templates) > 15


def test_the_page_lists_every_recipe_in_its_order() -> None:
    page = (Path(__file__).parents[3] / "docs/howto/recipes.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| .* \| (.*) \|$", page, re.MULTILINE)

    assert [name for name, _ in rows] == [
        *[stage.casefold() for stage in Elevate],
        "welcome", "win-back", "abandoned-cart", "review-request", "action-reminder",
        "notifications",
    ]  # fmt: skip
    assert {name for name, _ in rows} == set(RECIPES)
    for name, events in rows:
        for event in set(RECIPES[name].events) - {"form"}:
            assert f"`{event}`" in events, f"{name} needs {event}"


def test_an_unknown_recipe_is_refused_with_the_nearest() -> None:
    with pytest.raises(RecipeNotFoundError) as caught:
        recipe("nurtur")

    assert "nurture" in (caught.value.remedy or "")


# ---- installing


def test_installing_twice_changes_nothing(shop: Shop) -> None:
    with write(shop.sessions) as session:
        first = install(session, shop.clock, client_id=shop.client_id, name="welcome")
        told = {"client_id": shop.client_id, "journey_id": first.journey.id}
        save_draft(session, shop.clock, **told, text="mine now")
        template = session.scalar(select(Template).where(Template.name == "welcome hello sms"))
        assert template is not None
        new_version(
            session, shop.clock, client_id=shop.client_id, template_id=template.id, text="Mine"
        )
    with write(shop.sessions) as session:
        again = install(session, shop.clock, client_id=shop.client_id, name="welcome")
        versions = session.scalars(select(TemplateVersion)).all()

    assert (first.created, len(first.templates)) == (True, 6)
    assert (again.created, again.templates) == (False, [])
    assert again.journey.id == first.journey.id
    assert again.journey.draft == "mine now"
    assert again.journey.status is JourneyStatus.DRAFT
    assert again.journey.version_id is None
    assert len(versions) == 7


def test_an_installation_says_which_facts_are_missing(shop: Shop) -> None:
    foundation(shop)
    with write(shop.sessions) as session:
        installed = install(session, shop.clock, client_id=shop.client_id, name="upsell")

    assert installed.missing == ["goals", "guide_url", "review_url"]
    assert installed.unserved == []


def test_a_preview_shows_the_foundation_and_stores_nothing(shop: Shop) -> None:
    with read(shop.sessions) as session:
        before = preview(session, shop.client_id, "nurture")
    foundation(shop)
    with read(shop.sessions) as session:
        after = preview(session, shop.client_id, "nurture")
        stored = session.scalars(select(Template)).all()

    assert before["nurture gift email"]["subject"] == "Here is your guide"
    assert after["nurture gift email"]["subject"] == "Here is The checklist"
    assert 'href="https://shop.example/gift"' in after["nurture gift email"]["html"]
    assert stored == []


# ---- playing


@pytest.mark.parametrize("name", RECIPES)
def test_who_never_answers_is_led_to_the_end(shop: Shop, name: str) -> None:
    ana = shop.member(addresses=ADDRESSES, member_id="ana")
    begin(shop, name, ana)

    until(shop, 80 * DAY)

    (entry,) = shop.enrolments(ana)
    assert entry.status is EnrolmentStatus.COMPLETED, entry.error
    sent = shop.log(ana)
    assert sent
    assert {one.status for one in sent} == {Status.QUEUED}
    for one in sent:
        faces = said(shop, one)
        assert "{{" not in "".join(faces.values())
        assert "{%" not in "".join(faces.values())


@pytest.mark.parametrize("name", RECIPES)
def test_who_said_no_gets_nothing(shop: Shop, name: str) -> None:
    ana = shop.member(addresses=ADDRESSES, consents=(), withdrawn=tuple(ADDRESSES), member_id="ana")
    begin(shop, name, ana)

    until(shop, 80 * DAY)

    assert [one.status for one in shop.enrolments(ana)] == [EnrolmentStatus.EXITED]
    assert shop.log(ana) == []


def test_nurture_with_a_reply_a_click_and_a_purchase(shop: Shop) -> None:
    ana = shop.member(addresses=ADDRESSES, member_id="ana", first_name="Ana")
    begin(shop, "nurture", ana)
    gift = shop.log(ana)[0]
    assert "Hi Ana" in said(shop, gift)["html"]
    click(shop, gift)
    until(shop, 3 * DAY)
    assert names(shop, ana) == ["nurture gift email", "nurture question email"]

    reply(shop, ana, "No time, mostly")
    until(shop, 10 * DAY)
    assert names(shop, ana)[2:] == [
        "nurture thanks email", "nurture story email", "nurture steps email",
    ]  # fmt: skip

    until(shop, 7 * DAY, to="offer")
    click(shop, shop.log(ana)[-1])
    until(shop, 2 * DAY)
    assert names(shop, ana)[5:] == ["nurture offer email", "nurture doubt sms"]
    reply(shop, ana, "Yes!")
    assert names(shop, ana)[7:] == ["nurture talk sms"]
    assert tags(shop, ana) == {"answered", "wants-to-talk"}
    before = len(shop.log(ana))

    shop.did("ana", *ORDER)
    shop.settle()
    until(shop, 60 * DAY)

    (entry,) = shop.enrolments(ana)
    assert (entry.status, entry.end_reason) == (EnrolmentStatus.GOAL, "event purchase")
    assert len(shop.log(ana)) == before
    stages = [step for step, _ in shop.trail(ana) if step.startswith("stage-")]
    assert stages == ["stage-gift", "stage-identify", "stage-engage", "stage-sell"]


def test_nurture_ends_with_an_opt_out_in_the_middle(shop: Shop) -> None:
    ana = shop.member(addresses=ADDRESSES, member_id="ana", email=ADDRESSES["email"])
    bo = shop.member(addresses={"email": "bo@example.com"}, member_id="bo", email="bo@example.com")
    begin(shop, "nurture", ana, bo)
    until(shop, 12 * DAY)
    told = names(shop, ana)
    assert len(told) > 3

    opt_out(shop, ana, "email")
    until(shop, 80 * DAY)

    assert names(shop, ana) == told
    (entry,) = shop.enrolments(ana)
    assert entry.status is EnrolmentStatus.EXITED
    assert "not agreed to marketing by email" in (entry.end_reason or "")
    # Who stays hears the rest, where there is no phone by email.
    assert len(names(shop, bo)) > len(told)
    assert names(shop, bo)[-1] == "nurture stay email"
    assert tags(shop, bo) == {"cold-lead"}


def test_a_stopped_phone_leaves_email(shop: Shop) -> None:
    ana = shop.member(addresses=ADDRESSES, member_id="ana")
    begin(shop, "upsell", ana)
    opt_out(shop, ana, "sms")
    opt_out(shop, ana, "push")

    until(shop, 5 * DAY)

    start = [one for one in shop.log(ana) if one.channel is not Channel.EMAIL]
    assert {(one.status, one.reason) for one in start} == {(Status.SKIPPED, "no_consent")}
    assert names(shop, ana) == ["upsell thanks email", "upsell start email"]


def test_upsell_with_a_reply_a_click_and_the_next_purchase(shop: Shop) -> None:
    ana = shop.member(addresses=ADDRESSES, member_id="ana")
    begin(shop, "upsell", ana)
    until(shop, 4 * DAY)
    assert names(shop, ana) == ["upsell thanks email", "upsell start push"]
    assert "The course" in said(shop, shop.log(ana)[0])["html"]

    reply(shop, ana, "done")
    until(shop, 8 * DAY, to="offer")
    assert names(shop, ana)[2:] == ["upsell well-done sms", "upsell offer email"]
    click(shop, shop.log(ana)[-1])
    until(shop, 2 * DAY)
    reply(shop, ana, "yes please")
    assert names(shop, ana)[4:] == ["upsell doubt sms", "upsell talk sms"]
    before = len(shop.log(ana))
    shop.did("ana", "purchase", {"order_id": "o2", "total": 200})
    shop.settle()
    until(shop, 60 * DAY)

    (entry,) = shop.enrolments(ana)
    assert entry.status is EnrolmentStatus.GOAL
    assert len(shop.log(ana)) == before
    assert tags(shop, ana) == {"first-win", "wants-next-offer"}


def test_upsell_ends_with_a_refund(shop: Shop) -> None:
    ana = shop.member(addresses=ADDRESSES, member_id="ana")
    begin(shop, "upsell", ana)
    until(shop, 5 * DAY)
    told = names(shop, ana)

    shop.did("ana", "refund", {"order_id": "o1"})
    shop.settle()
    until(shop, 60 * DAY)

    assert names(shop, ana) == told
    assert shop.enrolments(ana)[0].status is EnrolmentStatus.EXITED


def test_what_was_sent_stays_as_it_was_when_the_foundation_changes(shop: Shop) -> None:
    ana = shop.member(addresses=ADDRESSES, member_id="ana")
    begin(shop, "nurture", ana)
    with write(shop.sessions) as session:
        update_client(
            session, shop.clock, client_id=shop.client_id, settings={"foundation": {"gift": "New"}}
        )

    assert said(shop, shop.log(ana)[0])["subject"] == "Here is The checklist"


def test_ten_notifications_are_one_message(shop: Shop) -> None:
    ana = shop.member(addresses=ADDRESSES, member_id="ana")
    begin(shop, "notifications", ana)
    for number in range(9):
        shop.clock.advance(seconds=60)
        shop.did("ana", "notification", {"title": f"Reply {number}", "message": "hi"})
        shop.settle()

    until(shop, DAY)

    (one,) = shop.log(ana)
    assert said(shop, one)["title"] == "New reply and 9 more"


# ---- helpers


def foundation(shop: Shop) -> None:
    with write(shop.sessions) as session:
        update_client(
            session, shop.clock, client_id=shop.client_id, settings={"foundation": FOUNDATION}
        )


def begin(shop: Shop, name: str, *member_ids: int) -> JourneyVersion:
    """Install and publish a recipe, and let members in as they come in life."""
    foundation(shop)
    with write(shop.sessions) as session:
        made = install(session, shop.clock, client_id=shop.client_id, name=name).journey
        version = publish(session, shop.clock, client_id=shop.client_id, journey_id=made.id)
    if name in ENTRY:
        for key in ("ana", "bo")[: len(member_ids)]:
            shop.did(key, *ENTRY[name])
    else:
        shop.ask(version, *member_ids)
    shop.settle()
    return version


def until(shop: Shop, over: timedelta, to: str | None = None) -> None:
    """Let time go by from one thing that is due to the next; with `to`, until this step is left."""
    end = shop.clock.now() + over
    while True:
        due = [one.due_at for one in shop.enrolments() if one.due_at is not None]
        moment = min([*due, end])
        shop.clock.set(max(moment, shop.clock.now()))
        shop.settle()
        if moment >= end or (to and any(step == to for step, _ in _trails(shop))):
            return


def _trails(shop: Shop) -> Sequence[tuple[str, str]]:
    return [one for entry in shop.enrolments() for one in shop.trail(entry.member_id)]


def click(shop: Shop, message: Communication) -> None:
    event = ProviderEvent(EventType.CLICKED, f"c{message.id}", shop.clock.now(), None, None, "")
    with write(shop.sessions) as session:
        learn_fact(
            session, shop.clock, client_id=shop.client_id, communication_id=message.id,
            event=event, source="tracking",
        )  # fmt: skip
    shop.settle()


def reply(shop: Shop, member_id: int, text: str) -> None:
    now: datetime = shop.clock.advance(seconds=60)
    with write(shop.sessions) as session:
        told = Communication(
            client_id=shop.client_id, member_id=member_id, channel=Channel.SMS,
            direction=Direction.INBOUND, message_type=MessageType.SUPPORT, content=text,
            status=Status.DELIVERED, not_before=now, created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(told)
        session.flush()
        heard = [Heard(REPLY, member_id, now, told.id)]
        signal(session, client_id=shop.client_id, heard=heard)
    shop.settle()


def opt_out(shop: Shop, member_id: int, channel: str) -> None:
    with write(shop.sessions) as session:
        record(
            session, shop.clock, client_id=shop.client_id, member_id=member_id, channel=channel,
            state=ConsentState.WITHDRAWN, source="test",
        )  # fmt: skip


def names(shop: Shop, member_id: int) -> list[str]:
    """The templates of what was sent, in order."""
    query = (
        select(Template.name)
        .join(TemplateVersion, TemplateVersion.template_id == Template.id)
        .join(Communication, Communication.template_version_id == TemplateVersion.id)
        .where(
            Communication.member_id == member_id,
            Communication.direction == Direction.OUTBOUND,
            Communication.status != Status.SKIPPED,
        )
        .order_by(Communication.id)
    )
    with read(shop.sessions) as session:
        return list(session.scalars(query))


def tags(shop: Shop, member_id: int) -> set[str]:
    with read(shop.sessions) as session:
        return set(session.scalars(select(MemberTag.tag).where(MemberTag.member_id == member_id)))


def said(shop: Shop, one: Communication) -> dict[str, str]:
    """A message as it is shown later."""
    with read(shop.sessions) as session:
        content = load_content(session, one.template_version_id or 0)
    compiled = compile_template(
        content.channel, subject=content.subject, html=content.html, text=content.text
    )
    return shown(compiled, one.merge, content.client)
