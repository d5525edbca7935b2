"""The project's classes as their source has them: bases, members, and what each attribute holds."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tests.architecture.modules import Module


@dataclass(frozen=True, eq=False)
class Class:
    """A class at the top of a module or within another class."""

    module: str
    node: ast.ClassDef

    @property
    def name(self) -> str:
        """Its name in its module."""
        return self.node.name

    @property
    def bases(self) -> list[str]:
        """The names of its bases without their type arguments, as the source writes them."""
        return [
            ast.unparse(base.value if isinstance(base, ast.Subscript) else base) for base in self.node.bases
        ]

    @property
    def is_data(self) -> bool:
        """Whether it is a dataclass, a Struct or a named tuple: its fields are what it is made of."""
        decorators = [ast.unparse(one).partition("(")[0] for one in self.node.decorator_list]
        made = any(one.rpartition(".")[2] == "dataclass" for one in decorators)
        return made or any(base.rpartition(".")[2] in ("Struct", "NamedTuple") for base in self.bases)

    @cached_property
    def declared(self) -> Mapping[str, list[ast.stmt]]:
        """Where the class declares each attribute, or sets it on itself, by its name; its properties too."""
        found: dict[str, list[ast.stmt]] = {}
        for name, node in _attributes(self):
            found.setdefault(name, []).append(node)
        for method in self.methods():
            if method.decorator_list:
                found.setdefault(method.name, []).append(method)
        return found

    def methods(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Its functions."""
        return (one for one in self.node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


class Classes:
    """All classes of some modules, by their whole names."""

    def __init__(self, found: Iterable[Class], names: Mapping[str, Mapping[str, str]]) -> None:
        self.all = list(found)
        self.names = names
        """By module, what its imported names are."""
        self._by_name = {f"{one.module}.{one.name}": one for one in self.all}

    @classmethod
    def of(cls, modules: Iterable[Module]) -> Classes:
        """The classes of modules."""
        found: list[Class] = []
        names: dict[str, Mapping[str, str]] = {}
        for module in modules:
            names[module.name] = dict(_imported(module))
            nodes = (node for node in module.nodes if isinstance(node, ast.ClassDef))
            found += [Class(module.name, node) for node in nodes]
        return cls(found, names)

    def find(self, module: str, name: str) -> Class | None:
        """What a name means in a module, if it is a class of the project."""
        whole = self.names.get(module, {}).get(name, f"{module}.{name}")
        if whole in self._by_name:
            return self._by_name[whole]
        origin, _, named = whole.rpartition(".")
        # A module may offer what it imports itself.
        return self.find(origin, named) if origin in self.names and origin != module else None

    def named(self, name: str) -> list[Class]:
        """All classes of a name."""
        return [one for one in self.all if one.name == name]

    def order(self, one: Class) -> list[Class]:
        """The project's classes that a class inherits from, itself the first, each once."""
        found = [one]
        for base in one.bases:
            above = self.find(one.module, base)
            found += [each for each in (self.order(above) if above else []) if each not in found]
        return found

    def foreign_bases(self, one: Class) -> set[str]:
        """The bases, of it and of what it inherits from, that are not the project's."""
        return {
            base.rpartition(".")[2]
            for each in self.order(one)
            for base in each.bases
            if self.find(each.module, base) is None
        }


def _imported(module: Module) -> Iterator[tuple[str, str]]:
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def members(order: Sequence[Class]) -> set[str]:
    """The names of all methods, class variables and attributes that classes bring in."""
    found: set[str] = set()
    for one in order:
        found |= {method.name for method in one.methods()} | set(one.declared)
    return found


def _attributes(one: Class) -> Iterator[tuple[str, ast.AnnAssign | ast.Assign]]:
    """What a class declares in its body, and sets on itself in its methods."""
    for node in one.node.body:
        if isinstance(node, ast.AnnAssign | ast.Assign):
            yield from ((target.id, node) for target in _targets(node) if isinstance(target, ast.Name))
    for method in one.methods():
        for inner in ast.walk(method):
            if isinstance(inner, ast.AnnAssign | ast.Assign):
                for target in _targets(inner):
                    if isinstance(target, ast.Attribute) and is_name(target.value, "self"):
                        yield target.attr, inner


def is_name(node: ast.expr, *names: str) -> bool:
    """Whether an expression is one of these names and nothing else."""
    return isinstance(node, ast.Name) and node.id in names


def _targets(node: ast.AnnAssign | ast.Assign) -> Iterator[ast.expr]:
    """What an assignment assigns to, each of several names."""
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        yield from target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
