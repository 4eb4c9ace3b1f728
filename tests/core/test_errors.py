"""Mirrors core/errors.py."""

import pytest

from core.errors import (
    ConflictError,
    EngineError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)

FAMILIES = {
    InvalidError: 422,
    NotFoundError: 404,
    ConflictError: 409,
    ForbiddenError: 403,
    UnauthenticatedError: 401,
    RateLimitedError: 429,
    UnavailableError: 503,
}


@pytest.mark.parametrize(("family", "status"), FAMILIES.items())
def test_a_family_has_its_status_and_its_own_code(family: type[EngineError], status: int) -> None:
    assert family.status == status
    assert sum(other.code == family.code for other in FAMILIES) == 1


def test_an_error_says_what_where_and_what_to_do() -> None:
    error = InvalidError("no such zone", field="timezone", remedy="give Europe/Berlin")

    assert (str(error), error.field, error.remedy) == (
        "no such zone",
        "timezone",
        "give Europe/Berlin",
    )
    assert error.title == "What was sent cannot be accepted as it is."
