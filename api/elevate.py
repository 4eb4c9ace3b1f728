"""/elevate, /members/{id}/stages: the nine steps: the student's path, the funnel, the class."""

from typing import Any

from api.context import audit, client_id, clock, db, principal, services
from api.members import ID
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.elevate import (
    ClassSchema,
    DaysQuery,
    FunnelSchema,
    MemberStagesSchema,
    MetricsSchema,
    NewSnapshotSchema,
    PathSchema,
    SnapshotSchema,
    SnapshotsQuery,
    StarsSchema,
)
from api.schemas.page import page_of
from campaigns.elevate.classroom import Student, classroom
from campaigns.elevate.metrics import metrics
from campaigns.elevate.progress import member_stages, stage_people
from campaigns.elevate.snapshot import save_snapshot, snapshots_page
from campaigns.elevate.student import award, student_path
from core.errors import ForbiddenError

bp = Resource("elevate", about="The nine Elevate steps: path, stars, funnel, class")


@bp.get("/elevate/path")
@bp.response(200, PathSchema)
def get_path() -> Any:
    """Show the client's path: nine nodes with state, stars and what is missing; badges."""
    return student_path(db(), clock(), services().vault, client_id=client_id())


@bp.post("/elevate/stars")
@bp.response(200, StarsSchema)
def keep_stars() -> dict[str, Any]:
    """Keep the stars that are earned by now; they are never lost. Answers with the new ones."""
    new = award(db(), clock(), services().vault, client_id=client_id())
    return {
        "new": [
            {"stage": stage, "practice": practice, "number": number}
            for stage, practice, number in new
        ]
    }


@bp.get("/elevate/metrics")
@bp.arguments(DaysQuery, location="query")
@bp.response(200, MetricsSchema)
def get_metrics(query: dict[str, Any]) -> dict[str, Any]:
    """Measure the funnel over the last days, each number with what it is divided by."""
    days = query["days"]
    return {"days": days, "metrics": metrics(db(), clock(), client_id=client_id(), days=days)}


@bp.get("/elevate/people")
@bp.action("members:read")
@bp.response(200, FunnelSchema)
def get_people() -> dict[str, Any]:
    """Count the members at each of the nine steps."""
    return {"stages": stage_people(db(), clock(), client_id=client_id())}


@bp.get("/elevate/snapshots")
@bp.arguments(SnapshotsQuery, location="query")
@bp.response(200, page_of(SnapshotSchema))
def list_snapshots(query: dict[str, Any]) -> dict[str, Any]:
    """List the funnel's numbers as they were kept, the newest first."""
    return paged(
        query,
        lambda before, limit: snapshots_page(db(), client_id(), before=before, limit=limit),
        by_id,
    )


@bp.post("/elevate/snapshots")
@bp.arguments(NewSnapshotSchema)
@bp.response(201, SnapshotSchema)
def create_snapshot(data: dict[str, Any]) -> Any:
    """Keep the numbers of a period: measured, or entered where nothing is measured."""
    made = save_snapshot(db(), clock(), client_id=client_id(), **data)
    audit(f"snapshot:{made.id}")
    return made


@bp.get(f"/members/{ID}/stages")
@bp.action("members:read")
@bp.response(200, MemberStagesSchema)
def get_member_stages(member_id: int) -> dict[str, Any]:
    """Show how far a member is with each of the nine steps."""
    found = member_stages(db(), clock(), client_id=client_id(), member_id=member_id)
    return {"stages": found}


@bp.get("/elevate/class")
@bp.response(200, ClassSchema)
def get_class() -> dict[str, Any]:
    """Show the clients that the key's user teaches: stars, who is stuck, last active."""
    user_id = principal().user_id
    if user_id is None:
        raise ForbiddenError(
            "this key belongs to no user, so it teaches nobody",
            remedy="use a key that was issued to the teacher",
        )
    return {"students": [_shown(one) for one in classroom(db(), clock(), user_id=user_id)]}


def _shown(one: Student) -> dict[str, Any]:
    return {
        "client_id": one.client_id,
        "name": one.name,
        "stars": {stage.value: number for stage, number in one.stars.items()},
        "practice": {stage.value: number for stage, number in one.practice.items()},
        "current": one.current,
        "last_star_at": one.last_star_at,
        "last_active": one.last_active,
        "stuck": one.stuck,
    }
