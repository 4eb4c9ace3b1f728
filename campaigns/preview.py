"""Preview: a wording as one person would get it. Nothing is sent, stored or counted."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.merge import merge_of
from campaigns.template import TemplateVersion, latest_version, load_content
from channels.template import RenderContext, compile_template
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

    Filled with a member's values or with `sample` (`first_name`, `attributes.city`); what neither
    has is empty. Links lead where the template says, untracked. Raises TemplateNotFoundError,
    MemberNotFoundError or TemplateRenderError.
    """
    version = latest_version(session, client_id, template_id)
    content = load_content(session, version.id)
    compiled = compile_template(
        content.channel, subject=content.subject, html=content.html, text=content.text
    )
    if member_id is not None:
        merge = _values_of(session, client_id, version, member_id)
    else:
        merge = {field: (sample or {}).get(field) for field in version.fields}
    context = RenderContext(
        client=content.client,
        unsubscribe_url=UNSUBSCRIBE,
        click_url=lambda position: compiled.links[position],
        open_url=None,
    )
    return compiled.skeleton.fill(compiled.render(merge, context))


def _values_of(
    session: Session, client_id: int, version: TemplateVersion, member_id: int
) -> Mapping[str, Any]:
    found = member(session, client_id, member_id)
    query = select(merge_of(version.fields)).where(Member.id == found.id)
    merge: Mapping[str, Any] = session.execute(query).scalar_one()
    return merge
