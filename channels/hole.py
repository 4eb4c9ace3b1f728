"""Holes: the dynamic parts of a template, each a function from one message's data to its text."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from liquid import Markup, Node, escape
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import (
    FilteredExpression,
    Path,
    PositionalArgument,
    StringLiteral,
)
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.comment_tag import CommentNode
from liquid.builtin.tags.doc_tag import DocNode
from liquid.output import LimitedStringIO
from liquid.static_analysis import TemplateAnalysis
from liquid.stringify import to_liquid_string
from liquid.template import BoundTemplate

from channels.links import CLICK, OPEN
from channels.liquid import OUTPUT_BYTES, BudgetedContext
from channels.names import GIVEN, ROOTS, member_field

if TYPE_CHECKING:
    from channels.template import RenderContext

STATEFUL = frozenset(
    {"assign", "capture", "cycle", "decrement", "ifchanged", "increment", "liquid"}
)
"""Tags by which one part of a face changes what another part shows."""


class Filling:
    """One message's data, and the Liquid contexts made of it when a block needs them."""

    __slots__ = ("_contexts", "_data", "_fields", "context", "merge")

    def __init__(
        self, merge: Mapping[str, Any], context: "RenderContext", fields: Sequence[str]
    ) -> None:
        self.merge = merge
        self.context = context
        self._fields = fields
        self._data: dict[str, Any] | None = None
        self._contexts: dict[int, BudgetedContext] = {}

    def data(self) -> dict[str, Any]:
        """Return the variables as Liquid sees them."""
        if self._data is None:
            member: dict[str, Any] = {}
            below: dict[str, dict[str, Any]] = {root: {} for root in ROOTS}
            for field in self._fields:
                root, _, name = field.partition(".")
                (below[root] if name else member)[name or root] = self.merge.get(field)
            member["attributes"] = below["attributes"]
            self._data = {
                **{root: below[root] for root in GIVEN},
                **member,
                "member": member,
                "client": self.context.client,
                "unsubscribe_url": self.context.unsubscribe_url,
                CLICK: Clicks(self.context.click_url),
                OPEN: Markup(open_pixel(self)),
            }
        return self._data

    def liquid(self, template: BoundTemplate, *, fresh: bool) -> BudgetedContext:
        """Return a context; blocks without state share one per template and message."""
        key = id(template)
        if fresh or key not in self._contexts:
            self._contexts[key] = BudgetedContext(template, globals=self.data())
        return self._contexts[key]


class Clicks:
    """Gives tracked links to Liquid as `_click[3]`."""

    __slots__ = ("_url",)

    def __init__(self, url: Callable[[int], str]) -> None:
        self._url = url

    def __getitem__(self, position: int) -> str:
        return escape(self._url(position))


Hole = Callable[[Filling], str]


def holes_of(template: BoundTemplate, analysis: TemplateAnalysis) -> list[str | Hole]:
    """Return the template as static text and holes, in order."""
    if STATEFUL & analysis.tags.keys() or "continue" in str(template):
        return [_block(template, template.nodes, fresh=True)]
    pieces: list[str | Hole] = []
    for node in template.nodes:
        match node:
            case ContentNode():
                pieces.append(node.text)
            case CommentNode() | DocNode():
                pass
            case OutputNode():
                pieces.append(_output(template, node))
            case _:
                pieces.append(_block(template, [node], fresh=False))
    return pieces


def open_pixel(filling: Filling) -> str:
    """Return the image that tells of an open, or nothing."""
    url = filling.context.open_url
    if url is None:
        return ""
    return f'<img src="{escape(url)}" width="1" height="1" alt="" style="display:none">'


def _output(template: BoundTemplate, node: OutputNode) -> Hole:
    """Return a plain lookup where that is enough, else a block."""
    expression = node.expression
    if isinstance(expression, FilteredExpression) and isinstance(expression.left, Path):
        lookup = _lookup(expression.left.path)
        filters = _filters(expression)
        if lookup is not None and filters is not None:
            html = template.env.autoescape
            return _with_default(lookup, *filters, html=html) if filters else _plain(lookup, html)
        if expression.left.path[0] in (CLICK, OPEN) and not expression.filters:
            return _special(expression.left)
    return _block(template, [node], fresh=False)


def _filters(expression: FilteredExpression) -> tuple[str, ...] | None:
    """Return () for no filter, (text,) for `default: "text"`, None for anything else."""
    if not expression.filters:
        return ()
    only = expression.filters[0]
    if len(expression.filters) == 1 and only.name == "default" and len(only.args) == 1:
        argument = only.args[0]
        if isinstance(argument, PositionalArgument) and isinstance(argument.value, StringLiteral):
            return (argument.value.value,)
    return None


Lookup = Callable[[Filling], Any]


def _lookup(path: Sequence[Any]) -> Lookup | None:
    """Return a plain dictionary lookup for a path, if it is one."""
    if not all(isinstance(segment, str) for segment in path):
        return None
    field = member_field(list(path))
    if field is not None and ".".join(path).removeprefix("member.") == field:
        return lambda filling: filling.merge.get(field)
    if len(path) == 2 and path[0] == "client":
        name = str(path[1])
        return lambda filling: filling.context.client.get(name)
    if list(path) == ["unsubscribe_url"]:
        return lambda filling: filling.context.unsubscribe_url
    return None


def _plain(lookup: Lookup, html: bool) -> Hole:
    """Return a hole that shows one value, as Liquid would."""

    def fill(filling: Filling) -> str:
        return _shown(lookup(filling), html)

    return fill


def _with_default(lookup: Lookup, default: str, *, html: bool) -> Hole:
    """Return a hole that shows one value, or `default` for what Liquid calls empty."""

    def fill(filling: Filling) -> str:
        value = lookup(filling)
        if value is None or value is False or value in ("", [], {}):
            return default
        return _shown(value, html)

    return fill


def _shown(value: Any, html: bool) -> str:
    """Return a value as Liquid writes it: a plain str, never Markup, whose + escapes."""
    if value is None:
        return ""
    if type(value) is str:
        return str.__str__(escape(value)) if html else value
    return str.__str__(to_liquid_string(value, html))


def _special(path: Path) -> Hole:
    if path.path[0] == OPEN:
        return open_pixel
    position = path.path[1]
    return lambda filling: str.__str__(escape(filling.context.click_url(int(str(position)))))


def _block(template: BoundTemplate, nodes: Sequence[Node], *, fresh: bool) -> Hole:
    """Return a hole that runs Liquid over some nodes of the template."""

    def fill(filling: Filling) -> str:
        context = filling.liquid(template, fresh=fresh)
        buffer = LimitedStringIO(limit=OUTPUT_BYTES)
        for node in nodes:
            node.render(context, buffer)
        return buffer.getvalue()

    return fill
