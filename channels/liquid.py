"""The safe Liquid environment: what a template may do, and how much of it.

python-liquid bounds output, nesting and the size of variables. Left open are filters that build
huge values before anybody counts, loops over a reversed range, and many small loops one
after the other. All three are closed here by a budget per rendering and a cap per value.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import liquid
from liquid import BoundTemplate, Environment, Token
from liquid.builtin.filters.misc import date as liquid_date
from liquid.exceptions import LiquidError, LoopIterationLimitError, ResourceLimitError
from liquid.filter import with_environment

OUTPUT_BYTES = 500_000
"""The most one face may become."""
VALUE_CHARS = 200_000
"""The longest text a filter may make."""
LIST_ITEMS = 1_000
"""The longest list a filter may read or make; some filters take quadratic time."""
LOOP_ITEMS = 10_000
STEPS = 20_000
"""Nodes, loop rounds and filter calls in one rendering."""
SOURCE_CHARS = 500_000
TAGS = 2_000
TAG_CHARS = 2_000
"""The longest single `{{ … }}` or `{% … %}`; bounds the parser's recursion and backtracking."""

RENDER_ERRORS = (
    LiquidError,
    liquid.exceptions.LiquidInterrupt,
    ArithmeticError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    AttributeError,
)
"""What rendering a template may raise: python-liquid lets errors of Python's own types through."""


class BudgetedContext(liquid.RenderContext):
    """A render context that counts what is done."""

    __slots__ = ("steps",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.steps = 0
        super().__init__(*args, **kwargs)

    def spend(self, steps: int) -> None:
        """Count `steps`. Raises ResourceLimitError when the budget is used up."""
        self.steps += steps
        if self.steps > STEPS:
            raise ResourceLimitError("the template does too much", token=None)

    @property
    def disabled_tags(self) -> list[str]:
        """Nothing is disabled; every node asks for it once, so it is where nodes are counted."""
        self.spend(1)
        return []

    @disabled_tags.setter
    def disabled_tags(self, tags: list[str]) -> None:
        del tags

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Count all rounds of a loop before the first."""
        self.spend(length)

    def stopindex(self, key: str, index: int | None = None) -> int:
        """Refuse a long range before `reversed` makes a list of it."""
        if index is not None and index > LOOP_ITEMS:
            raise LoopIterationLimitError("the loop is too long", token=None)
        return super().stopindex(key, index)


class SafeTemplate(BoundTemplate):
    """A template that renders within the budget."""

    context_class = BudgetedContext


class SafeEnvironment(Environment):
    """Liquid without files, without ways around escaping, and with limits."""

    template_class = SafeTemplate
    block_nesting_limit = 20
    context_depth_limit = 20
    output_stream_limit = OUTPUT_BYTES
    local_namespace_limit = VALUE_CHARS

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Drop what reads templates or marks text as safe; bound every filter."""
        super().setup_tags_and_filters(extra=extra)
        for tag in ("include", "render"):
            del self.tags[tag]
        for name in ("safe", "escapejs"):
            del self.filters[name]
        self.filters["date"] = _date
        for name, function in self.filters.items():
            self.filters[name] = _bounded(name, function)


@with_environment
def _date(value: Any, pattern: str, *, environment: Environment) -> Any:
    """Format a date. The time of sending is no date: a message must render the same next year."""
    if str(value) in ("now", "today"):
        raise LiquidError("a template cannot ask for the present date", token=None)
    text = "" if value is None else str(value)
    if not text:
        return ""
    if text.isascii() and text.isdigit():
        value = datetime.fromtimestamp(int(text), UTC)
    return liquid_date(value, pattern, environment=environment)


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a filter so that neither what it reads nor what it makes grows without bound."""
    wants_context = getattr(function, "with_context", False)
    predict = PREDICTED.get(name)

    def bounded(value: Any, *args: Any, context: BudgetedContext, **kwargs: Any) -> Any:
        for given in (value, *args, *kwargs.values()):
            _check(given)
        if predict is not None and predict(value, args) > VALUE_CHARS:
            raise ResourceLimitError(f"{name} makes the text too long", token=None)
        if wants_context:
            kwargs["context"] = context
        result = function(value, *args, **kwargs)
        context.spend(1 + _check(result) // 100)
        return result

    bounded.with_context = True  # type: ignore[attr-defined]
    bounded.with_environment = getattr(function, "with_environment", False)  # type: ignore[attr-defined]
    return bounded


def _check(value: Any) -> int:
    """Return the size of a value. Raises ResourceLimitError when it is too large."""
    if isinstance(value, str):
        size, most = len(value), VALUE_CHARS
    elif isinstance(value, list | tuple):
        size, most = len(value), LIST_ITEMS
    elif isinstance(value, range):
        size, most = max(0, value.stop - value.start), LOOP_ITEMS
    else:
        return 0
    if size > most:
        raise ResourceLimitError("a value is too large", token=None)
    return size


def _joined(value: Any, args: Sequence[Any]) -> int:
    if not isinstance(value, list | tuple | range):
        return 0
    glue = len(str(args[0])) if args else 1
    return sum(len(str(item)) for item in value) + glue * len(value)


def _replaced(value: Any, args: Sequence[Any]) -> int:
    text, old, new = str(value), str(args[0]) if args else "", str(args[1]) if args[1:] else ""
    return len(text) + text.count(old) * len(new)


PREDICTED: dict[str, Callable[[Any, Sequence[Any]], int]] = {
    "join": _joined,
    "replace": _replaced,
}
"""Filters whose result is far larger than what they read: its size, before it is made."""

HTML = SafeEnvironment(autoescape=True)
TEXT = SafeEnvironment(autoescape=False)

ENDINGS = {name: re.compile(rf"\{{%-?\s*end{name}\s*-?%\}}") for name in ("raw", "doc", "comment")}


def spans(source: str) -> list[tuple[int, int]]:
    """Return where Liquid stands in `source`: outputs, tags, and whole raw, doc, comment blocks.

    Takes linear time whatever the source. Raises LiquidError, with the place, for markup that is
    empty, unclosed or too long, all of which would make python-liquid's lexer slow.
    """
    found: list[tuple[int, int]] = []
    position = 0
    while (opening := OPENING.search(source, position)) is not None:
        start, position = opening.start(), _end(source, opening.start())
        found.append((start, position))
        if len(found) > TAGS:
            raise LiquidError(f"more than {TAGS:,} tags", token=_token(source, start))
    return found


OPENING = re.compile(r"\{[{%]")
VERBATIM = re.compile(r"-?\s*(raw|doc|comment)\s*-?$")


def _end(source: str, start: int) -> int:
    """Return the index after the output, tag or verbatim block that opens at `start`."""
    closing = "}}" if source[start + 1] == "{" else "%}"
    end = source.find(closing, start + 2, start + TAG_CHARS)
    if end < 0:
        raise LiquidError(f"no closing {closing} near this", token=_token(source, start))
    inner = source[start + 2 : end]
    if not inner.strip(" \t\r\n-") or re.search(r"\s{100}", inner):
        raise LiquidError("empty or badly spaced markup", token=_token(source, start))
    verbatim = VERBATIM.match(inner) if closing == "%}" else None
    if verbatim is None:
        return end + 2
    last = ENDINGS[verbatim[1]].search(source, end)
    if last is None:
        raise LiquidError(f"no end{verbatim[1]} after this", token=_token(source, start))
    return last.end()


def _token(source: str, start: int) -> Token:
    return Token(kind="content", value=source[start : start + 10], start_index=start, source=source)
