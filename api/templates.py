"""/templates: what is said, in versions that never change."""

from typing import Any

from marshmallow import fields

from api.context import client_id, clock, db
from api.openapi import Resource
from api.paging import all_of, sorted_page
from api.schemas.page import ChangedQuery, page_of, sort_by
from api.schemas.template import (
    FacesSchema,
    NewTemplateSchema,
    PreviewSchema,
    TemplateChangesSchema,
    TemplateSchema,
    VersionSchema,
    WordingSchema,
)
from campaigns import queries
from campaigns import template as templates
from campaigns.preview import preview
from campaigns.renaming import rename_template
from campaigns.template import Template
from channels.channel import Channel

bp = Resource("templates", about="What is said, in Liquid")
ID = "<int(min=1,max=9223372036854775807):template_id>"


def shown(template: Template) -> dict[str, Any]:
    """Return a template with its newest wording."""
    columns = {column.key: getattr(template, column.key) for column in Template.__table__.columns}
    newest = templates.latest_version(db(), client_id(), template.id)
    return columns | {"channel": template.channel.value, "version": newest}


class TemplatesQuery(ChangedQuery):
    """Which templates."""

    channel = fields.Enum(Channel, by_value=True, load_default=None)
    sort = sort_by("-id", "name", "created_at", "updated_at")


@bp.get("/templates")
@bp.arguments(TemplatesQuery, location="query")
@bp.response(200, page_of(TemplateSchema))
def list_templates(query: dict[str, Any]) -> dict[str, Any]:
    """List templates, newest first."""
    page = sorted_page(
        query,
        Template,
        lambda walk, limit: queries.templates_page(
            db(), client_id(), channel=query["channel"], walk=walk, limit=limit
        ),
    )
    return page | {"data": [shown(template) for template in page["data"]]}


@bp.post("/templates")
@bp.arguments(NewTemplateSchema)
@bp.response(201, TemplateSchema)
def create(data: dict[str, Any]) -> dict[str, Any]:
    """Create a template; a wording that cannot be rendered is refused with its place."""
    return shown(templates.create_template(db(), clock(), client_id=client_id(), **data))


@bp.get(f"/templates/{ID}")
@bp.response(200, TemplateSchema)
def get(template_id: int) -> dict[str, Any]:
    """Show a template."""
    return shown(templates.template(db(), client_id(), template_id))


@bp.patch(f"/templates/{ID}")
@bp.arguments(TemplateChangesSchema)
@bp.response(200, TemplateSchema)
def rename(data: dict[str, Any], template_id: int) -> dict[str, Any]:
    """Give a template another name, unless a journey sends it by this one."""
    found = rename_template(db(), clock(), client_id=client_id(), template_id=template_id, **data)
    return shown(found)


@bp.get(f"/templates/{ID}/versions")
@bp.response(200, page_of(VersionSchema))
def list_versions(template_id: int) -> dict[str, Any]:
    """List a template's wordings, newest first."""
    return all_of(templates.versions(db(), client_id(), template_id))


@bp.post(f"/templates/{ID}/versions")
@bp.arguments(WordingSchema)
@bp.response(201, TemplateSchema)
def new_version(data: dict[str, Any], template_id: int) -> dict[str, Any]:
    """Save a new wording; what was sent keeps the old one."""
    templates.new_version(db(), clock(), client_id=client_id(), template_id=template_id, **data)
    return shown(templates.template(db(), client_id(), template_id))


@bp.post(f"/templates/{ID}/preview")
@bp.arguments(PreviewSchema)
@bp.response(200, FacesSchema)
def show_preview(data: dict[str, Any], template_id: int) -> dict[str, Any]:
    """Show the newest wording as a member would get it, or with values to try. Sends nothing."""
    return {"faces": preview(db(), client_id=client_id(), template_id=template_id, **data)}
