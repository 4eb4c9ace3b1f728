"""Jobs as the API shows them."""

from marshmallow import Schema, fields

from api.schemas.field import Instant
from api.schemas.page import PageQuery
from communications.job import JobKind, JobStatus


class JobsQuery(PageQuery):
    """Which jobs."""

    kind = fields.Enum(JobKind, by_value=True, load_default=None)
    status = fields.Enum(JobStatus, by_value=True, load_default=None)


class JobProgressSchema(Schema):
    """How far a job is; null where nobody can tell."""

    done = fields.Integer(allow_none=True, required=True)
    total = fields.Integer(
        allow_none=True, required=True, metadata={"description": "of a file perhaps an estimate"}
    )
    percent = fields.Integer(
        allow_none=True, required=True, metadata={"description": "100 only when it is complete"}
    )


class JobResultSchema(Schema):
    """What a job did so far, and where to find it."""

    resource = fields.String(
        required=True, metadata={"description": "the path of the import, bulk edit or export"}
    )
    problems = fields.String(
        allow_none=True,
        required=True,
        metadata={"description": "the path of what was left out, and why; null: nothing was"},
    )
    download = fields.String(
        allow_none=True,
        required=True,
        metadata={
            "description": "of an export that is done: a link that needs no key, for an hour"
        },
    )
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    size = fields.Integer(
        allow_none=True, required=True, metadata={"description": "of the file, in bytes"}
    )
    sha256 = fields.String(
        allow_none=True, required=True, metadata={"description": "of the file, when it is done"}
    )


class JobErrorSchema(Schema):
    """Why a job failed, or why its file is gone."""

    code = fields.String(required=True)
    detail = fields.String(allow_none=True, required=True)


class JobSchema(Schema):
    """A job: the same fields, whatever it does."""

    id = fields.String(required=True)
    kind = fields.Enum(JobKind, by_value=True, required=True)
    status = fields.Enum(JobStatus, by_value=True, required=True)
    progress = fields.Nested(JobProgressSchema, required=True)
    cancellable = fields.Boolean(required=True)
    created_by = fields.String(allow_none=True, required=True)
    created_at = Instant(required=True)
    started_at = Instant(allow_none=True, required=True)
    finished_at = Instant(allow_none=True, required=True)
    result = fields.Nested(JobResultSchema, required=True)
    error = fields.Nested(JobErrorSchema, allow_none=True, required=True)
