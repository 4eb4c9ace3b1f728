"""/journeys: drafts, versions, what a publish would change, pause and go on."""

from typing import Any

from api.context import actor, audit, client_id, clock, db, ring_after_commit
from api.openapi import Resource
from api.paging import all_of, by_id, paged
from api.schemas.journeys import (
    DiffQuery,
    DiffSchema,
    DraftSchema,
    JourneyFacesSchema,
    JourneyRowSchema,
    JourneySchema,
    JourneysQuery,
    JourneyVersionSchema,
    MovedSchema,
    MovePreviewSchema,
    MoveQuery,
    MoveSchema,
    PlanSchema,
    RestoreSchema,
    VersionRowSchema,
)
from api.schemas.page import page_of
from campaigns.errors import JourneyStateError
from campaigns.journeys import journey as journeys
from campaigns.journeys import moving, planning, publish
from campaigns.journeys.comparison import sentence
from campaigns.journeys.errors import JourneyError
from campaigns.journeys.faces import faces, steps
from campaigns.journeys.journey import Journey, JourneyVersion, version_numbered
from campaigns.journeys.json import from_json
from campaigns.journeys.overview import Headcount, headcounts, journeys_page, version_numbers
from campaigns.journeys.spelling import format

bp = Resource("journeys", about="Campaigns of several steps: waits, branches, sends, goals")
ID = "<int(min=1,max=9223372036854775807):journey_id>"
NUMBER = "<int(min=1,max=2147483647):number>"


def listed(found: Journey, inside: Headcount, version: int | None) -> dict[str, Any]:
    """Return a journey as it stands in a list."""
    names = ("id", "name", "revision", "created_at", "updated_at")
    return {name: getattr(found, name) for name in names} | {
        "status": found.status.value,
        "version": version,
        "inside": inside.inside,
        "stuck": inside.stuck,
    }


def shown(found: Journey) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a journey with its draft, read as far as it can be, and the draft's ETag."""
    number = version_numbers(db(), [found])[found.id]
    row = listed(found, headcounts(db(), [found.id])[found.id], number)
    try:
        row |= {"read": faces(found.draft), "problem": None}
    except JourneyError as error:
        mistake = {name: getattr(error, name) for name in ("remedy", "line", "column")}
        row |= {"read": None, "problem": mistake | {"message": str(error)}}
    return row | {"draft": found.draft}, {"ETag": f'"{found.revision}"'}


def tagged(journey_id: int, status: int = 200) -> Any:
    """Return the client's journey as it now is."""
    db().flush()
    db().expire_all()
    row, headers = shown(journeys.journey(db(), client_id(), journey_id))
    return row, status, headers


def text_of(data: dict[str, Any]) -> str:
    """Take the journey out of a body, in whichever form it came, as text."""
    return data["text"] if "text" in data else format(from_json(data["journey"]))


def present_number(journey_id: int) -> int:
    """Return the number of the version that members enter. Raises JourneyStateError for none."""
    found = journeys.journey(db(), client_id(), journey_id)
    if found.version_id is None:
        raise JourneyStateError(
            "the journey has no version", field="status", remedy="publish it first"
        )
    return db().get_one(JourneyVersion, found.version_id).number


@bp.get("/journeys")
@bp.arguments(JourneysQuery, location="query")
@bp.response(200, page_of(JourneyRowSchema))
def list_journeys(query: dict[str, Any]) -> dict[str, Any]:
    """List journeys, oldest first, with how many are inside."""
    page = paged(
        query,
        lambda after, limit: journeys_page(
            db(), client_id(), status=query["status"], after=after or 0, limit=limit
        ),
        by_id,
    )
    found = page["data"]
    counts, numbers = headcounts(db(), [one.id for one in found]), version_numbers(db(), found)
    return page | {"data": [listed(one, counts[one.id], numbers[one.id]) for one in found]}


@bp.post("/journeys")
@bp.arguments(DraftSchema)
@bp.response(201, JourneySchema)
def create(data: dict[str, Any]) -> Any:
    """Make a draft, from text or JSON; its name is that in it."""
    made = publish.create_journey(db(), clock(), client_id=client_id(), text=text_of(data))
    return tagged(made.id, 201)


@bp.post("/journeys/check")
@bp.arguments(DraftSchema)
@bp.response(200, JourneyFacesSchema)
def check(data: dict[str, Any]) -> Any:
    """Read a journey and say what is wrong with it, without saving it."""
    return faces(text_of(data))


@bp.get(f"/journeys/{ID}")
@bp.response(200, JourneySchema)
def get(journey_id: int) -> Any:
    """Show a journey and its draft: text, JSON, steps, and what is wrong with it."""
    return tagged(journey_id)


@bp.patch(f"/journeys/{ID}")
@bp.arguments(DraftSchema)
@bp.response(200, JourneySchema)
def save(data: dict[str, Any], journey_id: int) -> Any:
    """Save the draft; text that cannot be read is kept too. Nobody is touched until a publish."""
    publish.save_draft(
        db(),
        clock(),
        client_id=client_id(),
        journey_id=journey_id,
        text=text_of(data),
    )
    return tagged(journey_id)


