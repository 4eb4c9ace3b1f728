"""Random conditions and random members, for properties."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import strategies as st

from core.condition.ast import (
    FIELDS,
    And,
    Compare,
    Condition,
    Consented,
    Everyone,
    HasTag,
    InSegment,
    Not,
    Op,
    Or,
    Reachable,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WORDS = st.sampled_from(["", "a", "A", "ab", "Berlin", "São", 'x"y', "50%", "_", "\\", "premium"])
NUMBERS = st.sampled_from([-1, 0, 1, 2, 2.5, 100, 1000000])
DAYS = st.sampled_from([NOW.date() - timedelta(days=days) for days in (0, 1, 7, 30, 9000)])
TAGS = st.sampled_from(["vip", "lead", "x y"])
CHANNELS = st.sampled_from(["email", "sms", "push"])
TEXT_FIELDS = st.sampled_from(["first_name", "location", "tier", "email"])
NUMBER_FIELDS = st.sampled_from(["engagement_score", "total_spend"])
ATTRIBUTES = st.sampled_from(["attributes.city", "attributes.n", "attributes.flag"])


def _text() -> st.SearchStrategy[Condition]:
    plain = st.sampled_from([Op.EQ, Op.NE, Op.CONTAINS, Op.STARTS_WITH])
    fields = TEXT_FIELDS | st.just("attributes.city")
    return st.builds(Compare, fields, plain, WORDS)


def _numbers() -> st.SearchStrategy[Condition]:
    ops = st.sampled_from([Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE])
    return st.builds(Compare, NUMBER_FIELDS | st.just("attributes.n"), ops, NUMBERS)


def _times() -> st.SearchStrategy[Condition]:
    edges = st.sampled_from([Op.BEFORE, Op.AFTER])
    return st.builds(Compare, st.sampled_from(["date_of_birth", "last_active"]), edges, DAYS) | (
        st.builds(Compare, st.just("last_active"), st.just(Op.IN_LAST), st.integers(1, 60))
    )


def leaves() -> st.SearchStrategy[Condition]:
    """Any condition without parts."""
    values = (WORDS | NUMBERS | st.booleans()).map(lambda value: value)
    bare = st.sampled_from([Op.IS_SET, Op.IS_NOT_SET])
    fields = st.sampled_from(sorted(FIELDS)) | ATTRIBUTES
    return st.one_of(
        st.just(Everyone()),
        st.builds(HasTag, TAGS),
        st.builds(Consented, CHANNELS, st.sampled_from(["marketing", "news"])),
        st.builds(Reachable, CHANNELS),
        st.builds(InSegment, st.just("vips")),
        st.builds(Compare, fields, bare),
        st.builds(Compare, ATTRIBUTES, st.sampled_from([Op.EQ, Op.NE]), values),
        st.builds(
            Compare, TEXT_FIELDS, st.just(Op.IN), st.lists(WORDS, min_size=1, max_size=3).map(tuple)
        ),
        st.builds(
            Compare, ATTRIBUTES, st.just(Op.IN), st.lists(values, min_size=1, max_size=3).map(tuple)
        ),
        _text(),
        _numbers(),
        _times(),
    )


def conditions() -> st.SearchStrategy[Condition]:
    """Any condition within the bounds."""
    return st.recursive(
        leaves(),
        lambda inner: (
            st.builds(Not, inner)
            | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
            | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
        ),
        max_leaves=6,
    ).filter(lambda condition: _fits(condition))


def _fits(condition: Condition) -> bool:
    from core.condition.ast import MAX_DEPTH, depth  # noqa: PLC0415  (used once)

    return depth(condition) <= MAX_DEPTH


def people() -> st.SearchStrategy[dict]:
    """What a member may have."""
    maybe = st.none()
    return st.fixed_dictionaries(
        {
            "first_name": maybe | WORDS.filter(bool),
            "location": maybe | WORDS.filter(bool),
            "tier": st.sampled_from(["basic", "premium"]),
            "engagement_score": maybe | st.sampled_from([0.0, 1.0, 2.5, 100.0]),
            "date_of_birth": maybe | DAYS.map(lambda day: date(day.year - 20, 1, day.day % 28 + 1)),
            "last_active": maybe
            | DAYS.map(lambda day: datetime(*day.timetuple()[:3], 9, tzinfo=UTC)),
            "attributes": st.fixed_dictionaries(
                {},
                optional={
                    "city": WORDS | maybe,
                    "n": NUMBERS | st.just("2"),
                    "flag": st.booleans() | st.just("true"),
                },
            ),
            "tags": st.sets(TAGS),
            "consents": st.sets(st.tuples(CHANNELS, st.sampled_from(["marketing", "news"]))),
            "reachable": st.sets(CHANNELS),
        }
    )


def morning(day: date) -> datetime:
    """Nine o'clock of a day."""
    return datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
