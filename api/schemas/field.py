"""Fields: marshmallow's, held to what a database column holds."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marshmallow import fields, validate
from werkzeug.datastructures import FileStorage

from api import body
from api.refusal import wrong

MAX_ID = 2**63 - 1
MAX_AMOUNT = Decimal(10) ** 10
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


def id_field(**kwargs: Any) -> fields.Integer:
    """Return a field for one of our ids in a body."""
    return fields.Integer(strict=True, validate=validate.Range(1, MAX_ID), **kwargs)


def money(**kwargs: Any) -> fields.Decimal:
    """Return a field for an amount: shown as text, so that no reader rounds it."""
    shape = {"type": "string", "pattern": r"^-?[0-9]{1,10}(\.[0-9]{1,6})?$", "example": "12.50"}
    return fields.Decimal(as_string=True, validate=_affordable, metadata=shape, **kwargs)


def _affordable(amount: Decimal) -> None:
    if abs(amount) >= MAX_AMOUNT:
        raise wrong("this amount is too large", "give at most ten digits before the point")


def cost(**kwargs: Any) -> fields.Decimal:
    """Return a field for an amount that is never less than nothing."""
    shape = {"type": "string", "pattern": r"^[0-9]{1,10}(\.[0-9]{1,6})?$", "example": "12.50"}
    return fields.Decimal(
        as_string=True, validate=[_affordable, _positive], metadata=shape, **kwargs
    )


def _positive(amount: Decimal) -> None:
    if amount < 0:
        raise wrong("this amount is less than nothing", "give 0 or more")


class Instant(fields.AwareDateTime):
    """An instant with its offset from UTC, from 1900 to 8999."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> datetime:
        found: datetime = super()._deserialize(value, attr, data, **kwargs)
        try:
            if EARLIEST <= found < LATEST:
                return found.astimezone(UTC)
        except OverflowError:  # the offset leads out of what a datetime holds
            pass
        raise wrong("this instant is too far away", "give one from 1900 to 8999")


class Digits(fields.Integer):
    """A whole number in a query: plain digits."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, str) and not (value.isascii() and value.isdigit()):
            raise self.make_error("invalid", input=value)
        return int(super()._validated(value))


class FilePart(fields.Raw):
    """A part of a form that is a file."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> FileStorage:
        if not isinstance(value, FileStorage):
            raise wrong("this part is no file", "send the file itself")
        return value


class JsonPart(fields.Nested):
    """A part of a form that is itself JSON."""

    def _deserialize(  # the form's part is text where Nested expects an object
        self, value: Any, attr: Any, data: Any, partial: Any = None, **kwargs: Any
    ) -> Any:
        try:
            inner = json.loads(value)
        except (TypeError, ValueError, RecursionError):
            raise wrong("this part is not JSON", "send an object: {…}") from None
        body.check(inner)
        return super()._deserialize(inner, attr, data, partial=partial, **kwargs)
