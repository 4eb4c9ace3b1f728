"""ETag, If-Match and If-None-Match: nobody undoes a change they have not seen.

An ETag is `"<version>-<digest>"`: the version of the stored thing, where the path names one that
can be edited, and a digest of the answer. `If-None-Match` compares all of it, since what is counted
moves by itself; `If-Match` compares the version, since only an edit is in an edit's way.

Invariant
    A version is compared in the transaction that writes, on a row that is locked until it commits:
    between the look and the write comes nobody, whichever way they write.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask, request
from flask.wrappers import Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import ETags

from accounts.client import Client, hold
from accounts.endpoint import Endpoint
from accounts.key import ApiKey
from accounts.user import User
from accounts.user_queries import visible
from api import problem
from api.context import client_id, db, principal, reach
from api.openapi import PREFIX, READS
from campaigns.campaign import Campaign
from campaigns.journeys.journey import Journey
from campaigns.template import Template
from communications.account import ProviderAccount
from core.db import Base
from members.member import Member
from members.segment import Segment
from members.tier_rule import TierRule
from members.upsert import take_turn

BY_THEMSELVES = frozenset(
    {"last_used_at", "refreshed_at", "refresh_at", "total_revenue", "updated_at"}
    | {"rest_until", "rest_reason", "strikes"}
)
"""Columns that change without anybody's edit."""


@dataclass(frozen=True, slots=True)
class Editable:
    """What can be edited: its table, and the columns that any edit changes; none named are all."""

    model: type[Base]
    columns: tuple[str, ...] = ()
    first: Callable[[Session, int], None] | None = None
    """What whoever edits it takes of the client before any row."""

    def which(self, id: int) -> Any:
        """Return the clause that finds the one the caller may see; for 0, the caller's own."""
        table: Any = self.model
        if self.model is Client:
            one = Client.id == (id or client_id())
            return one if reach() is None else one & (Client.id == reach())
        if self.model is User:
            own = User.id == principal().user_id
            return (User.id == id) & visible(reach()) if id else own
        return (table.id == id) & (table.client_id == client_id())

    def version(self, session: Session, id: int) -> str | None:
        """Return the version as it now is in the database; None where there is no such thing."""
        rows = self._rows(session, id)
        if not rows:
            return None
        if len(rows[0]) == 1 and isinstance(rows[0][0], int):
            return str(rows[0][0])
        return _of(rows[0])

    def lock(self, session: Session, id: int) -> None:
        """Let nobody else change it until this transaction ends; SQLite has one writer anyway."""
        if self.first is not None:
            self.first(session, client_id())
        one = select(1).select_from(self.model).where(self.which(id))
        session.execute(one.with_for_update(key_share=True))

    def _rows(self, session: Session, id: int) -> Sequence[Any]:
        table = self.model.__table__
        names = self.columns or [c.key for c in table.columns if c.key not in BY_THEMSELVES]
        columns: list[Any] = [table.c[name] for name in names]
        return session.execute(select(*columns).where(self.which(id)).order_by(columns[0])).all()


@dataclass(frozen=True, slots=True)
class EditableWhole(Editable):
    """All rows that a client has of a table, edited as one; that there are none is a version."""

    def which(self, id: int) -> Any:
        """Return the clause that finds them."""
        del id
        table: Any = self.model
        return table.client_id == client_id()

    def version(self, session: Session, id: int) -> str:
        """Return the version as it now is in the database."""
        return _of([list(row) for row in self._rows(session, id)])

    def lock(self, session: Session, id: int) -> None:
        """Let nobody else change them; whoever does holds their client."""
        del id
        hold(session, client_id())


_USER = Editable(User, ("email", "full_name", "preferences", "status", "updated_at"))
EDITABLE: dict[str, Editable] = {
    "member_id": Editable(Member, ("version",), take_turn),
    "segment_id": Editable(Segment, first=hold),
    "template_id": Editable(Template, ("name", "updated_at"), hold),
    "campaign_id": Editable(Campaign, ("version", "status", "scheduled_at"), hold),
    "journey_id": Editable(Journey, ("revision",), hold),
    "provider_id": Editable(ProviderAccount),
    "key_id": Editable(ApiKey),
    "user_id": _USER,
    "client_id": Editable(Client),
    "endpoint_id": Editable(Endpoint, ("url", "description", "types", "enabled")),
}
"""By the name of its id in routes. The first one in a path is what the path is about."""

