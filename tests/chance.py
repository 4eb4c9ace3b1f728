"""What chance may do in the suite: nothing, unless somebody asks for it.

pyproject.toml tells pytest to use Hypothesis's own profile `ci`: every run tries the same examples,
however long they take. `make explore` uses the profile below and tries new ones.
"""

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

EXPLORE = settings(
    settings.get_profile("default"),
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
FOUND = providers._get_local_constants
NONE = providers.Constants()


def _constants() -> providers.Constants:
    """Return the constants of the product's modules that Hypothesis tries, too.

    They are those imported so far, so the tests that ran before would choose the examples.
    """
    return NONE if settings.default.derandomize else FOUND()  # type: ignore[union-attr]


def install() -> None:
    """Say what `explore` is, and let examples depend on their test alone; called once."""
    settings.register_profile("explore", EXPLORE)
    providers._get_local_constants = _constants
