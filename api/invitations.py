"""/invitations: how people come to have a role at the client."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, validate

from accounts import password as passwords
from accounts.client import client
from accounts.invitation import (
    MAX_BULK,
    Invitation,
    Inviter,
    accept,
    invitations_page,
    invite,
    open_invitation,
    revoke_invitation,
)
from accounts.one_time import MAX_TEXT
from accounts.sign_in import spelled
from accounts.throttle import PASSWORD
from accounts.user import Role, user
from api.attempts import attempt_password, may_invite, succeeded
from api.context import actor, audit, client_id, clock, db, principal, services
from api.letters import link_to, write_letter
from api.openapi import OPEN, Resource
from api.paging import by_id, paged
from api.problem import of_one
from api.schemas.bulk import OneErrorSchema
from api.schemas.field import Instant
from api.schemas.page import PageQuery, page_of
from api.sign_in import Email, Password, tell_of
from core.db import read
from core.errors import EngineError, ForbiddenError, InvalidError

bp = Resource("invitations", about="How people come to have a role at the client", room="users")
ID = "<int(min=1,max=9223372036854775807):invitation_id>"
INVITABLE = (Role.USER, Role.MANAGER, Role.ADMIN)


class NewInvitationSchema(Schema):
    """Somebody to invite."""

    email = Email
    role = fields.Enum(
        Role, by_value=True, load_default=Role.USER, validate=validate.OneOf(INVITABLE)
    )
    referral_code = fields.String(
        load_default=None, allow_none=True, validate=validate.Length(min=1, max=32)
    )


class NewInvitationsSchema(Schema):
    """Many to invite at once."""

    invitations = fields.List(
        fields.Nested(NewInvitationSchema),
        required=True,
        validate=validate.Length(min=1, max=MAX_BULK),
    )


class InvitationSchema(Schema):
    """An invitation."""

    id = fields.Integer(required=True)
    email = fields.String(required=True)
    role = fields.Enum(Role, by_value=True, required=True)
    referral_code = fields.String(allow_none=True)
    status = fields.String(
        required=True, metadata={"description": "`open`, `accepted`, `revoked` or `expired`"}
    )
    mailed = fields.Boolean(required=True)
    invited_by = fields.String(required=True)
    expires_at = Instant(required=True)
    accepted_at = Instant(allow_none=True)
    created_at = Instant(required=True)


class MadeInvitationSchema(InvitationSchema):
    """An invitation that was just made."""

    link = fields.String(
        allow_none=True,
        metadata={"description": "to hand on yourself, where no mail server is configured"},
    )


class InvitedSchema(Schema):
    """What became of one of many."""

    email = fields.String(required=True)
    status = fields.String(required=True, metadata={"description": "`invited` or `failed`"})
    invitation = fields.Nested(MadeInvitationSchema, allow_none=True)
    error = fields.Nested(OneErrorSchema, allow_none=True)


class InvitedPeopleSchema(Schema):
    """What became of each, in the order they were given."""

    results = fields.List(fields.Nested(InvitedSchema), required=True)


class AcceptSchema(Schema):
    """The link's text, and a password: a new one, or that of the account one has already."""

    token = fields.String(required=True, validate=validate.Length(min=1, max=MAX_TEXT))
    password = Password
    first_name = fields.String(load_default=None, validate=validate.Length(max=100))
    last_name = fields.String(load_default=None, validate=validate.Length(max=100))


class AcceptedSchema(Schema):
    """Who may do what where now."""

    email = fields.String(required=True)
    client_id = fields.Integer(required=True)
    role = fields.Enum(Role, by_value=True, required=True)


@bp.get("/invitations")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(InvitationSchema))
def list_invitations(query: dict[str, Any]) -> dict[str, Any]:
    """List invitations, newest first."""
    page = paged(
        query,
        lambda before, limit: invitations_page(db(), client_id(), before=before, limit=limit),
        by_id,
    )
    return page | {"data": [_shown(row) for row in page["data"]]}


