"""Lot: which part of all members one belongs to, the same in SQL of both databases and in Python.

Integer arithmetic only, every product below 2^63: SQLite would go on in floating point. The id is
moved by the salt, cubed and scaled modulo a prime; the high end of the result picks the bucket,
because the low end of consecutive ids would fall into a pattern.
"""

from hashlib import blake2b

from sqlalchemy import BigInteger, ColumnElement, literal
from sqlalchemy.orm import InstrumentedAttribute

from core.condition.ast import Lot
from members.member import Member

Column = ColumnElement[int] | InstrumentedAttribute[int]
PRIME = 2_147_483_579
"""Below 2^31, so that products fit into 63 bits; 2 mod 3, so that cubing mixes up every id."""


def drawn(lot: Lot, member_id: Column = Member.id) -> ColumnElement[bool]:
    """Return whether the member with this id is in the lot, as SQL; by default over `members`."""
    shift, factor = _keys(lot.salt)
    moved = (member_id % _big(PRIME) * _big(factor) + _big(shift)) % _big(PRIME)
    cubed = moved * moved % _big(PRIME) * moved % _big(PRIME)
    # bucket < part, where the bucket is ⌊scaled · of / PRIME⌋, without dividing
    scaled = cubed * _big(factor) % _big(PRIME)
    answer: ColumnElement[bool] = scaled * _big(lot.of) < _big(lot.part * PRIME)
    return answer


def is_drawn(lot: Lot, member_id: int) -> bool:
    """Say whether the member with this id is in the lot."""
    shift, factor = _keys(lot.salt)
    moved = (member_id % PRIME * factor + shift) % PRIME
    cubed = moved * moved % PRIME * moved % PRIME
    return cubed * factor % PRIME * lot.of < lot.part * PRIME


def _keys(salt: str) -> tuple[int, int]:
    """Return what a salt moves ids by, and what it multiplies them with; neither is 0."""
    digest = blake2b(salt.encode(), digest_size=16, person=b"members.lot").digest()
    first, second = int.from_bytes(digest[:8]), int.from_bytes(digest[8:])
    return 1 + first % (PRIME - 1), 1 + second % (PRIME - 1)


def _big(value: int) -> ColumnElement[int]:
    return literal(value, BigInteger())
