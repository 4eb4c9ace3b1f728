"""flask-smorest, bent to what the API promises: problems, strict bodies, true media types.

Five things are changed (LIBS 1): a wrong media type is 415 and not an empty body; unknown fields
and query parameters are errors; errors are RFC 9457; they are documented as such; pages are an
envelope with a cursor instead of a header.
"""

import re
from collections.abc import Callable
from functools import cached_property, partial
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Flask, Request, jsonify
from flask.wrappers import Response
from flask_smorest import Api, Blueprint
from marshmallow import RAISE, Schema, fields, validate
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException, UnsupportedMediaType

from api import body, problem

ERRORS = (400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 503)


class ProblemDetail(Schema):
    """One thing that is wrong, and where."""

    pointer = fields.String(
        required=True,
        metadata={"description": "JSON pointer, `query:/name` or `header:/Name`; empty: the whole"},
    )
    detail = fields.String(required=True)
    code = fields.String(allow_none=True)
    line = fields.Integer()
    column = fields.Integer()
    remedy = fields.String(required=True, metadata={"description": "what to do about it"})


class Problem(Schema):
    """An error (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(
        required=True, metadata={"description": "stable, and the end of `type`; decide by it"}
    )
    detail = fields.String(required=True)
    errors = fields.List(
        fields.Nested(ProblemDetail), required=True, validate=validate.Length(min=1)
    )


View = TypeVar("View", bound=Callable[..., Any])
OPEN = "open"
"""In the place of an action: an operation that needs no caller."""
PREFIX = "/api/v1"
STALE = "; `stale_session` for a person who proved too long ago who they are: POST /me/proof"
READS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_fresh_only(view: Callable[..., Any]) -> bool:
    """Say whether a view is marked so by `Resource.fresh`."""
    return getattr(view, "fresh_only", False)


class Parser(FlaskParser):
    """Reads requests; refuses what it does not know."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": RAISE, "query": RAISE, "form": RAISE, "files": RAISE}  # noqa: RUF012  (webargs reads it as a class attribute)

    def load_json(self, req: Request, schema: Schema) -> Any:
        """Return the JSON body. Raises 415 for another media type, 400 for what is not JSON.

        No body at all is an empty object, whatever it is said to be.
        """
        del schema
        if not req.get_data():
            return {}  # a body that may be left out; else the schema names what is missing
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

    Its name is `<noun>.<verb>`: generated clients call it so, with `_` for the dot, and the audit
    log, unless `told_as` says otherwise. The verb is the view's name without the noun.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(
        self, name: str, *, about: str, room: str | None = None, noun: str | None = None
    ) -> None:
        super().__init__(name, name, url_prefix=PREFIX, description=about)
        self.room = room or name.replace("-", "_")
        self.noun = noun or name.removesuffix("s").replace("-", "_")

    def arguments(
        self, schema: Schema | type[Schema], *, location: str = "json", **options: Any
    ) -> Callable[[View], View]:
        """Read a part of the request; a body of which nothing is required may be left out."""
        if location == "json":
            made = schema() if isinstance(schema, type) else schema
            options["required"] = any(field.required for field in made.fields.values())
        read: Callable[[View], View] = super().arguments(schema, location=location, **options)

        def reading(view: View) -> View:
            made = read(view)
            if location == "query":
                setattr(made, "asks", True)  # noqa: B010  (as below)
            return made

        return reading

    @staticmethod
    def action(name: str) -> Callable[[View], View]:
        """Let an operation need this action; write it anywhere below the route."""

        def named(view: View) -> View:
            setattr(view, "action", name)  # noqa: B010  (functions have no such attribute to types)
            return view

        return named

    @staticmethod
    def fresh(view: View) -> View:
        """Let people do an operation only who proved lately who they are; keys as ever."""
        setattr(view, "fresh_only", True)  # noqa: B010  (as above)
        return view

    @staticmethod
    def told_as(name: str) -> Callable[[View], View]:
        """Let the audit log call an operation otherwise; write it right above the view."""

        def named(view: View) -> View:
            setattr(view, "deed", name)  # noqa: B010  (functions have no such attribute to types)
            return view

        return named

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register an operation, and say in the document which action it needs."""
        register: Callable[[View], View] = super().route(rule, **options)
        (method,) = options["methods"]
        usual = f"{self.room}:{'read' if method in READS else 'write'}"

        def registered(view: View) -> View:
            action = getattr(view, "action", usual)
            name = self._name(view.__name__)
            deed = getattr(view, "deed", name)
            told: dict[str, Any] = {"operationId": name.replace(".", "_")}
            told |= {"security": []} if action == OPEN else {"x-action": action}
            if method not in READS and action != OPEN:
                told["x-audit"] = deed
            if is_fresh_only(view):
                told["x-fresh"] = True
            heard = view if getattr(view, "asks", False) else body.without_query(view)
            described: View = self.doc(**told)(self.action(action)(self.told_as(deed)(heard)))
            return register(described)

        return registered

    def _name(self, view: str) -> str:
        """Return what an operation is called: `member.list`, `member.search`."""
        verb = re.sub(rf"(^|_){self.noun}s?(?=_|$)", "", view).strip("_")
        return f"{self.noun}.{verb}"

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
                    operation["responses"] |= {str(status): refusal(status) for status in ERRORS}
                    if operation.get("x-fresh"):
                        operation["responses"]["403"]["description"] += STALE
        for finish in self.finishing:
            finish(spec)
        return spec


def deed_of(app: Flask, endpoint: str | None) -> str:
    """Return what the audit log calls an endpoint's operation."""
    view = app.view_functions.get(endpoint or "")
    return str(getattr(view, "deed", endpoint))


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


def refusal(status: int) -> dict[str, Any]:
    """Return what the document says of an answer that is a problem."""
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
