"""Liquid templates, split once into static and dynamic parts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Skeleton:
    """The static text of a template's faces with numbered holes; shared, compared by identity."""
