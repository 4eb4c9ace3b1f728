"""Preview: a wording as one person would get it. Nothing is sent, stored or counted."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from accounts.client import Client
from campaigns.merge import merge_of
from campaigns.template import TemplateVersion, latest_version, load_content
from channels.names import FOUNDATION
from channels.template import (
    CompiledTemplate,
    RenderContext,
    TemplateRenderError,
    compile_template,
    link_url,
)
from members.member import Member
from members.queries import member

UNSUBSCRIBE = "https://example.com/unsubscribe"
"""What the unsubscribe link of a preview is: it must not unsubscribe anybody."""


def preview(
    session: Session,
    *,
    client_id: int,
    template_id: int,
    member_id: int | None = None,
    sample: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Return the newest wording, face by face (`subject`, `html`, `text`, …).

    Filled with a member's values, the client's foundation and `sample` (`first_name`,
    `attributes.city`, `event.total`), which goes first; what none has is empty. Links lead where
    the template says, untracked. Raises TemplateNotFoundError, MemberNotFoundError or
    TemplateRenderError.
    """
    version = latest_version(session, client_id, template_id)
    content = load_content(session, version.id)
    compiled = compile_template(
        content.channel, subject=content.subject, html=content.html, text=content.text
    )
    if member_id is not None:
        merge = _values_of(session, client_id, version, member_id)
    else:
        merge = _facts_of(session, client_id)
    merge = {field: (sample or {}).get(field, merge.get(field)) for field in version.fields}
    return shown(compiled, merge, content.client)


def shown(
    compiled: CompiledTemplate, merge: Mapping[str, Any], client: Mapping[str, Any]
) -> dict[str, str]:
    """Return the faces of a template filled with these values. Raises TemplateRenderError."""

    def leads(position: int) -> str:
        source = compiled.links[position]
        try:
            return link_url(source, merge, context)
        except TemplateRenderError:
            return source  # its value is missing; the preview shows which

    context = RenderContext(
        client=client, unsubscribe_url=UNSUBSCRIBE, click_url=leads, open_url=None
    )
    return compiled.skeleton.fill(compiled.render(merge, context))


def _facts_of(session: Session, client_id: int) -> dict[str, Any]:
    facts = session.get_one(Client, client_id).settings.get(FOUNDATION, {})
    return {f"{FOUNDATION}.{name}": fact for name, fact in facts.items()}


def _values_of(
    session: Session, client_id: int, version: TemplateVersion, member_id: int
) -> dict[str, Any]:
    found = member(session, client_id, member_id)
    query = select(merge_of(version.fields)).where(Member.id == found.id)
    merge: dict[str, Any] = session.execute(query).scalar_one()
    return merge
