"""/journeys/{id}/…: who is inside, what is done about them, and what became of them."""

from typing import Any

from api.context import actor, client_id, clock, db, ring_after_commit
from api.journeys import ID
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.enrolments import (
    DEEDS,
    EnrolledSchema,
    EnrolmentStorySchema,
    EnrolSchema,
    IntervenedSchema,
    InterventionSchema,
    PeopleQuery,
    ResultsQuery,
    ResultsSchema,
    SkippedQuery,
    SkippedSchema,
    StandingSchema,
)
from api.schemas.page import page_of
from campaigns.journeys.ask import ask, ask_segment
from campaigns.journeys.intervention import intervene
from campaigns.journeys.messages import skipped_page
from campaigns.journeys.people import Story, Which, people_page, story
from campaigns.journeys.results import Results, results
from members.own import require_members
from members.queries import segment

bp = Resource("enrolments", about="People in journeys", room="journeys")
ENROLMENT = "<int(min=1,max=9223372036854775807):enrolment_id>"


@bp.get(f"/journeys/{ID}/enrolments")
@bp.arguments(PeopleQuery, location="query")
@bp.response(200, page_of(StandingSchema))
def list_people(query: dict[str, Any], journey_id: int) -> dict[str, Any]:
    """List who is inside, the first who came first: step, since, next look, and why they wait."""
    which = Which(
        **{name: query[name] for name in query if name not in ("limit", "cursor", "fields_")}
    )
    return paged(
        query,
        lambda after, limit: people_page(
            db(),
            clock(),
            client_id=client_id(),
            journey_id=journey_id,
            which=which,
            after=after or 0,
            limit=limit,
        ),
        by_id,
    )


@bp.post(f"/journeys/{ID}/enrolments")
@bp.action("journeys:launch")
@bp.arguments(EnrolSchema)
@bp.response(200, EnrolledSchema)
def enrol(data: dict[str, Any], journey_id: int) -> dict[str, Any]:
    """Let members in where the journey says `when asked`: up to 1,000, or a segment of 10,000."""
    told: dict[str, Any] = {"client_id": client_id(), "journey_id": journey_id}
    told |= {"key": data["key"], "event": data["event"]}
    if "segment_id" in data:
        meant = segment(db(), client_id(), data["segment_id"])
        entered, asked = ask_segment(db(), clock(), segment=meant, **told)
    else:
        asked = set(data["members"])
        require_members(db(), client_id(), asked, field="members")
        entered = ask(db(), clock(), member_ids=sorted(asked), **told)
    ring_after_commit()
    return {
        "entered": [
            {"member_id": member_id, "enrolment_id": id}
            for member_id, id in sorted(entered.items())
        ],
        "left_out": len(asked) - len(entered),
    }


@bp.get(f"/journeys/{ID}/enrolments/{ENROLMENT}")
@bp.response(200, EnrolmentStorySchema)
def show(journey_id: int, enrolment_id: int) -> Story:
    """Show one entry of one member: every step with why, and the messages of each."""
    return story(
        db(), clock(), client_id=client_id(), journey_id=journey_id, enrolment_id=enrolment_id
    )


@bp.post(f"/journeys/{ID}/interventions")
@bp.action("journeys:launch")
@bp.arguments(InterventionSchema)
@bp.response(200, IntervenedSchema)
def act(data: dict[str, Any], journey_id: int) -> dict[str, Any]:
    """Skip the present step, move to a step, retry or exit, for all who are meant at once."""
    people = intervene(
        db(),
        clock(),
        client_id=client_id(),
        journey_id=journey_id,
        which=Which(**data["which"]),
        deed=DEEDS[data["do"]],
        to=data["to"],
        by=actor(),
    )
    ring_after_commit()
    return {"people": people}


@bp.get(f"/journeys/{ID}/results")
@bp.arguments(ResultsQuery, location="query")
@bp.response(200, ResultsSchema)
def show_results(query: dict[str, Any], journey_id: int) -> Results:
    """Count what became of everybody, by version and step: numbers that always add up."""
    return results(db(), clock(), client_id=client_id(), journey_id=journey_id, **query)


@bp.get(f"/journeys/{ID}/skipped")
@bp.arguments(SkippedQuery, location="query")
@bp.response(200, page_of(SkippedSchema))
def list_skipped(query: dict[str, Any], journey_id: int) -> dict[str, Any]:
    """List who did not get a message, and why, oldest first."""
    return paged(
        query,
        lambda after, limit: skipped_page(
            db(),
            client_id=client_id(),
            journey_id=journey_id,
            version=query["version"],
            step=query["step"],
            reason=query["reason"],
            after=after or 0,
            limit=limit,
        ),
        by_id,
    )
