"""What each test would make anew, made once for the whole test process.

Each test opens engines and builds an application of its own. Compiling the same statements and the
same routes for each of them was much of the suite's time, and says nothing about the product.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

import core.db

FIRST: dict[str, Engine] = {}
"""The first engine of each kind that has met its server: others use what it has compiled."""
BUILDERS: dict[tuple[object, ...], Callable[..., Any]] = {}
COMPILE = Rule._compile_builder


def share(engine: Engine) -> None:
    """Let engines opened later use what `engine` compiles; it must have connected before."""
    if FIRST.setdefault(engine.dialect.name, engine) is engine:
        engine._compiled_cache = LRUCache(4000)


def _create_engine(url: str, **options: Any) -> Engine:
    engine = sa.create_engine(url, **options)
    first = FIRST.get(engine.dialect.name)
    if first is not None:  # the dialect is part of a compiled statement's key
        engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
    return engine


def _compile_builder(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
    if rule.defaults:
        return COMPILE(rule, append_unknown)
    key = (rule.rule, rule.host, rule.subdomain, append_unknown)
    if key not in BUILDERS:
        BUILDERS[key] = COMPILE(rule, append_unknown)
    return BUILDERS[key]


def install() -> None:
    """Begin to keep; called once, before anything is opened."""
    core.db.create_engine = _create_engine  # type: ignore[attr-defined]
    Rule._compile_builder = _compile_builder  # type: ignore[method-assign]
