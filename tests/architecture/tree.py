"""Our product's source files, parsed once for all structure tests."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "core", "accounts", "members", "channels", "communications", "scheduling", "campaigns",
    "webhooks", "api", "echelonx", "migrations",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One file."""

    path: str
    """Below the root, such as `core/db.py`."""
    text: str
    tree: ast.Module

    def at(self, node: ast.AST) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


@cache
def sources() -> tuple[Source, ...]:
    """Every product file."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text("utf-8")
            found.append(Source(str(path.relative_to(ROOT)), text, ast.parse(text, str(path))))
    return tuple(found)


@cache
def nodes(source: Source) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(source.tree))


def each(kind: type[ast.AST]) -> Iterator[tuple[Source, ast.AST]]:
    """Every node of a kind in the product, with its file."""
    for source in sources():
        for node in nodes(source):
            if isinstance(node, kind):
                yield source, node


def dotted(node: ast.AST) -> str:
    """`a.b.c` for names and attributes; what cannot be named is `?`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return "?"


def calls() -> Iterator[tuple[Source, ast.Call, str]]:
    """Every call, with the dotted name of what is called."""
    for source, node in each(ast.Call):
        assert isinstance(node, ast.Call)
        yield source, node, dotted(node.func)


def imported() -> Iterator[tuple[Source, ast.AST, str]]:
    """Every imported module and name: `from a import b` gives `a` and `a.b`."""
    for source, node in each(ast.Import):
        assert isinstance(node, ast.Import)
        for name in node.names:
            yield source, node, name.name
    for source, node in each(ast.ImportFrom):
        assert isinstance(node, ast.ImportFrom)
        yield source, node, node.module or ""
        for name in node.names:
            yield source, node, f"{node.module}.{name.name}"
