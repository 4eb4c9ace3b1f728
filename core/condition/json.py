"""The JSON face: what the API and the rows of a database hold.

{"and": [{"field": "tier", "op": "in", "value": ["premium"]}, {"tag": "vip"}]}
{"or": […]} · {"not": …} · {"everyone": true} · {"consent": "email", "topic": "news"}
{"reachable": "sms"} · {"segment": "Warm leads"} · {"random": 10, "of": 100, "salt": "x"}
{"event": "purchase", "op": ">=", "value": 2, "days": 30, "where": [{"field": "total", …}]}
{"event": "purchase", "measure": "last", "op": "in the last", "value": 7}
{"message": "clicked", "campaign": "Gift guide", "channel": "email", "days": 7}
"""

from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from typing import Any, TypeVar

from core.condition.ast import (
    BARE,
    MAX_DEPTH,
    MAX_LEAVES,
    And,
    Compare,
    Condition,
    Consented,
    Did,
    Everyone,
    HasTag,
    InSegment,
    Kind,
    Leaf,
    Lot,
    Measure,
    Messaged,
    Not,
    Op,
    Or,
    Reachable,
    Value,
    Verb,
    kind_of,
)
from core.condition.check import (
    ConditionError,
    check_size,
    nearest,
    property_kind,
)
from core.condition.leaf import Known, checked

E = TypeVar("E", bound=StrEnum)
ALLOWED: dict[str, frozenset[str]] = {
    # what says which condition it is: what may stand beside it
    "and": frozenset(),
    "or": frozenset(),
    "not": frozenset(),
    "everyone": frozenset(),
    "field": frozenset({"op", "value"}),
    "tag": frozenset(),
    "consent": frozenset({"topic"}),
    "reachable": frozenset(),
    "segment": frozenset(),
    "event": frozenset({"measure", "op", "value", "days", "where"}),
    "message": frozenset({"campaign", "channel", "days"}),
    "random": frozenset({"of", "salt"}),
}
KEYS = tuple(ALLOWED)


def to_json(condition: Condition) -> dict[str, Any]:
    """Write a condition as JSON that `from_json` reads back to the same condition."""
    match condition:
        case And(items=items):
            return {"and": [to_json(item) for item in items]}
        case Or(items=items):
            return {"or": [to_json(item) for item in items]}
        case Not(item=item):
            return {"not": to_json(item)}
        case _:
            return _write_leaf(condition)


def _write_leaf(leaf: Leaf) -> dict[str, Any]:
    match leaf:
        case Everyone():
            return {"everyone": True}
        case Compare():
            return _write_compare(leaf)
        case HasTag(tag=tag):
            return {"tag": tag}
        case InSegment(name=name):
            return {"segment": name}
        case Reachable(channel=channel):
            return {"reachable": channel}
        case Consented(channel=channel, topic=topic):
            return {"consent": channel} | ({} if topic == "marketing" else {"topic": topic})
        case _:
            return _write_happened(leaf)


def _write_compare(compare: Compare) -> dict[str, Any]:
    written: dict[str, Any] = {"field": compare.field, "op": compare.op.value}
    return written if compare.op in BARE else written | {"value": _write(compare.value)}


def _write_happened(leaf: Did | Messaged | Lot) -> dict[str, Any]:
    match leaf:
        case Did():
            where = [_write_compare(test) for test in leaf.where]
            written = {
                "event": leaf.event,
                "measure": leaf.measure.value,
                "op": leaf.op.value,
                "value": _write(leaf.value),
            }
            return written | _given(days=leaf.days, where=where or None)
        case Messaged(verb=verb, campaign=campaign, channel=channel, days=days):
            return {"message": verb.value} | _given(campaign=campaign, channel=channel, days=days)
        case Lot(part=part, of=of, salt=salt):
            return {"random": part, "of": of} | _given(salt=salt or None)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def from_json(data: object, known: Known | None = None) -> Condition:
    """Read a condition. Raises ConditionError whose field is a path such as `rule/and/1`.

    With `known`, names of events, tags, segments and campaigns must be among the client's own, and
    a tier, status or gender one that members can have; what is stored is read without.
    """
    return check_size(_read(data, "rule", 1, known))


