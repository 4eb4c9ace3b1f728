"""/templates: what is said, in versions that never change."""

from typing import Any

from api.context import client_id, clock, db
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.campaign import NewTemplateSchema, TemplateSchema, WordingSchema
from api.schemas.page import PageQuery, page_of
from campaigns import queries
from campaigns import template as templates
from campaigns.template import Template

bp = Resource("templates", about="What is said, in Liquid")
ID = "<int(min=1,max=9223372036854775807):template_id>"


def shown(template: Template) -> dict[str, Any]:
    """Return a template with its newest wording."""
    columns = {column.key: getattr(template, column.key) for column in Template.__table__.columns}
    newest = templates.latest_version(db(), client_id(), template.id)
    return columns | {"channel": template.channel.value, "version": newest}


@bp.get("/templates")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(TemplateSchema))
def list_templates(query: dict[str, Any]) -> dict[str, Any]:
    """List templates, newest first."""
    page = paged(
        query,
        lambda before, limit: queries.templates_page(db(), client_id(), before=before, limit=limit),
        by_id,
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


@bp.post(f"/templates/{ID}/versions")
@bp.arguments(WordingSchema)
@bp.response(201, TemplateSchema)
def new_version(data: dict[str, Any], template_id: int) -> dict[str, Any]:
    """Save a new wording; what was sent keeps the old one."""
    templates.new_version(db(), clock(), client_id=client_id(), template_id=template_id, **data)
    return shown(templates.template(db(), client_id(), template_id))
