"""The project's source files as text and syntax, with their functions, read once per process."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from tests.architecture.imports import sources, within

VECTORS: Final = "protocol.vectors"
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Function:
    """A function or method; `lines` are those from `def` to its end without the docstring."""

    file: str
    line: int
    name: str
    lines: int
    whole: int


@dataclass(frozen=True)
class Module:
    """A source file, by its path from the root."""

    file: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax."""
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the syntax."""
        return list(ast.walk(self.tree))

    @property
    def name(self) -> str:
        """Its dotted name; a package's own file has the package's name."""
        return self.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def lines(self) -> int:
        """All its lines."""
        return len(self.text.splitlines())

    @cached_property
    def functions(self) -> list[Function]:
        """Every function, nested ones too."""
        return [
            Function(self.file, node.lineno, node.name, _length(node) - _docstring_lines(node), _length(node))
            for node in self.nodes
            if isinstance(node, FunctionNode)
        ]

    @cached_property
    def header_lines(self) -> int:
        """Lines of docstring, imports and blank lines before anything else, and of imports further down."""
        before = 0
        for node in self.tree.body:
            if not _is_header(node):
                break
            before = _end(node)
        rest = self.text.splitlines()[before:]
        before += next((n for n, line in enumerate(rest) if line.strip()), len(rest))
        later = (node for node in self.nodes if isinstance(node, ast.Import | ast.ImportFrom))
        return before + sum(_length(node) for node in later if node.lineno > before)

    @cached_property
    def lines_before_definitions(self) -> int:
        """All lines before the first class or function, constants too."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef | FunctionNode):
                return min(node.lineno, *(one.lineno for one in node.decorator_list), node.lineno) - 1
        return self.lines


def _is_header(node: ast.stmt) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    return docstring or for_types or isinstance(node, ast.Import | ast.ImportFrom)


def _end(node: ast.stmt) -> int:
    assert node.end_lineno
    return node.end_lineno


def _length(node: ast.stmt) -> int:
    return _end(node) - node.lineno + 1


def _docstring_lines(node: FunctionNode) -> int:
    return _length(node.body[0]) if ast.get_docstring(node, clean=False) is not None else 0


@cache
def _module(root: Path, path: Path) -> Module:
    return Module(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))


def all_modules(root: Path, folders: Iterable[str]) -> list[Module]:
    """The modules below folders."""
    return [_module(root, path) for folder in folders for path in sources(root, folder)]


def modules(root: Path, folders: Iterable[str]) -> list[Module]:
    """Those without the vectors, which are data and what checks them."""
    return [module for module in all_modules(root, folders) if not within(module.name, VECTORS)]
