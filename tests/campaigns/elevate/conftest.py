"""A shop whose members go through journeys (tests/campaigns/journeys/conftest.py)."""

from tests.campaigns.journeys.conftest import shop

__all__ = ["shop"]
