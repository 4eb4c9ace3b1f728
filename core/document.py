"""Document: JSON that somebody else sent, read strictly and within bounds.

JSON allows more than a database can hold or a person can mean: NaN, a key twice, NUL characters,
half a surrogate pair, ten thousand brackets. A body may also come compressed, a thousandfold.
"""

import json
import re
import zlib
from collections.abc import Sequence
from typing import Any, NoReturn

GZIP = 31
"""Tells zlib to expect gzip's frame."""
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000").search
HALF = re.compile(r"\\u[dD][89a-fA-F]").search
"""An escape that may be half a pair; looked into where it occurs."""
SURROGATE = re.compile("[\ud800-\udfff]").search


class DocumentError(ValueError):
    """These bytes are no JSON that can be kept; the message says why."""


class TooLargeError(DocumentError):
    """There is more of it than is read."""


def unzipped(raw: bytes, limit: int) -> bytes:
    """Return what was compressed with gzip; never makes more than `limit` bytes of it."""
    reader = zlib.decompressobj(wbits=GZIP)
    try:
        found = reader.decompress(raw, limit + 1)
    except zlib.error:
        raise DocumentError("the body is not gzip") from None
    if len(found) > limit:
        raise TooLargeError(f"the body has more than {limit:,} bytes")
    if not reader.eof or reader.unused_data:
        raise DocumentError("the body is not one whole gzip stream")
    return found


def read_document(raw: bytes) -> Any:
    """Return JSON as values. Raises DocumentError."""
    try:
        text = raw.decode("utf-8-sig")
        found = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
        if ("\\u0000" in text and NUL(text)) or (
            HALF(text) and SURROGATE(json.dumps(found, ensure_ascii=False))
        ):
            raise DocumentError("the body holds a NUL or half a surrogate pair")
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise DocumentError("the body is not JSON") from None
    except DocumentError:
        raise
    except ValueError:  # a number of thousands of digits
        raise DocumentError("the body holds a number that is none") from None
    return found


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DocumentError("an object has a key twice")
    return found


def _no_number(word: str) -> NoReturn:
    raise DocumentError(f"{word} is no number")
