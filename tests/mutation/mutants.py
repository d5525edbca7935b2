"""The changes: each replaces one expression or statement of a file."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MUTATED: Final = ("protocol", "chat/storage", "chat/network", "chat/service")
LEFT_OUT: Final = ("protocol/vectors", "protocol/model")

_SWAPPED: Final[dict[type[ast.AST], type[ast.AST]]] = {
    **{a: b for pair in ((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot),
                         (ast.In, ast.NotIn), (ast.And, ast.Or), (ast.Add, ast.Sub), (ast.BitAnd, ast.BitOr),
                         (ast.LShift, ast.RShift)) for a, b in (pair, pair[::-1])},
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the text from `start` to `end` (byte offsets of the file) becomes `new`.

    `lines` are those of the statement up to the change, or empty outside of functions. `text` is the first
    line that changes.
    """

    path: str
    line: int
    lines: range
    start: int
    end: int
    text: str
    new: str
    old: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self._change}"

    @property
    def listed(self) -> str:
        """The change without the line's number, as EQUIVALENT.md lists it."""
        return f"{self.path}: {self.text}: {self._change}"

    @property
    def _change(self) -> str:
        return f"{' '.join(self.old.split())} → {' '.join(self.new.split())}"

    @contextmanager
    def applied(self, folder: Path) -> Iterator[None]:
        """The change in one copy of the project."""
        target = folder / self.path
        source, seconds = target.read_bytes(), target.stat().st_mtime
        target.write_bytes(source[: self.start] + self.new.encode() + source[self.end :])
        # Python compares whole seconds and the size, so a quick change of equal size would run old bytecode.
        os.utime(target, (seconds + 1 + self.start,) * 2)
        try:
            yield
        finally:
            target.write_bytes(source)
            os.utime(target, (seconds, seconds))


class _Places(ast.NodeVisitor):
    """Collects what to replace: a node, the lines that run it, and the text that replaces it."""

    def __init__(self) -> None:
        self.found: list[tuple[ast.expr | ast.stmt, range, str]] = []
        self._statement: ast.stmt | None = None
        self._in_function = False

    def visit(self, node: ast.AST) -> None:
        outer = self._statement
        if isinstance(node, ast.stmt):
            self._statement = node
        super().visit(node)
        self._statement = outer

    def _visit_body(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        # Defaults are code, annotations are not; a repr is no behaviour.
        if node.name not in ("__repr__", "__str__"):
            for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
                self.visit(default)
            outer, self._in_function = self._in_function, True
            for statement in node.body:
                self.visit(statement)
            self._in_function = outer

    visit_FunctionDef = visit_AsyncFunctionDef = _visit_body

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assert(self, node: ast.Assert) -> None:
        """An assertion is for the reader and the type checker."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """A text is no behaviour."""

    def visit_Raise(self, node: ast.Raise) -> None:
        self._replace(node, "pass")

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call | ast.Await):
            self._replace(node, "pass")
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not isinstance(node.value, ast.Constant):
            self._replace(node, "return None")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        self._replace(node.test, f"(not ({ast.unparse(node.test)}))")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._replace(node, f"bool({ast.unparse(node.operand)})")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for place, operator in enumerate(node.ops):
            operators = [*node.ops]
            operators[place] = _SWAPPED[type(operator)]()  # type: ignore[call-overload]
            self._replace(node, _text(ast.Compare(node.left, operators, node.comparators)))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._replace(node, _text(ast.BoolOp(_SWAPPED[type(node.op)](), node.values)))  # type: ignore[arg-type]
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        text = isinstance(node.left, ast.Constant | ast.JoinedStr) and not isinstance(
            getattr(node.left, "value", ""), int
        )
        if (other := _SWAPPED.get(type(node.op))) is not None and not text:
            self._replace(node, _text(ast.BinOp(node.left, other(), node.right)))  # type: ignore[arg-type]
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._replace(node, str(not node.value))
        elif isinstance(node.value, int):
            self._replace(node, str(node.value + 1))

    def _replace(self, node: ast.expr | ast.stmt, by: str) -> None:
        assert self._statement is not None
        assert node.end_lineno is not None
        lines = range(self._statement.lineno, node.end_lineno + 1) if self._in_function else range(0)
        self.found.append((node, lines, by))


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(ast.fix_missing_locations(node))})"


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All changes of a file."""
    source = path.read_bytes()
    offsets = [0]
    for line in source.split(b"\n"):
        offsets.append(offsets[-1] + len(line) + 1)
    places = _Places()
    places.visit(ast.parse(source))
    for node, lines, new in places.found:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = offsets[node.lineno - 1] + node.col_offset
        end = offsets[node.end_lineno - 1] + node.end_col_offset
        old, text = source[start:end].decode(), source.splitlines()[node.lineno - 1].decode().strip()
        name = path.relative_to(ROOT).as_posix()
        yield Mutant(name, node.lineno, lines, start, end, text=text, old=old, new=new)


def all_mutants() -> list[Mutant]:
    """All changes, in a fixed order."""
    return [
        mutant
        for folder in MUTATED
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not path.relative_to(ROOT).as_posix().startswith(LEFT_OUT)
        for mutant in mutants_of(path)
    ]


def equivalent() -> set[str]:
    """The changes that EQUIVALENT.md lists, each as `Mutant.listed`."""
    lines = (ROOT / "tests/mutation/EQUIVALENT.md").read_text(encoding="utf-8").splitlines()
    return {line.removeprefix("- `").partition("`: ")[0] for line in lines if line.startswith("- `")}
