"""Random journeys, for properties."""

from datetime import time, timedelta

from hypothesis import strategies as st

from campaigns.journeys import normal
from campaigns.journeys.ast import (
    MEMBER_TIME,
    Again,
    Arm,
    Branch,
    Call,
    Case,
    Check,
    Content,
    Digest,
    Elevate,
    Every,
    Exit,
    Goal,
    GoTo,
    Happens,
    Journey,
    Limit,
    OnDate,
    OnEvent,
    OnForm,
    OnReply,
    OnRequest,
    OnSchedule,
    OnSegment,
    Option,
    Quiet,
    Replies,
    Send,
    Set,
    Split,
    Stage,
    Tag,
    Wait,
    WaitFor,
    WaitTime,
    Webhook,
)
from campaigns.journeys.spelling import MAX_LENGTH, MAX_LEVELS, format, levels
from channels.channel import Channel
from core.condition.ast import Compare, Everyone, HasTag, Op, Or, Reachable
from tests.members.conditions import LETTERS, conditions

TEXTS = st.sampled_from(["Welcome", 'say "x"', "a\\b", "# no", "two\nlines", "São 😀"]) | (
    st.text(LETTERS + "#\r\t:/-", min_size=1, max_size=5)
)
NAMES = TEXTS.map(str.strip).filter(bool)
COMMENTS = st.lists(
    st.sampled_from(["why", "", "# twice", 'send sms "x"', "journey"])
    | st.text(LETTERS.replace("\n", "") + "\r\t#", max_size=5).map(str.strip),
    max_size=2,
).map(tuple)
OVERS = st.sampled_from(
    [timedelta(seconds=1), timedelta(hours=36), timedelta(days=7), timedelta(days=30)]
) | st.integers(1, 5 * 365 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
TIMES = st.builds(time, st.integers(0, 23), st.integers(0, 59))
ZONES = st.sampled_from([MEMBER_TIME, "UTC", "Europe/Berlin", "Etc/GMT+5", "Africa/Porto-Novo"])
CHANNELS = st.sampled_from(Channel)
EVENTS = st.sampled_from(["purchase", "opted in", "by", "if", "add-to-cart", "9 lives", "event"])
KEYS = st.sampled_from(["order_id", "status", "by", "Id"])
STEP_NAMES = st.none() | st.sampled_from(["joined", "a", "as", "hook-1", "x_9-", "hook"])
CONDITIONS = (
    st.sampled_from([Everyone(), HasTag("a"), Or((Reachable("sms"), HasTag("a")))]) | conditions()
)
ONLY = st.none() | CONDITIONS


def _tests() -> st.SearchStrategy[tuple[Compare, ...]]:
    test = st.builds(
        Compare, st.sampled_from(["total", "order_id", "tier"]), st.just(Op.IS_SET)
    ) | st.builds(Compare, st.just("n"), st.just(Op.GT), st.integers(-5, 5))
    return st.lists(test, max_size=2).map(tuple)


HAPPENS = st.builds(Happens, EVENTS, _tests(), st.none() | KEYS)
REPLIES = st.builds(
    Replies,
    st.lists(st.sampled_from(["yes", "ok", 'x"y', "ß"]), max_size=3).map(tuple),
    st.none() | CHANNELS,
)


def triggers() -> st.SearchStrategy[object]:
    """Whatever starts a journey."""
    fields = st.sampled_from(["date_of_birth", "last_active", "attributes.renewal"])
    days = {Every.DAY: st.just(0), Every.WEEK: st.integers(0, 6), Every.MONTH: st.integers(1, 31)}
    return st.one_of(
        st.builds(OnEvent, HAPPENS, ONLY),
        st.builds(OnReply, REPLIES, ONLY),
        st.builds(OnForm, NAMES, ONLY),
        st.builds(OnSegment, NAMES, st.booleans(), ONLY),
        st.builds(OnDate, fields, st.integers(-400, 400), TIMES, ZONES, st.booleans(), ONLY),
        st.builds(OnRequest, ONLY),
        *[
            st.builds(OnSchedule, st.just(every), CONDITIONS, on, TIMES, ZONES)
            for every, on in days.items()
        ],
    ).map(normal.trigger)


def _sends() -> st.SearchStrategy[object]:
    contents = st.lists(st.builds(Content, NAMES, st.integers(0, 100)), min_size=1, max_size=3)
    options = st.lists(st.builds(Option, CHANNELS, contents.map(tuple)), min_size=1, max_size=3)
    return st.builds(Send, options=options.map(tuple), name=STEP_NAMES, comments=COMMENTS)


def _sets() -> st.SearchStrategy[object]:
    values = st.one_of(
        st.none(), st.booleans(), TEXTS, st.integers(-9, 9), st.floats(-1e9, 1e9, width=32)
    )
    return st.builds(
        Set, field=st.sampled_from(["attributes.stage", "attributes.To"]), value=values
    ) | st.builds(Set, field=st.sampled_from(["location", "first_name"]), value=st.none() | TEXTS)


def leaves() -> st.SearchStrategy[object]:
    """Any step without others in it."""
    base = {"name": STEP_NAMES, "comments": COMMENTS}
    targets = st.sampled_from([*Elevate, "joined", "hook", "nowhere"])
    return st.one_of(
        _sends(),
        _sets(),
        st.builds(Wait, over=OVERS, **base),
        st.builds(WaitTime, at=TIMES, weekday=st.none() | st.integers(0, 6), zone=ZONES, **base),
        st.builds(WaitFor, what=HAPPENS | REPLIES | CONDITIONS, timeout=st.none() | OVERS, **base),
        st.builds(Tag, tag=st.sampled_from(["vip", "x y", 'x"y']), remove=st.booleans(), **base),
        st.builds(Webhook, url=st.just("https://example.com/hook?a=1#b"), **base),
        st.builds(Check, condition=CONDITIONS, **base),
        st.builds(Exit, reason=st.none() | NAMES, **base),
        st.builds(Digest, event=EVENTS, over=OVERS, **base),
        st.builds(Call, journey=NAMES, wait=st.booleans(), **base),
        st.builds(GoTo, target=targets.map(str), most=st.integers(1, 5), **base),
    ).map(normal.step)


def _blocks(steps: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    base = {"name": STEP_NAMES, "comments": COMMENTS}
    inside = st.lists(steps, max_size=3).map(tuple)
    cases = st.lists(st.builds(Case, CONDITIONS, inside), min_size=1, max_size=2).map(tuple)
    arms = st.lists(st.builds(Arm, st.integers(0, 100), inside), min_size=2, max_size=3).map(tuple)
    awaited = HAPPENS | REPLIES | CONDITIONS
    return st.one_of(
        st.builds(Stage, stage=st.sampled_from(Elevate), steps=inside, **base),
        st.builds(Branch, cases=cases, otherwise=inside, **base),
        st.builds(Split, arms=arms, **base),
        st.builds(
            WaitFor,
            what=awaited,
            timeout=st.none() | OVERS,
            then=inside,
            otherwise=inside,
            **base,
        ),
    ).map(normal.step)


def journeys() -> st.SearchStrategy[Journey]:
    """Any journey within the bounds."""
    steps = st.recursive(leaves(), _blocks, max_leaves=8)
    few = {"max_size": 2}
    return st.builds(
        Journey,
        name=NAMES,
        triggers=st.lists(triggers(), **few).map(tuple),
        steps=st.lists(steps, max_size=3).map(tuple),
        again=st.builds(Again, st.none() | st.integers(1, 5), st.just(timedelta(0)) | OVERS),
        goals=st.lists(st.builds(Goal, HAPPENS | CONDITIONS, st.none() | OVERS), **few).map(tuple),
        exits=st.lists(CONDITIONS, **few).map(tuple),
        quiet=st.none() | st.builds(Quiet, TIMES, TIMES, ZONES),
        limit=st.none() | st.builds(Limit, st.integers(0, 9), OVERS),
        comments=COMMENTS,
        ending=COMMENTS,
    ).filter(lambda one: levels(one.steps) <= MAX_LEVELS and len(format(one)) <= MAX_LENGTH)
