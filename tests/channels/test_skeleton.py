"""Mirrors channels/skeleton.py."""

from channels.channel import Channel
from channels.skeleton import Face, Skeleton

PARTS = (Face("title", ("a", "b")), Face("body", ("c",)), Face("extra", ("", "", "d")))


def test_values_fill_the_holes_of_all_faces_in_order() -> None:
    skeleton = Skeleton(Channel.PUSH, PARTS)
    assert skeleton.fill(("1", "2", "3")) == {"title": "a1b", "body": "c", "extra": "23d"}


def test_skeletons_are_compared_by_identity() -> None:
    assert Skeleton(Channel.PUSH, PARTS) != Skeleton(Channel.PUSH, PARTS)


def test_what_adapters_derive_is_kept_per_skeleton() -> None:
    one, other = Skeleton(Channel.PUSH, PARTS), Skeleton(Channel.PUSH, PARTS)
    one.cache["x"] = 1
    assert other.cache == {}
