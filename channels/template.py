"""Liquid templates, checked when saved and split once into static and dynamic parts.

A template version is compiled once; per message only its holes are filled. A plain field (with or
without a `default`) is a dictionary lookup, a block (`{% if %}…{% endif %}`) is one Liquid run, and
a face that keeps state (`assign`, `cycle`, …) is one hole as a whole. The result is exactly what
plain Liquid renders.

Names a template may use: `member.first_name` and the other fields of MEMBER_FIELDS (also without
`member.`), `member.attributes.<name>`, `client.name`, `client.address`, `unsubscribe_url`,
`foundation.<fact>` of the client, and in a journey `event.<property>` and `journey.<answer>`.
Anything else is refused when saved, with its place.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError

from channels.channel import Channel
from channels.hole import Filling, Hole, holes_of
from channels.links import to_text, track
from channels.liquid import HTML, RENDER_ERRORS, SOURCE_CHARS, TEXT, spans
from channels.names import ATTRIBUTES, MEMBER_FIELDS, Names, TemplateError, at_liquid_error
from channels.skeleton import Face, Skeleton
from core.errors import InvalidError

__all__ = [
    "MEMBER_FIELDS",
    "CompiledTemplate",
    "Face",
    "RenderContext",
    "Skeleton",
    "TemplateError",
    "TemplateRenderError",
    "compile_template",
    "link_url",
]


SAMPLES = {
    "date_of_birth": "1990-01-31",
    "engagement_score": 1.0,
    "last_active": "2026-11-21",
    "lifetime_value": 1.0,
    "total_spend": 1.0,
}
"""What the rehearsal of a new template puts into fields that are not plain text."""


class TemplateRenderError(InvalidError):
    """A message cannot be made from its template."""

    code = "render_failed"


@dataclass(frozen=True, slots=True)
class RenderContext:
    """What a message says besides its member: one per message."""

    client: Mapping[str, Any]
    unsubscribe_url: str
    click_url: Callable[[int], str]
    """Gives the tracked URL of the template's link number n."""
    open_url: str | None
    """The open pixel; None leaves it out."""


@dataclass(frozen=True, slots=True, eq=False)
class CompiledTemplate:
    """A template version, ready to be filled. Safe to share between threads."""

    skeleton: Skeleton
    fields: tuple[str, ...]
    """Member fields it reads: `first_name`, `attributes.city`, …; the keys of `merge`."""
    links: tuple[str, ...]
    """What the html face links to, in order; may hold Liquid (see `link_url`)."""
    has_unsubscribe: bool
    """Whether `{{ unsubscribe_url }}` is in it."""
    holes: tuple[Hole, ...]

    def render(self, merge: Mapping[str, Any], context: RenderContext) -> tuple[str, ...]:
        """Return the values of one message. Raises TemplateRenderError; others' are unharmed."""
        filling = Filling(merge, context, self.fields)
        try:
            return tuple([hole(filling) for hole in self.holes])
        except RENDER_ERRORS as error:
            raise _render_error(error) from error


def compile_template(
    channel: Channel,
    *,
    subject: str | None,
    html: str | None,
    text: str | None,
    fields_allowed: Collection[str] = MEMBER_FIELDS,
) -> CompiledTemplate:
    """Check a template and split it. Takes about a millisecond per 5 kB of source.

    An email without `text` gets one made from its html; a push takes `subject` as its title.
    `fields_allowed` are the member fields it may read; `attributes.*` allows every attribute.
    Raises TemplateError with field, line, column and the nearest known name.
    """
    sources = _sources(channel, subject=subject, html=html, text=text)
    names = Names(fields_allowed)
    compiled = [_Face(name, field, source, names) for name, field, source in sources]
    faces = tuple(Face(face.name, face.parts) for face in compiled)
    template = CompiledTemplate(
        skeleton=Skeleton(channel, faces),
        fields=tuple(dict.fromkeys(field for face in compiled for field in face.fields)),
        links=tuple(link for face in compiled for link in face.links),
        has_unsubscribe=any("unsubscribe_url" in face.globals for face in compiled),
        holes=tuple(hole for face in compiled for hole in face.holes),
    )
    _rehearse(template, compiled)
    return template


def link_url(source: str, merge: Mapping[str, Any], context: RenderContext) -> str:
    """Return where a stored link leads for one message, safe to put in a Location header.

    Raises TemplateRenderError when the values make it anything but an http(s) URL.
    """
    parts, fields = _link(source)
    filling = Filling(merge, context, fields)
    try:
        url = "".join(part if isinstance(part, str) else part(filling) for part in parts).strip()
    except RENDER_ERRORS as error:
        raise _render_error(error) from error
    if not url.lower().startswith(("http://", "https://")):
        raise TemplateRenderError("the link is not an http or https address", field="html")
    return quote(url, safe="!#$%&'()*+,/:;=?@[]~")


