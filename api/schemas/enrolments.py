"""People in journeys, what is done about them, and what became of them."""

from typing import Any

from marshmallow import Schema, fields, validate, validates_schema

from api.refusal import wrong
from api.schemas.field import MAX_ID, Digits, Instant, id_field
from api.schemas.journeys import Key, Number
from api.schemas.page import PageQuery
from campaigns.journeys.enrolment import EnrolmentStatus, Held
from campaigns.journeys.intervention import Deed
from campaigns.journeys.messages import NUMBERS
from communications.communication import Reason

MOST = 1000
DEEDS = {"skip": Deed.SKIP, "move": Deed.MOVE, "exit": Deed.REMOVE, "retry": Deed.RETRY}
Id = validate.Range(1, MAX_ID)


class PeopleQuery(PageQuery):
    """Which of those inside."""

    member_id = Digits(load_default=None, validate=Id)
    version = Digits(load_default=None, validate=Number)
    step = fields.String(load_default=None, validate=Key)
    status = fields.Enum(
        EnrolmentStatus,
        by_value=True,
        load_default=None,
        metadata={"description": "everybody inside, if it is not given: active and stuck"},
    )
    held = fields.Enum(Held, by_value=True, load_default=None)


class StandingSchema(Schema):
    """Where somebody stands in a journey, and why."""

    id = fields.Integer(required=True)
    member_id = fields.Integer(required=True)
    member = fields.String(required=True)
    name = fields.String(required=True)
    version = fields.Integer(required=True)
    status = fields.String(required=True)
    step = fields.String(required=True, allow_none=True)
    says = fields.String(required=True, allow_none=True)
    since = Instant(required=True)
    until = Instant(required=True, allow_none=True)
    next_at = Instant(required=True, allow_none=True)
    held = fields.String(required=True, allow_none=True)
    because = fields.String(required=True)
    tries = fields.Integer(required=True)
    error = fields.String(required=True, allow_none=True)
    key = fields.String(required=True)
    cause = fields.String(required=True)
    entered_at = Instant(required=True)
    ended_at = Instant(required=True, allow_none=True)


class StepMessageSchema(Schema):
    """One message of a step, sent or not."""

    id = fields.Integer(required=True)
    channel = fields.String(required=True)
    status = fields.String(required=True)
    reason = fields.String(required=True, allow_none=True)
    created_at = Instant(required=True)
    sent_at = Instant(required=True, allow_none=True)


class TakenSchema(Schema):
    """One step somebody left, or what a person did about them."""

    version = fields.Integer(required=True)
    step = fields.String(required=True)
    says = fields.String(required=True, allow_none=True)
    way = fields.String(required=True)
    way_says = fields.String(
        required=True, metadata={"description": "the way in the words of the text: `if …`, `else`"}
    )
    why = fields.Dict(keys=fields.String(), required=True)
    came_at = Instant(required=True)
    left_at = Instant(required=True)
    messages = fields.List(fields.Nested(StepMessageSchema), required=True)


class EnrolmentStorySchema(Schema):
    """One enrolment from its beginning."""

    standing = fields.Nested(StandingSchema, required=True)
    trail = fields.List(fields.Nested(TakenSchema), required=True)


class EnrolSchema(Schema):
    """Whom to let in, by member ids or as a segment."""

    members = fields.List(id_field(), validate=validate.Length(min=1, max=MOST))
    segment_id = id_field()
    key = fields.String(
        load_default="",
        validate=validate.Length(max=100),
        metadata={"description": "each key is an entry of its own"},
    )
    event = fields.Dict(
        keys=fields.String(),
        load_default=dict,
        validate=validate.Length(max=100),
        metadata={"description": "what templates show as `event.…`"},
    )

    @validates_schema
    def one_way(self, data: dict[str, Any], **_: object) -> None:
        """Ask for one of them."""
        if ("members" in data) == ("segment_id" in data):
            raise wrong("it takes one of members and segment_id", "give one of the two", "members")


class EnteredSchema(Schema):
    """Who was let in."""

    member_id = fields.Integer(required=True)
    enrolment_id = fields.Integer(required=True)


class EnrolledSchema(Schema):
    """Who was let in, and how many were not: inside already, or not meant."""

    entered = fields.List(fields.Nested(EnteredSchema), required=True)
    left_out = fields.Integer(required=True)


