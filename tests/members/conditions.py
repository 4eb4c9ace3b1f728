"""Random conditions, for properties; the members are in population.py."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from core.condition.ast import (
    CHOICES,
    FIELDS,
    MAX_DEPTH,
    And,
    Compare,
    Condition,
    Consented,
    Did,
    Everyone,
    HasTag,
    InSegment,
    Lot,
    Measure,
    Messaged,
    Not,
    Op,
    Or,
    Reachable,
    Verb,
    depth,
)
from core.condition.leaf import checked

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LETTERS = "aAbéÉßÄ%_\\\"' \n😀"
"""What words are made of: few, so that words of members and of conditions meet."""
WORDS = st.sampled_from(
    ["", "a", "A", "ab", "Berlin", "São", 'x"y', "50%", "_", "\\", "premium"]
) | st.text(LETTERS, max_size=3)
NUMBERS = st.sampled_from([-1, 0, 0.1, 1, 2, 2.0, 2.5, 2.50004, 100, 1000000, 99999999999999])
DAYS = st.sampled_from([NOW.date() - timedelta(days=days) for days in (0, 1, 7)])
TAGS = st.sampled_from(["vip", "lead", "x y"])
CHANNELS = st.sampled_from(["email", "sms", "push"])
SEGMENTS = st.sampled_from(["vips", "listed", "few"])
TEXT_FIELDS = st.sampled_from(["first_name", "location", "email"])
NUMBER_FIELDS = st.sampled_from(["engagement_score", "total_spend"])
ATTRIBUTES = st.sampled_from(["attributes.city", "attributes.n", "attributes.flag"])


def _choices() -> st.SearchStrategy[Condition]:
    alike = st.sampled_from([Op.EQ, Op.NE])
    return st.one_of(
        *[
            st.builds(Compare, st.just(field), alike, st.sampled_from(words))
            | st.builds(Compare, st.just(field), st.just(Op.IN), st.just(words[:2]))
            | st.builds(Compare, st.just(field), st.just(Op.CONTAINS), WORDS)
            for field, words in CHOICES.items()
        ]
    )


def _external() -> st.SearchStrategy[Condition]:
    fields = st.sampled_from(["external_id.shopify", "external_id.my-shop.2"])
    values = st.sampled_from(["1", "12", "3", "", "x"])
    one = st.sampled_from([Op.EQ, Op.NE, Op.CONTAINS, Op.STARTS_WITH])
    some = st.lists(values, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Compare, fields, one, values),
        st.builds(Compare, fields, st.just(Op.IN), some),
        st.builds(Compare, fields, st.sampled_from([Op.IS_SET, Op.IS_NOT_SET])),
    )


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


EVENTS = st.sampled_from(["purchase", "opted in"])
CAMPAIGNS = st.sampled_from(["Gift guide", 'A "b"'])
WINDOWS = st.none() | st.sampled_from([1, 2, 7, 30])
AMOUNTS = st.sampled_from([0, 0.3, 10, 20.5, -5])


def _tests() -> st.SearchStrategy[tuple[Compare, ...]]:
    ops = st.sampled_from([Op.EQ, Op.NE, Op.GT, Op.LE])
    values = st.sampled_from(["shoes", "hats", ""])
    test = st.one_of(
        st.builds(Compare, st.just("total"), ops, AMOUNTS),
        st.builds(Compare, st.just("n"), ops, AMOUNTS),
        st.builds(Compare, st.just("status"), st.sampled_from([Op.EQ, Op.NE]), values),
        st.builds(Compare, st.just("category"), st.just(Op.CONTAINS), values),
        st.builds(Compare, st.sampled_from(["total", "status"]), st.just(Op.IS_SET)),
        st.builds(
            Compare, st.just("category"), st.just(Op.IN), st.lists(values, min_size=1).map(tuple)
        ),
    )
    return st.just(()) | st.lists(test, max_size=2).map(tuple)


def _events() -> st.SearchStrategy[Condition]:
    counts = st.sampled_from([Op.GE, Op.LE, Op.EQ])
    sums = st.sampled_from([Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE])
    ends = st.sampled_from([Measure.FIRST, Measure.LAST])
    edges = st.sampled_from([Op.BEFORE, Op.AFTER])
    recent = st.just(Op.IN_LAST)
    none = st.none()
    return st.one_of(
        st.builds(
            Did, EVENTS, st.just(Measure.COUNT), counts, st.integers(1, 3), WINDOWS, _tests()
        ),
        st.builds(Did, EVENTS, st.just(Measure.SUM), sums, AMOUNTS, WINDOWS, _tests()),
        st.builds(Did, EVENTS, ends, edges, DAYS, none, _tests()),
        st.builds(Did, EVENTS, ends, recent, st.sampled_from([1, 2, 7, 30]), none, _tests()),
    )


def _alike() -> st.SearchStrategy[Condition]:
    """One of several tags or events, which SQL asks together."""
    one = st.builds(HasTag, TAGS) | st.builds(Did, EVENTS, days=WINDOWS)
    return st.builds(Or, st.lists(one, min_size=2, max_size=4).map(tuple))


def _messages() -> st.SearchStrategy[Condition]:
    campaigns = st.none() | st.just(True) | CAMPAIGNS
    channels = st.none() | st.sampled_from(["email", "sms"])
    return st.builds(Messaged, st.sampled_from(Verb), campaigns, channels, WINDOWS)


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
        st.builds(InSegment, SEGMENTS),
        st.builds(Compare, fields, bare),
        st.builds(Compare, ATTRIBUTES, st.sampled_from([Op.EQ, Op.NE]), values),
        st.builds(
            Compare, TEXT_FIELDS, st.just(Op.IN), st.lists(WORDS, min_size=1, max_size=3).map(tuple)
        ),
        st.builds(
            Compare, ATTRIBUTES, st.just(Op.IN), st.lists(values, min_size=1, max_size=3).map(tuple)
        ),
        _choices(),
        _external(),
        _text(),
        _numbers(),
        _times(),
        _events(),
        _messages(),
        st.builds(Lot, st.integers(1, 3), st.integers(3, 10), st.sampled_from(["", "x", "é"])),
    ).map(checked)


def conditions() -> st.SearchStrategy[Condition]:
    """Any condition within the bounds."""
    return st.recursive(
        leaves() | _alike(),
        lambda inner: (
            st.builds(Not, inner)
            | st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple))
            | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple))
        ),
        max_leaves=6,
    ).filter(lambda condition: depth(condition) <= MAX_DEPTH)