@bp.get(f"/journeys/{ID}/plan")
@bp.response(200, PlanSchema)
def plan(journey_id: int) -> dict[str, Any]:
    """Say what publishing the draft would change, what stands in its way and whom it touches."""
    text = journeys.journey(db(), client_id(), journey_id).draft
    found = planning.plan(db(), clock(), client_id=client_id(), text=text, journey_id=journey_id)
    names = ("version", "changes", "problems", "warnings", "inside", "stands", "entrances")
    return {name: getattr(found, name) for name in names} | {"text": found.says}


@bp.post(f"/journeys/{ID}/publish")
@bp.action("journeys:launch")
@bp.response(200, JourneySchema)
def publish_journey(journey_id: int) -> Any:
    """Make the draft what members enter from now on. Again changes nothing; who is inside stays."""
    publish.publish(db(), clock(), client_id=client_id(), journey_id=journey_id)
    audit(f"journey:{journey_id}")
    ring_after_commit()
    return tagged(journey_id)


@bp.post(f"/journeys/{ID}/pause")
@bp.action("journeys:launch")
@bp.response(200, JourneySchema)
def pause(journey_id: int) -> Any:
    """Freeze everyone: nobody enters, and those inside stand still."""
    publish.pause(db(), clock(), client_id=client_id(), journey_id=journey_id)
    audit(f"journey:{journey_id}")
    return tagged(journey_id)


@bp.post(f"/journeys/{ID}/drain")
@bp.action("journeys:launch")
@bp.response(200, JourneySchema)
def drain(journey_id: int) -> Any:
    """Stop new entries only: those inside go on to their end."""
    publish.drain(db(), clock(), client_id=client_id(), journey_id=journey_id)
    audit(f"journey:{journey_id}")
    return tagged(journey_id)


@bp.post(f"/journeys/{ID}/resume")
@bp.action("journeys:launch")
@bp.response(200, JourneySchema)
def resume(journey_id: int) -> Any:
    """Go on. What happened meanwhile lets nobody in."""
    publish.resume(db(), clock(), client_id=client_id(), journey_id=journey_id)
    audit(f"journey:{journey_id}")
    ring_after_commit()
    return tagged(journey_id)


@bp.post(f"/journeys/{ID}/archive")
@bp.action("journeys:launch")
@bp.response(200, JourneySchema)
def archive(journey_id: int) -> Any:
    """End it: nobody enters, and those inside are taken out."""
    publish.archive(db(), clock(), client_id=client_id(), journey_id=journey_id)
    audit(f"journey:{journey_id}")
    return tagged(journey_id)


@bp.get(f"/journeys/{ID}/versions")
@bp.response(200, page_of(VersionRowSchema))
def versions(journey_id: int) -> dict[str, Any]:
    """List a journey's versions, newest first."""
    journeys.journey(db(), client_id(), journey_id)
    return all_of(journeys.versions(db(), client_id(), journey_id))


@bp.get(f"/journeys/{ID}/versions/{NUMBER}")
@bp.response(200, JourneyVersionSchema)
def version(journey_id: int, number: int) -> dict[str, Any]:
    """Show a version: it never changes."""
    found = version_numbered(db(), client_id(), journey_id, number)
    names = ("number", "text", "ast", "created_at", "created_by")
    return {name: getattr(found, name) for name in names} | {"steps": steps(from_json(found.ast))}


@bp.get(f"/journeys/{ID}/diff")
@bp.arguments(DiffQuery, location="query")
@bp.response(200, DiffSchema)
def diff(query: dict[str, Any], journey_id: int) -> dict[str, Any]:
    """Say in words what changed from one version to another, or to the draft."""
    older = query["older"] or present_number(journey_id)
    found = planning.difference(
        db(), client_id=client_id(), journey_id=journey_id, older=older, newer=query["newer"]
    )
    return {
        "text": sentence(found.changes), "changes": found.changes, "steps": dict(found.steps),
    }  # fmt: skip


@bp.post(f"/journeys/{ID}/restore")
@bp.arguments(RestoreSchema)
@bp.response(200, JourneySchema)
def restore(data: dict[str, Any], journey_id: int) -> Any:
    """Make the text of a version the draft."""
    publish.restore(db(), clock(), client_id=client_id(), journey_id=journey_id, **data)
    return tagged(journey_id)


@bp.get(f"/journeys/{ID}/move")
@bp.arguments(MoveQuery, location="query")
@bp.response(200, MovePreviewSchema)
def preview_move(query: dict[str, Any], journey_id: int) -> moving.Preview:
    """Count who would be moved to a version, and who stands at a step that it does not have."""
    number = query["version"] or present_number(journey_id)
    return moving.preview(db(), client_id=client_id(), journey_id=journey_id, to_version=number)


@bp.post(f"/journeys/{ID}/move")
@bp.action("journeys:launch")
@bp.arguments(MoveSchema)
@bp.response(200, MovedSchema)
def move(data: dict[str, Any], journey_id: int) -> moving.Moved:
    """Move everybody inside to a version; nobody gets again what they got."""
    moved = moving.move(
        db(),
        clock(),
        client_id=client_id(),
        journey_id=journey_id,
        to_version=data["version"],
        choices=data["choices"],
        by=actor(),
    )
    ring_after_commit()
    return moved
