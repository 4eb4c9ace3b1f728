"""Tracking: the links a message carries: click, open, unsubscribe.

    GET  /c/<token>        302 to the stored link; the click is noted
    GET  /o/<token>.gif    a transparent pixel; the open is noted
    GET  /u/<token>        a page that asks; changes nothing
    POST /u/<token>        unsubscribes; also RFC 8058 one-click

Invariants
    1. GET and HEAD never change what a person allowed (law 4).
    2. A click leads to the link stored with the template version, or to 404: nothing in the
       request has a say in where it goes.
    3. Every token that is not ours gets one and the same answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, request
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from communications.communication import Communication, Direction
from communications.link import Link
from core.db import DATABASE_AWAY, read, write
from webhooks import target, unsubscribe
from webhooks.context import Services
from webhooks.group import GroupCommit, LeaderLostError
from webhooks.machine import is_prefetch, is_scanner
from webhooks.public import away, missing, page, sealed
from webhooks.visit import Visit, keep

PIXEL = bytes.fromhex(
    "47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b"
)
"""A transparent GIF of one by one pixel, 43 bytes."""
MAX_FORM = 16 * 1024
ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""The body that RFC 8058 section 3.1 prescribes."""

Visits = GroupCommit[Visit, None]


@dataclass(frozen=True, slots=True)
class _Followed:
    communication: Communication
    link: str


def blueprint(services: Services) -> Blueprint:
    """Return the public routes of links in messages."""
    routes = Blueprint("tracking", __name__, template_folder="templates")

    def commit(waiting: Sequence[Visit]) -> Sequence[None]:
        with write(services.sessions) as session:
            keep(session, services.clock, waiting)
        return [None] * len(waiting)

    visits: Visits = GroupCommit(commit)

    @routes.get("/c/<token>")
    def follow(token: str) -> Response:
        """Send a visitor on to a message's link."""
        return _follow(services, visits, token)

    @routes.get("/o/<token>.gif")
    def pixel(token: str) -> Response:
        """Serve the open pixel."""
        return _pixel(services, visits, token)

    @routes.get("/u/<token>")
    def ask(token: str) -> Response:
        """Show what unsubscribing would do."""
        return _ask(services, token)

    @routes.post("/u/<token>")
    def act(token: str) -> Response:
        """Unsubscribe."""
        return _act(services, token)

    routes.after_request(sealed)
    for kind in (*DATABASE_AWAY, LeaderLostError):
        routes.register_error_handler(kind, lambda _: away())
    routes.register_error_handler(HTTPException, _refused)
    return routes


def _follow(services: Services, visits: Visits, token: str) -> Response:
    numbers = services.signer.verify("click", token, 2)
    if numbers is None:
        return missing()
    with read(services.sessions) as session:
        followed = _followed(session, *numbers)
    if followed is None:
        return missing()
    visits.put(
        Visit(
            client_id=followed.communication.client_id,
            communication_id=numbers[0],
            at=services.clock.now(),
            machine=is_scanner(request.method, _agent()),
            position=numbers[1],
        )
    )
    return _onward(followed.link)


def _onward(link: str) -> Response:
    return Response("", status=302, headers={"Location": link}, mimetype="text/plain")


def _followed(session: Session, communication_id: int, position: int) -> _Followed | None:
    found = session.execute(
        select(Communication, Link.url)
        .join(Link, Link.template_version_id == Communication.template_version_id)
        .where(
            Communication.id == communication_id,
            Link.position == position,
            Link.client_id == Communication.client_id,
        )
    ).first()
    if found is None:
        return None
    link = target.resolve(session, found[0], found[1])
    return _Followed(found[0], link) if link is not None else None


def _pixel(services: Services, visits: Visits, token: str) -> Response:
    numbers = services.signer.verify("open", token, 1)
    if numbers is None:
        return missing()
    with read(services.sessions) as session:
        row = _outbound(session, numbers[0])
    if row is None:
        return missing()
    now, agent = services.clock.now(), _agent()
    machine = is_scanner(request.method, agent) or is_prefetch(agent, row.sent_at, now)
    visits.put(Visit(row.client_id, row.id, now, machine))
    # It is shown in the pages of mail readers.
    headers = {"Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(PIXEL, headers=headers, mimetype="image/gif")


def _ask(services: Services, token: str) -> Response:
    numbers = services.signer.verify("unsubscribe", token, 1)
    if numbers is None:
        return missing()
    with read(services.sessions) as session:
        row = _outbound(session, numbers[0])
        if row is None:
            return missing()
        return page("unsubscribe", unsubscribe.wording(session, row))


def _act(services: Services, token: str) -> Response:
    numbers = services.signer.verify("unsubscribe", token, 1)
    if numbers is None:
        return missing()
    request.max_content_length = MAX_FORM
    one_click = request.form.get(ONE_CLICK[0]) == ONE_CLICK[1]
    with write(services.sessions) as session:
        row = _outbound(session, numbers[0])
        if row is None:
            return missing()
        unsubscribe.act(session, services.clock, services.hasher, row, one_click=one_click)
        return page("unsubscribed", unsubscribe.wording(session, row))


def _outbound(session: Session, communication_id: int) -> Communication | None:
    return session.scalar(
        select(Communication).where(
            Communication.id == communication_id, Communication.direction == Direction.OUTBOUND
        )
    )


def _agent() -> str:
    return request.headers.get("User-Agent", "")


def _refused(error: HTTPException) -> Response:
    return Response("", status=error.code or 400, mimetype="text/plain")