class _Face:
    """One face while it is compiled."""

    def __init__(self, name: str, field: str, source: str, names: Names) -> None:
        self.name, self.field, self.source = name, field, source
        env = HTML if name == "html" else TEXT
        template = parse(source, env, field)
        analysis = names.check(template, source, field, env)
        self.globals = analysis.globals
        self.fields = names.fields(analysis)
        self.links: tuple[str, ...] = ()
        if name == "html":
            rewritten, self.links = track(source, names.is_root)
            template = parse(rewritten, env, field)
        pieces = holes_of(template, analysis)
        self.holes = [piece for piece in pieces if not isinstance(piece, str)]
        self.parts = _static(pieces)


def parse(source: str, env: Environment, field: str) -> BoundTemplate:
    """Return the parsed template. Raises TemplateError with the place of what is wrong."""
    if len(source) > SOURCE_CHARS:
        raise TemplateError(
            f"{field} is longer than {SOURCE_CHARS:,} characters",
            field=field,
            remedy="host images elsewhere instead of embedding them",
        )
    try:
        spans(source)
        return env.from_string(source)
    except RENDER_ERRORS as error:
        raise at_liquid_error(error, source, field, env) from error


def _static(pieces: list[str | Hole]) -> tuple[str, ...]:
    """Return the n + 1 texts around n holes."""
    parts = [""]
    for piece in pieces:
        if isinstance(piece, str):
            parts[-1] += piece
        else:
            parts.append("")
    return tuple(parts)


def _sources(
    channel: Channel, *, subject: str | None, html: str | None, text: str | None
) -> list[tuple[str, str, str]]:
    """Return (face, field, source) of each face. Raises TemplateError for one that is missing."""
    if channel is Channel.EMAIL:
        title = _required(subject, "subject")
        if not (html or "").strip():
            return [("subject", "subject", title), ("text", "text", _required(text, "html"))]
        body = _required(html, "html")
        plain = text if text and text.strip() else _text_of(body)
        return [("subject", "subject", title), ("html", "html", body), ("text", "text", plain)]
    if channel is Channel.PUSH:
        title = _required(subject, "subject")
        return [("title", "subject", title), ("body", "text", _required(text, "text"))]
    return [("body", "text", _required(text, "text"))]


def _required(source: str | None, field: str) -> str:
    if source is None or not source.strip():
        raise TemplateError(f"{field} is empty", field=field, remedy=f"write the {field}")
    return source


def _text_of(html: str) -> str:
    try:
        return to_text(html)
    except LiquidError as error:
        raise at_liquid_error(error, html, "html", HTML) from error


def _rehearse(template: CompiledTemplate, faces: list[_Face]) -> None:
    """Render for somebody with nothing filled in and for somebody with everything.

    Limits and wrong arguments show only when rendering; better now than at launch. Attributes may
    be text or numbers: one of the two has to work.
    """
    wrong = _try(faces, template.fields, None)
    if wrong is None and template.fields:
        texts = _try(faces, template.fields, "1")
        wrong = texts and _try(faces, template.fields, 1) and texts
    if wrong is not None:
        raise wrong


def _try(faces: list[_Face], fields: tuple[str, ...], value: object) -> TemplateError | None:
    context = RenderContext(
        client={"name": "1", "address": "1"},
        unsubscribe_url="https://example.com/u",
        click_url="https://example.com/c/{}".format,
        open_url="https://example.com/o",
    )
    merge = {} if value is None else {field: SAMPLES.get(field, value) for field in fields}
    filling = Filling(merge, context, fields)
    for face in faces:
        try:
            for hole in face.holes:
                hole(filling)
        except RENDER_ERRORS as error:
            env = HTML if face.name == "html" else TEXT
            return at_liquid_error(error, face.source, face.field, env)
    return None


@lru_cache(maxsize=4096)
def _link(source: str) -> tuple[tuple[str | Hole, ...], tuple[str, ...]]:
    template = parse(source, TEXT, "html")
    names = Names({*MEMBER_FIELDS, ATTRIBUTES})
    analysis = names.check(template, source, "html", TEXT)
    return tuple(holes_of(template, analysis)), names.fields(analysis)


def _render_error(error: Exception) -> TemplateRenderError:
    reason = error.message if isinstance(error, LiquidError) else type(error).__name__
    return TemplateRenderError(f"the message cannot be rendered: {reason}")
