"""/api-keys: how programs speak for a client."""

from typing import Any

from marshmallow import Schema, fields, validate

from accounts import key as keys
from accounts.permission import GROUPS, PERMISSIONS, allowed, within
from accounts.principal import key_limit
from api.context import audit, client_id, clock, db, principal, services
from api.openapi import Resource
from api.paging import sorted_page
from api.schemas.field import Instant
from api.schemas.page import PageQuery, page_of, sort_by
from core.errors import InvalidError

bp = Resource("api-keys", about="How programs speak for a client")
ID = "<int(min=1,max=9223372036854775807):key_id>"


class KeyChangesSchema(Schema):
    """What to change of a key; one that is to do something else is made anew."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=keys.MAX_NAME))


class NewKeySchema(KeyChangesSchema):
    """A key to make."""

    scopes = fields.List(
        fields.String(validate=validate.OneOf([*GROUPS, *PERMISSIONS])),
        load_default=["*"],
        validate=validate.Length(min=1, max=len(PERMISSIONS)),
        metadata={"description": "actions of docs/reference/permissions.md; `read`, `write`, `*`"},
    )
    expires_at = Instant(allow_none=True, load_default=None)
    rate = fields.Integer(
        allow_none=True,
        load_default=None,
        strict=True,
        validate=validate.Range(1, 100_000),
        metadata={"description": "requests a second, fewer than every key may; null: as many"},
    )


class KeySchema(Schema):
    """A key; the key itself is shown once, when it is made."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    prefix = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    expires_at = Instant(allow_none=True)
    last_used_at = Instant(allow_none=True)
    revoked_at = Instant(allow_none=True)
    rate = fields.Integer(allow_none=True)
    created_at = Instant(required=True)


class MadeKeySchema(KeySchema):
    """A key that was just made."""

    key = fields.String(required=True)


class KeysQuery(PageQuery):
    """How keys are listed."""

    sort = sort_by("-id", "name", "created_at")


@bp.get("/api-keys")
@bp.arguments(KeysQuery, location="query")
@bp.response(200, page_of(KeySchema))
def list_keys(query: dict[str, Any]) -> dict[str, Any]:
    """List keys, newest first."""
    return sorted_page(
        query,
        keys.ApiKey,
        lambda walk, limit: keys.keys(db(), client_id(), walk=walk, limit=limit),
    )


@bp.post("/api-keys")
@bp.arguments(NewKeySchema)
@bp.response(201, MadeKeySchema)
@bp.fresh
def create(data: dict[str, Any]) -> dict[str, Any]:
    """Make a key that may no more than its maker. Its text is in this answer and nowhere else."""
    owner, most = principal().user_id, services().settings.rate_limit
    if data["rate"] and most and data["rate"] > most:
        raise InvalidError(
            f"no key may send more than {most} requests a second",
            field="rate",
            remedy="whoever runs EchelonX can make one: `echelonx key new --rate`",
        )
    held = key_limit(db(), user_id=owner, client_id=client_id())
    for action in sorted(within(data["scopes"], allowed(*held)) if held else ()):
        principal().require(action)
    made, text = keys.issue_key(db(), clock(), client_id=client_id(), user_id=owner, **data)
    audit(f"api_key:{made.id}")
    columns = {column.key: getattr(made, column.key) for column in keys.ApiKey.__table__.columns}
    return columns | {"key": text}


@bp.get(f"/api-keys/{ID}")
@bp.response(200, KeySchema)
def get(key_id: int) -> keys.ApiKey:
    """Show a key, without its text."""
    return keys.key_by_id(db(), client_id(), key_id)


@bp.patch(f"/api-keys/{ID}")
@bp.arguments(KeyChangesSchema)
@bp.response(200, KeySchema)
def rename(data: dict[str, Any], key_id: int) -> keys.ApiKey:
    """Say anew what a key is for."""
    changed = keys.rename_key(db(), client_id=client_id(), key_id=key_id, **data)
    audit(f"api_key:{key_id}")
    return changed


@bp.delete(f"/api-keys/{ID}")
@bp.response(204)
def revoke(key_id: int) -> None:
    """End a key at once."""
    keys.revoke_key(db(), clock(), client_id=client_id(), key_id=key_id)
    audit(f"api_key:{key_id}")
