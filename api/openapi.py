"""flask-smorest, bent to what the API promises: problems, strict bodies, true media types.

Five things are changed (LIBS 1): a wrong media type is 415 and not an empty body; unknown fields
and query parameters are errors; errors are RFC 9457; they are documented as such; pages are an
envelope with a cursor instead of a header.
"""

from collections.abc import Callable
from functools import cached_property, partial
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Flask, Request, jsonify
from flask.wrappers import Response
from flask_smorest import Api, Blueprint
from marshmallow import RAISE, Schema, fields
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException, UnsupportedMediaType

from api import body, problem

ERRORS = (400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 503)


class ProblemDetail(Schema):
    """One thing that is wrong, and where."""

    pointer = fields.String(metadata={"description": "JSON pointer, or `query:/name`"})
    detail = fields.String()
    code = fields.String(allow_none=True)
    line = fields.Integer()
    column = fields.Integer()
    remedy = fields.String(allow_none=True, metadata={"description": "what to do about it"})


class Problem(Schema):
    """An error (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String()
    errors = fields.List(fields.Nested(ProblemDetail))


View = TypeVar("View", bound=Callable[..., Any])
OPEN = "open"
"""In the place of an action: an operation that needs no caller."""
PREFIX = "/api/v1"
READS = frozenset({"GET", "HEAD", "OPTIONS"})


class Parser(FlaskParser):
    """Reads requests; refuses what it does not know."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": RAISE, "query": RAISE, "form": RAISE, "files": RAISE}  # noqa: RUF012  (webargs reads it as a class attribute)

    def load_json(self, req: Request, schema: Schema) -> Any:
        """Return the JSON body. Raises 415 for another media type, 400 for what is not JSON."""
        del schema
        if req.mimetype != "application/json" and not req.mimetype.endswith("+json"):
            raise UnsupportedMediaType("send application/json")
        return body.parsed(req.get_data())

    def load_files(self, req: Request, schema: Schema) -> Any:
        """Return a form's files and its other parts alike. Raises 415 for another media type."""
        del schema
        if req.mimetype != "multipart/form-data":
            raise UnsupportedMediaType("send multipart/form-data")
        body.check(req.form.to_dict())
        return {**req.form, **req.files}

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """Return the query's parameters."""
        for name, values in req.args.lists():
            body.check_text(name, (name, *values))
        return super().load_querystring(req, schema)


class Resource(Blueprint):
    """A blueprint of one resource under /api/v1.

    An operation needs the action `<room>:read` when it reads and `<room>:write` when it writes;
    `action` names another. The room is the resource's name unless one is given.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(self, name: str, *, about: str, room: str | None = None) -> None:
        super().__init__(name, name, url_prefix=PREFIX, description=about)
        self.room = room or name.replace("-", "_")

    @staticmethod
    def action(name: str) -> Callable[[View], View]:
        """Let an operation need this action; write it anywhere below the route."""

        def named(view: View) -> View:
            setattr(view, "action", name)  # noqa: B010  (functions have no such attribute to types)
            return view

        return named

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register an operation, and say in the document which action it needs."""
        register: Callable[[View], View] = super().route(rule, **options)
        (method,) = options["methods"]
        usual = f"{self.room}:{'read' if method in READS else 'write'}"

        def registered(view: View) -> View:
            action = getattr(view, "action", usual)
            told: dict[str, Any] = {"operationId": self._id(view.__name__)}
            told |= {"security": []} if action == OPEN else {"x-action": action}
            described: View = self.doc(**told)(self.action(action)(view))
            return register(described)

        return registered

    def _id(self, view: str) -> str:
        """Return what generated clients call an operation: `members_list`, `members_search`."""
        room = self.name.replace("-", "_")
        words = [word for word in view.split("_") if word not in (room, room.removesuffix("s"))]
        return "_".join([room, *words])

    def register_views_in_doc(self, api: "ProblemApi", *place: Any, **options: Any) -> None:
        """Leave the description for when the document is asked for: it is most of a start."""
        api.undescribed.append(partial(super().register_views_in_doc, api, *place, **options))


class ProblemApi(Api):
    """The API document and its errors."""

    ERROR_SCHEMA = Problem

    def __init__(self, app: Flask) -> None:
        self.undescribed: list[Callable[[], None]] = []
        self.finishing: list[Callable[[dict[str, Any]], None]] = []
        super().__init__(app)

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Answer as a problem document."""
        return problem.http(error)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document. Every route may answer the same errors, as problems."""
        for describe in self.undescribed:
            describe()
        spec: dict[str, Any] = self.spec.to_dict()
        for path in spec["paths"].values():
            for name, operation in path.items():
                if name in METHODS:
                    operation["responses"].pop("default", None)
                    operation["responses"] |= {str(status): _error(status) for status in ERRORS}
        for finish in self.finishing:
            finish(spec)
        return spec


SECURITY = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "an API key, `ex_…`, or the token of a session, `es_…`",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-echelonx",
        "description": "a page's session; what changes something also sends `X-CSRF-Token`. "
        "(`echelonx` is its name where the public address is not https.)",
    },
}
METHODS = frozenset({"get", "put", "post", "delete", "patch", "head"})


def _error(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    phrase = HTTPStatus(status).phrase
    return {"description": phrase, "content": {problem.TYPE: {"schema": schema}}}


def make(app: Flask) -> ProblemApi:
    """Return the API of `app` and serve its document at /api/v1/openapi.json."""
    app.config.update(
        API_TITLE="EchelonX",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={
            "components": {
                "securitySchemes": SECURITY,
            },
            "security": [{"key": []}, {"session": []}],
            "info": {"description": "Campaigns, people and the log of every message."},
        },
    )
    api = ProblemApi(app)

    @app.get("/api/v1/openapi.json")
    @Resource.action(OPEN)
    def openapi() -> Response:
        """Serve the OpenAPI document."""
        return jsonify(api.document)

    return api
