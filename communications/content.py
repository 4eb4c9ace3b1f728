"""What a communication says: a template version, compiled once and filled per member."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from sqlalchemy.orm import Session

from channels.channel import Channel
from channels.template import (
    CompiledTemplate,
    Face,
    RenderContext,
    Skeleton,
    compile_template,
    link_url,
)
from communications.urls import Urls


@dataclass(frozen=True, slots=True)
class VersionContent:
    """The wording of one template version, and what it may say about its client."""

    client_id: int
    channel: Channel
    subject: str | None
    html: str | None
    text: str | None
    client: Mapping[str, Any] = field(default_factory=dict)
    """`name`, `address`, …: what `{{ client.… }}` shows."""


ContentLoader = Callable[[Session, int], VersionContent]
"""Gives the content of a template version id; campaigns/ provides it."""

KEPT = 500
"""Compiled versions kept in memory; one is about as large as its text."""


class ContentStore:
    """Compiled template versions by id. Versions never change, so nothing here grows stale."""

    def __init__(self, load: ContentLoader, urls: Urls) -> None:
        self._load = load
        self._urls = urls
        self._kept: dict[int, tuple[CompiledTemplate, VersionContent]] = {}
        self._lock = Lock()

    def compiled(self, session: Session, version_id: int) -> CompiledTemplate:
        """Return the compiled template of a version."""
        return self._entry(session, version_id)[0]

    def values(
        self,
        session: Session,
        version_id: int,
        communication_id: int,
        merge: Mapping[str, Any],
        *,
        tracked: bool = True,
    ) -> tuple[Skeleton, tuple[str, ...]]:
        """Return the shared skeleton and this member's values; untracked, links lead there at once.

        Raises TemplateRenderError. Cost: a lookup per plain field, a Liquid run per block
        (channels/template.py).
        """
        compiled, content = self._entry(session, version_id)
        urls = self._urls
        context = RenderContext(
            client=content.client,
            unsubscribe_url=urls.unsubscribe(communication_id),
            click_url=lambda position: urls.click(communication_id, position),
            open_url=urls.open(communication_id) if content.html else None,
        )
        if not tracked:
            plain = context
            context = replace(
                plain,
                click_url=lambda position: link_url(compiled.links[position], merge, plain),
                open_url=None,
            )
        return compiled.skeleton, compiled.render(merge, context)

    def _entry(self, session: Session, version_id: int) -> tuple[CompiledTemplate, VersionContent]:
        entry = self._kept.get(version_id)
        if entry is None:
            content = self._load(session, version_id)
            compiled = compile_template(
                content.channel, subject=content.subject, html=content.html, text=content.text
            )
            entry = (compiled, content)
            with self._lock:
                if len(self._kept) >= KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[version_id] = entry
        return entry


FACES = {Channel.EMAIL: ("subject", "text"), Channel.PUSH: ("title", "body")}


def literal(channel: Channel, subject: str, text: str) -> tuple[Skeleton, tuple[str, ...]]:
    """Return a single text as a skeleton that is all hole: for sends without a template."""
    names = FACES.get(channel, ("body",))
    values = (subject, text) if len(names) > 1 else (text,)
    faces = tuple(Face(name=name, parts=("", "")) for name in names)
    return Skeleton(channel=channel, faces=faces), values
