"""Mirrors channels/liquid.py. Run again whenever python-liquid is upgraded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from liquid.exceptions import LiquidError, ResourceLimitError

from channels.liquid import LIST_ITEMS, TEXT, VALUE_CHARS, spans


@given(source=st.text("{}%- x\nrawendcomment#'\"|", max_size=120))
def test_liquid_is_found_where_the_lexer_finds_it(source: str) -> None:
    """What lies outside of the spans is text to python-liquid as well."""
    try:
        found = spans(source)
    except LiquidError:
        return
    position = 0
    for start, end in found:
        assert "{{" not in source[position:start]
        assert "{%" not in source[position:start]
        position = end
    assert "{{" not in source[position:]


@pytest.mark.parametrize("name", sorted(TEXT.filters))
def test_no_filter_reads_a_value_that_is_too_large(name: str) -> None:
    for value in ("x" * (VALUE_CHARS + 1), ["x"] * (LIST_ITEMS + 1), range(20_000)):
        source = f"{{{{ value | {name}: value, value }}}}"
        with pytest.raises(ResourceLimitError):
            TEXT.from_string(source).render(value=value)


def test_nothing_loads_templates_or_marks_text_as_safe() -> None:
    assert {"include", "render", "extends", "block"}.isdisjoint(TEXT.tags)
    assert {"safe", "escapejs"}.isdisjoint(TEXT.filters)
