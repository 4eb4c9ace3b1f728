"""Skeleton: the static text of a template's faces, with numbered holes between."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from channels.channel import Channel


@dataclass(frozen=True, slots=True)
class Face:
    """One text of a message: `parts` are the n + 1 static pieces around its n holes."""

    name: str
    """`subject`, `html` and `text` of an email; `title` and `body` of a push; else `body`."""
    parts: tuple[str, ...]

    @property
    def holes(self) -> int:
        """Return how many values this face takes."""
        return len(self.parts) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Skeleton:
    """Every face of a template version; shared by all its messages and compared by identity.

    The holes of all faces are numbered in order, so a message's values are one flat tuple.
    """

    channel: Channel
    faces: tuple[Face, ...]
    cache: dict[str, Any] = field(default_factory=dict, repr=False)
    """What adapters derive from the static text, such as encoded bytes; never changes meaning."""

    def fill(self, values: Sequence[str]) -> dict[str, str]:
        """Return each face's text with `values` in its holes."""
        filled: dict[str, str] = {}
        start = 0
        for face in self.faces:
            pieces = [face.parts[0]]
            for value, part in zip(values[start:], face.parts[1:], strict=False):
                pieces += (value, part)
            filled[face.name] = "".join(pieces)
            start += face.holes
        return filled
