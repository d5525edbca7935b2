"""Reads which module imports which, from the source alone: what is not run cannot hide."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("protocol", "chat", "tui")


@dataclass(frozen=True)
class Import:
    """`source` (a file, relative to the root) imports `target` (a module, or a name in one)."""

    source: str
    line: int
    target: str
    in_function: str = ""
    for_types_only: bool = False

    @property
    def module(self) -> str:
        """The importing module's dotted name; a package's own file has the package's name."""
        return self.source.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def top(self) -> str:
        return self.target.split(".")[0]

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def within(name: str, package: str) -> bool:
    """Whether a dotted name is the package or lies in it."""
    return name == package or name.startswith(f"{package}.")


def imports(root: Path = ROOT) -> list[Import]:
    """Every import statement of the project's packages."""
    return [
        found for package in PACKAGES for path in sources(root, package) for found in _in_file(root, path)
    ]


def sources(root: Path, folder: str) -> list[Path]:
    return sorted((root / folder).rglob("*.py"))


def _in_file(root: Path, path: Path) -> Iterator[Import]:
    source = path.relative_to(root).as_posix()
    for node, function, typing in _statements(ast.parse(path.read_text(encoding="utf-8")), "", False):
        for target in _targets(root, node):
            yield Import(source, node.lineno, target, function, typing)


def _statements(
    node: ast.AST, function: str, typing: bool
) -> Iterator[tuple[ast.Import | ast.ImportFrom, str, bool]]:
    """Each import under `node`, the function around it and whether only type checkers see it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, function, typing
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _statements(child, child.name, typing)
        else:
            guarded = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from _statements(child, function, typing or guarded)


def _targets(root: Path, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    origin = node.module or ""
    for alias in node.names:
        inner = f"{origin}.{alias.name}"
        yield inner if _is_module(root, inner) else origin


def _is_module(root: Path, name: str) -> bool:
    path = root.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()
