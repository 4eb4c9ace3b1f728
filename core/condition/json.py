"""The JSON face: what the API and the rows of a database hold.

{"and": [{"field": "tier", "op": "in", "value": ["premium"]}, {"tag": "vip"}]}
{"or": […]} · {"not": …} · {"everyone": true} · {"consent": "email", "topic": "news"}
{"reachable": "sms"} · {"segment": "Warm leads"}
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from core.condition.ast import (
    BARE,
    MAX_DEPTH,
    MAX_LEAVES,
    And,
    Compare,
    Condition,
    Consented,
    Everyone,
    HasTag,
    InSegment,
    Kind,
    Not,
    Op,
    Or,
    Reachable,
    Value,
    kind_of,
)
from core.condition.check import (
    ConditionError,
    check_channel,
    check_compare,
    check_size,
    nearest,
)

KEYS = ("and", "or", "not", "everyone", "field", "tag", "consent", "reachable", "segment")
MAX_NAME = 200


def to_json(condition: Condition) -> dict[str, Any]:
    """Write a condition as JSON that `from_json` reads back to the same condition."""
    match condition:
        case And(items=items):
            return {"and": [to_json(item) for item in items]}
        case Or(items=items):
            return {"or": [to_json(item) for item in items]}
        case Not(item=item):
            return {"not": to_json(item)}
        case Compare(field=field, op=op, value=value):
            written = {"field": field, "op": op.value}
            return written if op in BARE else written | {"value": _write(value)}
        case _:
            return _write_leaf(condition)


def _write_leaf(condition: Everyone | HasTag | InSegment | Reachable | Consented) -> dict[str, Any]:
    match condition:
        case Everyone():
            return {"everyone": True}
        case HasTag(tag=tag):
            return {"tag": tag}
        case InSegment(name=name):
            return {"segment": name}
        case Reachable(channel=channel):
            return {"reachable": channel}
        case Consented(channel=channel, topic=topic):
            return {"consent": channel} | ({} if topic == "marketing" else {"topic": topic})


def from_json(data: object) -> Condition:
    """Read a condition. Raises ConditionError whose field is a path such as `rule/and/1`."""
    return check_size(_read(data, "rule", 1))


def _write(value: object) -> Any:
    if isinstance(value, tuple):
        return [_write(item) for item in value]
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value


def _read(data: object, path: str, level: int) -> Condition:
    if level > MAX_DEPTH * 2:
        raise ConditionError("the condition nests too deep", field=path)
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
    kind = kinds[0]
    allowed = {"field": {"field", "op", "value"}, "consent": {"consent", "topic"}}
    extra = set(data) - allowed.get(kind, {kind})
    if extra:
        raise ConditionError(f"“{min(map(str, extra))}” does not belong here", field=path)
    if kind in ("and", "or", "not"):
        return _read_group(kind, data[kind], f"{path}/{kind}", level)
    return _read_leaf(kind, data, path)


def _read_group(kind: str, data: object, path: str, level: int) -> Condition:
    if kind == "not":
        return Not(_read(data, path, level + 1))
    if not isinstance(data, list) or not 2 <= len(data) <= MAX_LEAVES:
        raise ConditionError(f"“{kind}” takes a list of 2 to {MAX_LEAVES}", field=path)
    items = tuple(_read(item, f"{path}/{number}", level + 1) for number, item in enumerate(data))
    return And(items) if kind == "and" else Or(items)


def _read_leaf(kind: str, data: Mapping[Any, Any], path: str) -> Condition:
    try:
        match kind:
            case "everyone":
                if data["everyone"] is not True:
                    raise ConditionError("“everyone” takes true")
                return Everyone()
            case "tag":
                return HasTag(_name(data["tag"]))
            case "segment":
                return InSegment(_name(data["segment"]))
            case "reachable":
                return Reachable(check_channel(_name(data["reachable"])))
            case "consent":
                topic = _name(data.get("topic", "marketing"))
                return Consented(check_channel(_name(data["consent"])), topic)
            case _:
                return _read_compare(data)
    except ConditionError as error:
        raise ConditionError(str(error), field=path, remedy=error.remedy) from None


def _name(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_NAME or "\x00" in value:
        raise ConditionError("a name is text of 1 to 200 characters")
    return value


def _read_compare(data: Mapping[Any, Any]) -> Condition:
    field = _name(data["field"])
    try:
        op = Op(str(data.get("op")))
    except ValueError:
        wanted = str(data.get("op"))[:40]
        raise ConditionError(f"“{wanted}” is no comparison", remedy=nearest(wanted, Op)) from None
    return check_compare(Compare(field, op, _value(kind_of(field), op, data.get("value"))))


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