SINGLE: dict[str, Editable] = {
    "/api/v1/clients/me": Editable(Client),
    "/api/v1/foundation": Editable(Client, ("settings",)),
    "/api/v1/me": _USER,
    "/api/v1/tiers": EditableWhole(TierRule, ("tier", "grace_days", "rule")),
}
"""By route, for what a client or a person has one of."""


def install(app: Flask) -> None:
    """Check preconditions before a write, and tell versions with every answer."""

    @app.before_request
    def check() -> Response | None:
        if request.method in READS or not request.path.startswith(PREFIX):
            return None
        return _refusal() if "If-Match" in request.headers else None

    @app.after_request
    def tell(response: Response) -> Response:
        if not request.path.startswith(PREFIX) or response.status_code != 200:
            return response
        if request.method in ("GET", "HEAD") and not _is_file(response):
            return _read(response)
        if request.method in ("PATCH", "PUT"):
            db().flush()
            version = _version()
            if version is not None:
                response.set_etag(version)
        return response


def editable(rule: str, arguments: list[str]) -> tuple[Editable, str | None] | None:
    """Return what a route is about, and the argument that names it; None: it has no version."""
    named = next((name for name in arguments if name in EDITABLE), None)
    if named is not None:
        return EDITABLE[named], named
    return (SINGLE[rule], None) if rule in SINGLE else None


def _about() -> tuple[Editable, int] | None:
    given = request.view_args or {}
    found = editable(request.url_rule.rule, list(given)) if request.url_rule else None
    if found is None:
        return None
    thing, name = found
    return thing, given[name] if name else 0


def _version() -> str | None:
    """Return the present version of the thing the path names; None where it names none."""
    found = _about() if _is_the_thing() else None
    return found[0].version(db(), found[1]) if found else None


def _is_the_thing() -> bool:
    """Say whether the path names the thing itself, and not something that it has."""
    given = request.view_args or {}
    rule = request.url_rule.rule if request.url_rule else ""
    return rule in SINGLE or (len(given) == 1 and rule.endswith(f"{next(iter(given))}>"))


def _refusal() -> Response | None:
    """Return the 412 for whoever has not seen the present version; None lets them write."""
    found, version = _about(), None
    if found is not None:
        thing, id = found
        thing.lock(db(), id)
        version = thing.version(db(), id)
        if version is None or _names(request.if_match, version):
            return None  # what does not exist is refused by its route
    response = problem.document(
        412,
        code="precondition_failed",
        title="Somebody else changed it in the meantime.",
        detail="If-Match names another version than the present one",
        errors=[
            {
                "pointer": "header:/If-Match",
                "detail": "the present version is in this answer's ETag"
                if found
                else "this path has no version",
                "remedy": "read it again, and change what you then see"
                if found
                else "send it without If-Match",
            }
        ],
    )
    if version is not None:
        response.set_etag(version)
    return response


def _names(tags: ETags, version: str) -> bool:
    # A proxy that compresses an answer makes its tag weak; it is the same version all the same.
    return tags.star_tag or any(
        f"{tag}".partition("-")[0] == version for tag in tags.as_set(include_weak=True)
    )


def _read(response: Response) -> Response:
    """Add the ETag, and leave the body out for whoever has it."""
    tag = _digest(response.get_data())
    version = _version()
    if version is not None:
        tag = f"{version}-{tag}"
    response.set_etag(tag)
    response.headers.setdefault("Cache-Control", "private, no-cache")
    if request.if_none_match.contains_weak(tag):
        unchanged = Response(status=304)
        for name in ("ETag", "Cache-Control"):
            unchanged.headers[name] = response.headers[name]
        return unchanged
    return response


def _is_file(response: Response) -> bool:
    """Say whether the server sends it piece by piece, so that there is no body to read here."""
    return response.is_streamed or response.direct_passthrough


def _of(values: Sequence[Any]) -> str:
    return _digest(json.dumps(list(values), default=str, sort_keys=True).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