@bp.post("/invitations")
@bp.arguments(NewInvitationSchema)
@bp.response(201, MadeInvitationSchema)
@bp.fresh
def create(data: dict[str, Any]) -> dict[str, Any]:
    """Invite somebody to a role, by a link that is good for seven days; an older one ends."""
    for why_not in _held_back([data["email"]]).values():
        if why_not is not None:
            raise why_not
    return _invited(data)


@bp.post("/invitations/bulk")
@bp.arguments(NewInvitationsSchema)
@bp.response(200, InvitedPeopleSchema)
@bp.fresh
def create_many(data: dict[str, Any]) -> dict[str, Any]:
    """Invite up to 200 people, and say of each what became of it."""
    asked = data["invitations"]
    names = [spelled(one["email"]) for one in asked]
    if len(set(names)) < len(names):
        raise InvalidError(
            "an address is named twice", field="invitations", remedy="name each once"
        )
    why_not = _held_back(names)
    return {
        "results": [
            _tried(place, one, why_not.get(name))
            for place, (one, name) in enumerate(zip(asked, names, strict=True))
        ]
    }


@bp.delete(f"/invitations/{ID}")
@bp.response(204)
def revoke(invitation_id: int) -> None:
    """Take an invitation back."""
    revoke_invitation(db(), clock(), client_id=client_id(), invitation_id=invitation_id)
    audit(f"invitation:{invitation_id}")


@bp.post("/invitations/accept")
@bp.action(OPEN)
@bp.arguments(AcceptSchema)
@bp.response(200, AcceptedSchema)
def accept_invitation(data: dict[str, Any]) -> dict[str, Any]:
    """Accept an invitation. Who has an account already proves it with that account's password."""
    return accepted(**data)


def accepted(
    token: str, password: str, first_name: str | None = None, last_name: str | None = None
) -> dict[str, Any]:
    """Use an invitation's link. Raises InvalidError, or ForbiddenError for a wrong password."""
    with read(services().sessions) as session:
        found, holder = open_invitation(session, clock(), text=token)
        held = holder.password_hash if holder is not None else None
    if held is None:
        held = passwords.hashed(password, email=found.email)
    else:
        attempt_password(found.email)
        if not passwords.matches(held, password):
            raise ForbiddenError(
                "this address has an account with another password",
                field="password",
                remedy="give that account's password, or have it reset first",
            )
        succeeded(PASSWORD, found.email)
    invitation, who = accept(
        db(),
        clock(),
        text=token,
        password_hash=held,
        first_name=first_name or None,
        last_name=last_name or None,
    )
    tell_of("invitation.accept", who.id, invitation.client_id)
    return {"email": who.email, "client_id": invitation.client_id, "role": invitation.role}


def _invited(data: dict[str, Any]) -> dict[str, Any]:
    mails = services().mailer.works
    who = principal()
    inviter = Inviter(client_id(), actor(), who.role, who.actions, mails)
    made, token = invite(db(), clock(), inviter, **data)
    audit(f"invitation:{made.id}", action="invitation.create")
    if mails:
        name = user(db(), who.user_id).full_name if who.user_id is not None else None
        where = client(db(), client_id()).name
        write_letter("invitation", to=made.email, token=token, client=where, who=name or "")
    return _shown(made) | {"link": None if mails else link_to("invitation", token)}


def _held_back(emails: list[str]) -> Mapping[str, EngineError | None]:
    """Count letters before they are written; say of each address why it gets none."""
    return may_invite(client_id(), emails) if services().mailer.works else {}


def _tried(place: int, one: dict[str, Any], why_not: EngineError | None) -> dict[str, Any]:
    try:
        if why_not is not None:
            raise why_not
        with db().begin_nested():
            made = _invited(one)
    except EngineError as error:
        return {
            "email": one["email"],
            "status": "failed",
            "error": of_one(error, f"/invitations/{place}"),
        }
    return {"email": one["email"], "status": "invited", "invitation": made}


def _shown(row: Invitation) -> dict[str, Any]:
    columns = {column.key: getattr(row, column.key) for column in Invitation.__table__.columns}
    return columns | {"status": row.status_at(clock().now())}
