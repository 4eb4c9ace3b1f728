"""Headers: those that every operation takes and gives, told in the OpenAPI document once.

What anybody may ask for takes no Idempotency-Key: a key belongs to a caller, and there is none.
"""

from typing import Any

from api.etag import editable
from api.idempotency import HEADER, MAX_LENGTH, REPLAYED

WRITES = frozenset({"post", "put", "patch", "delete"})
TEXT = {"type": "string"}
NUMBER = {"type": "integer"}

PARAMETERS: dict[str, dict[str, Any]] = {
    HEADER: {
        "description": "Your own name for this request. Sent again within 24 hours, it is answered "
        "again and not done again; with another body it is refused.",
        "schema": {
            **TEXT,
            "minLength": 1,
            "maxLength": MAX_LENGTH,
            "pattern": "^[!-~]([ -~]*[!-~])?$",
        },
        "example": "b3c1f8a4-2f0e-4c53-9a57-0b7f3d0a6c11",
    },
    "If-Match": {
        "description": "The ETag of what you saw: nothing is changed if somebody else was first.",
        "schema": TEXT,
        "example": '"3"',
    },
    "If-None-Match": {
        "description": "The ETag of what you have: it is not sent again while it is the same.",
        "schema": TEXT,
        "example": '"3-5d41402abc4b2a76"',
    },
}
ANSWERED: dict[str, dict[str, Any]] = {
    "ETag": {"description": "Names what this answer shows.", "schema": TEXT},
    REPLAYED: {
        "description": "`true` when the request was done before, under the same key.",
        "schema": TEXT,
    },
    "Retry-After": {
        "description": "Seconds after which the same may work.",
        "schema": NUMBER,
    },
    "RateLimit-Limit": {"description": "Requests that may come at once.", "schema": NUMBER},
    "RateLimit-Remaining": {"description": "Of those, how many are left.", "schema": NUMBER},
    "RateLimit-Reset": {"description": "Seconds until all may come.", "schema": NUMBER},
}
RATE = tuple(name for name in ANSWERED if name.startswith("RateLimit"))
WAITS = ("409", "429", "503")
"""Answers after which the same request may work."""


def describe(spec: dict[str, Any]) -> None:
    """Add the headers to every operation of a document."""
    components = spec["components"]
    components["parameters"] = components.get("parameters", {}) | {
        name: {"name": name, "in": "header", "required": False, **about}
        for name, about in PARAMETERS.items()
    }
    components["headers"] = components.get("headers", {}) | ANSWERED
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            if method == "get" or method in WRITES:
                _describe_one(path, method, operation)


def _describe_one(path: str, method: str, operation: dict[str, Any]) -> None:
    is_open = operation.get("security") == []
    taken = ["If-None-Match"] if method == "get" else [HEADER] * (not is_open)
    named = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    if method in WRITES and editable(path, named):
        taken.append("If-Match")
    parameters = operation.setdefault("parameters", [])
    parameters += [{"$ref": f"#/components/parameters/{name}"} for name in taken]
    if method == "get":
        operation["responses"]["304"] = {"description": "Not Modified"}
    for status, answer in operation["responses"].items():
        if status in WAITS:
            _add(answer, "Retry-After")
        if status == "429":
            _add(answer, *RATE)
        elif status.startswith("2"):
            _add(answer, *(["ETag"] if method == "get" else [REPLAYED] * (not is_open)), *RATE)


def _add(answer: dict[str, Any], *names: str) -> None:
    told = answer.setdefault("headers", {})
    told |= {name: {"$ref": f"#/components/headers/{name}"} for name in names}
