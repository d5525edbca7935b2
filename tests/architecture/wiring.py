"""Callbacks and collaborators that code sets on another object after its construction.

An assignment counts when a class of the project declares an attribute of this name that holds a callable or
an object of a class with behaviour. Plain data, properties, alternative constructors and None do not count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.architecture.classes import Class, Classes, is_name
from tests.architecture.imports import PACKAGES, ROOT
from tests.architecture.modules import FunctionNode, Module, modules

Kind = Literal["wired", "data", "accessor", "unknown"]
_ACCESSORS: Final = ("reactive", "var", "Reactive")
_DATA_BASES: Final = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "Exception"})
_LITERALS = (
    ast.Constant,
    ast.JoinedStr,
    ast.Tuple,
    ast.List,
    ast.Set,
    ast.Dict,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.Compare,
    ast.BoolOp,
    ast.UnaryOp,
)


@dataclass(frozen=True)
class Outside:
    """A place that sets an attribute of another object; `what` is the target as the source has it."""

    file: str
    line: int
    what: str

    @property
    def key(self) -> str:
        """What stays when lines move."""
        return f"{self.file} {self.what}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.what}"


def set_from_outside(root: Path = ROOT) -> list[Outside]:
    """Every callback and collaborator that `chat/`, `tui/` and `protocol/` set on another object."""
    found = modules(root, PACKAGES)
    classes = Classes.of(found)
    short = {f"{one.name}.{name}": value for one in found for name, value in aliases(one.tree)}
    return [each for one in found for each in _Reader(one, classes, short).outside()]


def aliases(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names of types at the top of a module, with what they are short for."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp | ast.Name):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))


class _Reader:
    """Reads one module."""

    def __init__(self, source: Module, classes: Classes, aliases: dict[str, ast.expr]) -> None:
        self._source, self._classes, self._aliases = source, classes, aliases

    def outside(self) -> Iterator[Outside]:
        """Its places, in the order of lines."""
        places = [
            place
            for function, owner in _functions(self._source.tree, None)
            for place in self._in(function, owner)
        ]
        yield from sorted(places, key=lambda place: place.line)

    def _in(self, function: FunctionNode, within_class: ast.ClassDef | None) -> Iterator[Outside]:
        own = self._classes.find(self._source.name, within_class.name) if within_class else None
        statements = [node for node in ast.walk(function) if isinstance(node, ast.Assign | ast.AnnAssign)]
        made = {
            target.id
            for node in statements
            for target, value in _pairs(node)
            if isinstance(target, ast.Name) and isinstance(value, ast.Call)
        }
        for node in statements:
            for target, value in _pairs(node):
                if not isinstance(target, ast.Attribute) or is_name(target.value, "self", "cls"):
                    continue
                constructs = own is not None and target.attr in own.declared and is_name(target.value, *made)
                if not constructs and self._counts(target, value):
                    yield Outside(self._source.file, node.lineno, ast.unparse(target))

    def _counts(self, target: ast.Attribute, value: ast.expr) -> bool:
        kinds = {
            self._kind(one, node, target.attr)
            for one in self._classes.all
            for node in one.declared.get(target.attr, ())
        }
        if "wired" in kinds:
            return "accessor" not in kinds and not isinstance(value, ast.Constant)
        return "unknown" in kinds and "accessor" not in kinds and isinstance(value, ast.Lambda)

    # --- What an attribute holds ---

    def _kind(self, one: Class, node: ast.stmt, attribute: str) -> Kind:
        if isinstance(node, FunctionNode):
            return "accessor"
        if isinstance(node, ast.AnnAssign):
            return self._kind_of_type(one.module, node.annotation)
        assert isinstance(node, ast.Assign)
        return next(
            (
                self._kind_of_value(one, value)
                for target, value in _pairs(node)
                if (target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)) == attribute
            ),
            "unknown",
        )

    def _kind_of_value(self, one: Class, value: ast.expr) -> Kind:
        if isinstance(value, ast.Lambda):
            return "wired"
        if isinstance(value, _LITERALS):
            return "data"
        if isinstance(value, ast.Call):
            called = ast.unparse(value.func).partition("[")[0]
            if called in _ACCESSORS:
                return "accessor"
            made = self._classes.find(one.module, called)
            return "unknown" if made is None else self._kind_of_class(made)
        if isinstance(value, ast.Name):
            annotation = _parameter(one, value.id)
            return "unknown" if annotation is None else self._kind_of_type(one.module, annotation)
        return "unknown"

    def _kind_of_type(self, module: str, annotation: ast.expr) -> Kind:
        kinds = {self._kind_of_name(module, name) for name in _names(annotation)}
        return next((kind for kind in ("accessor", "wired") if kind in kinds), "data")

    def _kind_of_name(self, module: str, name: str) -> Kind:
        if name in ("Callable", "Coroutine", "Awaitable"):
            return "wired"
        if name in _ACCESSORS:
            return "accessor"
        found = self._classes.find(module, name)
        if found is not None:
            return self._kind_of_class(found)
        whole = self._classes.names.get(module, {}).get(name, f"{module}.{name}")
        if whole in self._aliases:
            return self._kind_of_type(whole.rpartition(".")[0], self._aliases[whole])
        return "data"

    def _kind_of_class(self, one: Class) -> Kind:
        order = self._classes.order(one)
        data = any(each.is_data for each in order) or self._classes.foreign_bases(one) & _DATA_BASES
        return "data" if data else "wired"


def _functions(
    node: ast.AST, within_class: ast.ClassDef | None
) -> Iterator[tuple[FunctionNode, ast.ClassDef | None]]:
    """Functions that are in no other, with the class of each."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FunctionNode):
            yield child, within_class
        else:
            yield from _functions(child, child if isinstance(child, ast.ClassDef) else within_class)


def _pairs(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Each target of an assignment with its value."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
        return
    several = node.value.elts if isinstance(node.value, ast.Tuple) else []
    for whole in node.targets if isinstance(node, ast.Assign) else [node.target]:
        each = whole.elts if isinstance(whole, ast.Tuple | ast.List) else [whole]
        if len(each) > 1 and len(each) == len(several):
            yield from zip(each, several, strict=True)
        else:
            yield from ((target, node.value) for target in each)


def _parameter(one: Class, name: str) -> ast.expr | None:
    """The type of an argument of a class's constructor."""
    for method in one.methods():
        if method.name == "__init__":
            arguments = (*method.args.args, *method.args.kwonlyargs)
            return next((each.annotation for each in arguments if each.arg == name), None)
    return None


def _names(annotation: ast.expr) -> Iterator[str]:
    """The names in a type, of quoted ones too."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _names(ast.parse(node.value, mode="eval").body)
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
