"""Measures one Python file with the standard library's own parser. Knows nothing about workflows."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path
from typing import TypedDict


class Function(TypedDict):
    """One function of a file; ``complexity`` is one more than the places where its path can fork."""

    name: str
    line: int
    complexity: int


class Measured(TypedDict):
    """What is measured of a file. The most complex functions come first; there are five at most."""

    lines: int
    functions: int
    classes: int
    branches: int
    imports: list[str]
    hardest: list[Function]


class DoesNotParse(Exception):
    """The file is no Python that this interpreter understands. The message says where and why."""


_FORKS = (
    ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.comprehension, ast.match_case,
)  # fmt: skip
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def measure(path: Path) -> Measured:
    """Parses a file and counts what is in it.

    Raises:
        DoesNotParse: it is no Python, or too deep for the parser.
    """
    source = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of '\d' in other people's strings
            tree = ast.parse(source, filename=path.name)
        walk = _Walk()
        walk.visit(tree)
    except SyntaxError as error:
        raise DoesNotParse(f"line {error.lineno or 1}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise DoesNotParse(str(error) or type(error).__name__) from error
    walk.found.sort(key=lambda function: -function["complexity"])
    return {
        "lines": source.count(b"\n") + (not source.endswith(b"\n") and source != b""),
        "functions": len(walk.found),
        "classes": walk.classes,
        "branches": walk.branches,
        "imports": sorted(walk.imports),
        "hardest": walk.found[:5],
    }


class _Walk(ast.NodeVisitor):
    def __init__(self) -> None:
        self.classes = 0
        self.branches = 0
        self.imports: set[str] = set()
        self.found: list[Function] = []
        self._names: list[str] = []

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, _FORKS):
            self.branches += 1
        elif isinstance(node, ast.BoolOp):
            self.branches += len(node.values) - 1
        elif isinstance(node, ast.Import):
            self.imports.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            self.imports.add(node.module.partition(".")[0])
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            super().generic_visit(node)
            return
        self._names.append(node.name)
        before = self.branches
        super().generic_visit(node)
        if isinstance(node, ast.ClassDef):
            self.classes += 1
        else:
            name, complexity = ".".join(self._names), self.branches - before + 1
            self.found.append({"name": name, "line": node.lineno, "complexity": complexity})
        self._names.pop()
