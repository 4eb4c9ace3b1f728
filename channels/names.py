"""Names: which variables, filters and tags a template may use, and errors that point at one."""

import difflib
from collections.abc import Collection, Iterable

from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError
from liquid.static_analysis import Segments, TemplateAnalysis, Variable

from accounts.foundation import FACTS
from core.errors import InvalidError

ATTRIBUTES = "attributes.*"
MEMBER_FIELDS = frozenset(
    {
        ATTRIBUTES,
        "acquisition_channel",
        "date_of_birth",
        "email",
        "engagement_score",
        "first_name",
        "full_name",
        "gender",
        "language",
        "last_active",
        "last_name",
        "lifetime_value",
        "location",
        "member_id",
        "phone",
        "referral_code",
        "status",
        "tier",
        "timezone",
        "total_spend",
    }
)
"""What a message may say about a member; `attributes.*` is every attribute of the client's own."""
JOURNEY_ROOTS = ("event", "journey")
"""Known only of who is in a journey: the properties of what let them in, and what was answered."""
FOUNDATION = "foundation"
GIVEN = (*JOURNEY_ROOTS, FOUNDATION)
ROOTS = ("attributes", *GIVEN)
"""Roots of fields with a name below them: `event.total`, `foundation.offer`."""
CLIENT_FIELDS = ("name", "address")
SUFFIXES = frozenset({"size", "first", "last"})
"""What Liquid itself reads from a value."""


class TemplateError(InvalidError):
    """A template cannot be accepted as it is."""

    code = "invalid_template"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        remedy: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        where = f" (line {line}, column {column})" if line is not None else ""
        super().__init__(message + where, field=field, remedy=remedy)
        self.line = line
        self.column = column


class Names:
    """The variables of one template: which are allowed, and which member fields they read."""

    def __init__(self, fields: Collection[str]) -> None:
        self._fields = frozenset(fields)
        scalar = sorted(field for field in self._fields if field != ATTRIBUTES)
        self._known = [
            *(f"member.{field}" for field in scalar),
            *scalar,
            *(f"client.{field}" for field in CLIENT_FIELDS),
            *(f"{FOUNDATION}.{fact}" for fact in FACTS),
            "unsubscribe_url",
            "member.attributes.",
        ]
        self._roots = {"member", "client", "unsubscribe_url", *ROOTS, *scalar}

    def is_root(self, name: str) -> bool:
        """Say whether a path may start with `name`."""
        return name in self._roots

    def check(
        self, template: BoundTemplate, source: str, field: str, env: Environment
    ) -> TemplateAnalysis:
        """Return what the template uses. Raises TemplateError at its first unknown name."""
        try:
            analysis = template.analyze(include_partials=False)
        except RecursionError as error:
            raise TemplateError(f"{field} is nested too deeply", field=field) from error
        unknown = [
            (variable.span.index, f"variable “{variable}”", str(variable), self._known)
            for variables in analysis.globals.values()
            for variable in variables
            if not self._allowed(variable)
        ] + [
            (span.index, f"filter “{name}”", name, list(env.filters))
            for name, spans in analysis.filters.items()
            if name not in env.filters
            for span in spans
        ]
        if unknown:
            start, what, name, known = min(unknown)
            raise error_at(f"unknown {what}", source, start, field, _nearest(name, known))
        return analysis

    def fields(self, analysis: TemplateAnalysis) -> tuple[str, ...]:
        """Return the member fields read, in the order of the template."""
        variables = [v for found in analysis.globals.values() for v in found]
        ordered = sorted(variables, key=lambda variable: variable.span.index)
        names = (member_field(variable.segments) for variable in ordered)
        return tuple(dict.fromkeys(name for name in names if name))

    def _allowed(self, variable: Variable) -> bool:
        segments = variable.segments
        field = member_field(segments)
        if field is not None and segments[0] in GIVEN:
            return segments[0] != FOUNDATION or segments[1] in FACTS
        if field is not None:
            used = 2 if segments[0] == "member" else 1
            used += field.startswith("attributes.")
            given = ATTRIBUTES if field.startswith("attributes.") else field
            return given in self._fields and _suffixed(segments[used:])
        if segments[0] == "client":
            return len(segments) > 1 and segments[1] in CLIENT_FIELDS and _suffixed(segments[2:])
        return segments == ["unsubscribe_url"]


def member_field(segments: Segments) -> str | None:
    """Return the field of `merge` a path reads, or None: `member.attributes.x` → `attributes.x`.

    What stands deeper is read from the field's value: `event.items[0].name` → `event.items`.
    """
    path = list(segments[1:] if segments[0] == "member" else segments)
    if not path or not all(isinstance(segment, str) for segment in path[:2]):
        return None
    if path[0] == "attributes" or segments[0] in GIVEN:
        return f"{path[0]}.{path[1]}" if len(path) > 1 else None
    known = segments[0] == "member" or f"{path[0]}" in MEMBER_FIELDS
    return str(path[0]) if known else None


def _suffixed(rest: Segments) -> bool:
    return not rest or (len(rest) == 1 and rest[0] in SUFFIXES)


def error_at(
    message: str, source: str, index: int, field: str, remedy: str | None = None
) -> TemplateError:
    """Return an error that names the line and column of `index` in `source`, both from 1."""
    line = source.count("\n", 0, index) + 1
    column = index - source.rfind("\n", 0, index)
    return TemplateError(message, field=field, remedy=remedy, line=line, column=column)


def at_liquid_error(error: Exception, source: str, field: str, env: Environment) -> TemplateError:
    """Translate an error of python-liquid, keeping its place if it tells one."""
    if not isinstance(error, LiquidError):
        return TemplateError(
            f"{field} cannot be rendered: {type(error).__name__}",
            field=field,
            remedy="look at the arguments of its filters",
        )
    message = str(error.message or "the template is not valid Liquid")
    token = error.token
    if token is None or not 0 <= token.start_index <= len(source) or token.source != source:
        return TemplateError(message, field=field)
    remedy = None
    if message.startswith("unexpected tag"):
        message = f"unknown tag “{token.value}”"
        remedy = _nearest(token.value, [tag for tag in env.tags if tag.isalpha()])
    return error_at(message, source, token.start_index, field, remedy)


def _nearest(name: str, known: Iterable[str]) -> str | None:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean “{found[0]}”?" if found else "see the names a template may use"