class EnrolmentsMeantSchema(Schema):
    """Those inside to whom all that is given applies; of `{}`, everybody inside."""

    ids = fields.List(id_field(), validate=validate.Length(min=1, max=MOST))
    version = fields.Integer(strict=True, validate=Number)
    step = fields.String(validate=Key)
    status = fields.Enum(
        EnrolmentStatus,
        by_value=True,
        validate=validate.OneOf([EnrolmentStatus.ACTIVE, EnrolmentStatus.STUCK]),
    )
    held = fields.Enum(Held, by_value=True)

    @validates_schema
    def ids_alone(self, data: dict[str, Any], **_: object) -> None:
        """Ask for ids alone: an id that something else left out would look like one of nobody."""
        if "ids" in data and len(data) > 1:
            raise wrong("ids stand alone", "give ids, or what applies to them", "ids")


class InterventionSchema(Schema):
    """What to do about people in a journey."""

    do = fields.String(required=True, validate=validate.OneOf(list(DEEDS)))
    which = fields.Nested(EnrolmentsMeantSchema, required=True)
    to = fields.String(
        load_default=None, validate=Key, metadata={"description": "the step to `move` to"}
    )

    @validates_schema
    def somewhere(self, data: dict[str, Any], **_: object) -> None:
        """Ask for a step where one is needed, and nowhere else."""
        if (data.get("do") == "move") != (data.get("to") is not None):
            raise wrong(
                "a move needs the key of a step, nothing else does", "give to with move alone", "to"
            )


class IntervenedSchema(Schema):
    """How many it was done about."""

    people = fields.Integer(required=True)


class ResultsQuery(Schema):
    """Of which version; of all, if it is not given."""

    version = Digits(load_default=None, validate=Number)


class TotalsSchema(Schema):
    """entered = inside + completed + goal + exited + stuck."""

    entered = fields.Integer(required=True)
    inside = fields.Integer(required=True)
    completed = fields.Integer(required=True)
    goal = fields.Integer(required=True)
    exited = fields.Integer(required=True)
    stuck = fields.Integer(required=True)


MessageNumbersSchema = Schema.from_dict(
    {name: fields.Integer(required=True) for name in NUMBERS}
    | {
        "skipped_reasons": fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    },
    name="MessageNumbers",
)
"""messages = sent + skipped + failed + unknown + queued; sent = delivered + bounced + pending."""


class StepResultSchema(Schema):
    """came = left + waiting + stuck."""

    key = fields.String(required=True)
    says = fields.String(required=True)
    stage = fields.String(required=True, allow_none=True)
    came = fields.Integer(required=True)
    waiting = fields.Integer(required=True)
    stuck = fields.Integer(required=True)
    left = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    lost = fields.Integer(required=True)
    drop_off = fields.Float(required=True)
    messages = fields.Nested(MessageNumbersSchema, required=True)


class MessageResultSchema(Schema):
    """What became of one text at one step."""

    step = fields.String(required=True)
    channel = fields.String(required=True)
    template = fields.String(required=True)
    wording = fields.Integer(required=True)
    messages = fields.Nested(MessageNumbersSchema, required=True)


class VersionResultSchema(Schema):
    """One version's numbers."""

    version = fields.Integer(required=True)
    totals = fields.Nested(TotalsSchema, required=True)
    steps = fields.List(fields.Nested(StepResultSchema), required=True)
    messages = fields.List(fields.Nested(MessageResultSchema), required=True)


class DaySchema(Schema):
    """Of those who entered so many days ago or earlier, how many had reached the goal by then."""

    day = fields.Integer(required=True)
    of = fields.Integer(required=True)
    reached = fields.Integer(required=True)


class ResultsSchema(Schema):
    """What became of everybody who entered."""

    totals = fields.Nested(TotalsSchema, required=True)
    versions = fields.List(fields.Nested(VersionResultSchema), required=True)
    conversion = fields.List(fields.Nested(DaySchema), required=True)


class SkippedQuery(PageQuery):
    """Which messages that were skipped."""

    version = Digits(load_default=None, validate=Number)
    step = fields.String(load_default=None, validate=Key)
    reason = fields.Enum(Reason, by_value=True, load_default=None)


class SkippedSchema(Schema):
    """Somebody who did not get a message, and why."""

    id = fields.Integer(required=True, metadata={"description": "of the communication"})
    enrolment_id = fields.Integer(required=True)
    member_id = fields.Integer(required=True)
    member = fields.String(required=True)
    name = fields.String(required=True)
    version = fields.Integer(required=True)
    step = fields.String(required=True)
    channel = fields.String(required=True)
    reason = fields.String(required=True)
    at = Instant(required=True)