def _write(value: object) -> Any:
    if isinstance(value, tuple):
        return [_write(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _read(data: object, path: str, level: int, known: Known | None) -> Condition:
    if level > MAX_DEPTH * 2:
        raise ConditionError("the condition nests too deep", field=path)
    kind, mapping = _kind(data, path)
    if kind in ("and", "or", "not"):
        return _read_group(kind, mapping[kind], f"{path}/{kind}", level, known)
    try:
        return checked(_read_leaf(kind, mapping), known)
    except ConditionError as error:
        raise ConditionError(str(error), field=path, remedy=error.remedy) from None


def _kind(data: object, path: str) -> tuple[str, Mapping[Any, Any]]:
    """Return which condition this is, and it. Raises ConditionError for what is none."""
    if not isinstance(data, Mapping):
        raise ConditionError("a condition is an object", field=path)
    kinds = [key for key in KEYS if key in data]
    if len(kinds) != 1:
        unknown = next((str(key) for key in data), "")
        raise ConditionError(
            "a condition has exactly one of " + ", ".join(KEYS),
            field=path,
            remedy=nearest(unknown, KEYS) if not kinds else None,
        )
    _no_more(data, ALLOWED[kinds[0]] | {kinds[0]}, path)
    return kinds[0], data


def _no_more(data: Mapping[Any, Any], allowed: frozenset[str], path: str = "rule") -> None:
    extra = sorted(str(key) for key in data if key not in allowed)
    if extra:
        raise ConditionError(
            f"“{extra[0][:40]}” does not belong here",
            field=path,
            remedy=nearest(extra[0], allowed),
        )


def _read_group(kind: str, data: object, path: str, level: int, known: Known | None) -> Condition:
    if kind == "not":
        return Not(_read(data, path, level + 1, known))
    if not isinstance(data, list) or not 2 <= len(data) <= MAX_LEAVES:
        raise ConditionError(f"“{kind}” takes a list of 2 to {MAX_LEAVES}", field=path)
    items = tuple(
        _read(item, f"{path}/{number}", level + 1, known) for number, item in enumerate(data)
    )
    return And(items) if kind == "and" else Or(items)


def _read_leaf(kind: str, data: Mapping[Any, Any]) -> Leaf:
    match kind:
        case "everyone":
            if data["everyone"] is not True:
                raise ConditionError("“everyone” takes true")
            return Everyone()
        case "field":
            return _read_compare(data, kind_of)
        case "tag":
            return HasTag(_text(data["tag"]))
        case "segment":
            return InSegment(_text(data["segment"]))
        case "reachable":
            return Reachable(_text(data["reachable"]))
        case "consent":
            return Consented(_text(data["consent"]), _text(data.get("topic", "marketing")))
        case _:
            return _read_happened(kind, data)


def _read_happened(kind: str, data: Mapping[Any, Any]) -> Leaf:
    match kind:
        case "event":
            return _read_did(data)
        case "message":
            campaign, channel = data.get("campaign"), data.get("channel")
            return Messaged(
                _among(Verb, data["message"], "thing that becomes of a message"),
                campaign if campaign is None or campaign is True else _text(campaign),
                None if channel is None else _text(channel),
                data.get("days"),
            )
        case _:
            return Lot(data["random"], data.get("of", 0), _text(data.get("salt", "")))


def _read_did(data: Mapping[Any, Any]) -> Did:
    measure = _among(Measure, data.get("measure", "count"), "measure")
    counted = measure is Measure.COUNT
    op = _among(Op, data.get("op", ">=" if counted else None), "comparison")
    kind = Kind.NUMBER if measure in (Measure.COUNT, Measure.SUM) else Kind.DATE
    tests = data.get("where", [])
    if not isinstance(tests, list) or not all(isinstance(test, Mapping) for test in tests):
        raise ConditionError("“where” takes a list of tests such as {field, op, value}")
    for test in tests:
        _no_more(test, frozenset({"field", "op", "value"}))
    return Did(
        event=_text(data["event"]),
        measure=measure,
        op=op,
        value=_scalar(kind, op, data.get("value", 1 if counted else None)),
        days=data.get("days"),
        where=tuple(_read_compare(test, property_kind) for test in tests),
    )


def _among(kind: type[E], value: object, what: str) -> E:
    try:
        return kind(str(value))
    except ValueError:
        wanted = str(value)[:40]
        raise ConditionError(f"“{wanted}” is no {what}", remedy=nearest(wanted, kind)) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ConditionError("a name is text")
    return value


def _read_compare(data: Mapping[Any, Any], kind_of_field: Callable[[str], Kind | None]) -> Compare:
    field = _text(data.get("field"))
    op = _among(Op, data.get("op"), "comparison")
    return Compare(field, op, _value(kind_of_field(field), op, data.get("value")))


def _value(kind: Kind | None, op: Op, value: Any) -> Value | tuple[Value, ...]:
    if isinstance(value, list):
        return tuple(_scalar(kind, op, item) for item in value)
    return _scalar(kind, op, value)


def _scalar(kind: Kind | None, op: Op, value: Any) -> Value:
    if value is not None and not isinstance(value, str | int | float | bool):
        raise ConditionError("a value is text, a number or true/false")
    if kind in (Kind.DATE, Kind.INSTANT) and op is not Op.IN_LAST and isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ConditionError(
                f"“{value[:20]}” is no date", remedy="write it as 2026-01-31"
            ) from None
    return value
