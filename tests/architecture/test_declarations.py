"""Data classes of protocol and engine have slots, and are frozen unless something assigns to a field."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from tests.architecture.classes import Class, Classes, is_name
from tests.architecture.imports import ROOT
from tests.architecture.modules import modules

FOLDERS: Final = ("protocol", "chat/storage", "chat/network", "chat/service")


def _keywords(one: Class) -> dict[str, str]:
    """The keywords of a dataclass or Struct, as the source has them."""
    calls = [node for node in one.node.decorator_list if isinstance(node, ast.Call)]
    keywords = [*one.node.keywords, *(keyword for call in calls for keyword in call.keywords)]
    return {keyword.arg or "": ast.unparse(keyword.value) for keyword in keywords}


def _assigned(nodes: Iterable[ast.AST], *, to_self: bool) -> set[str]:
    """The names of the attributes that code assigns to, of `self` or of other objects."""
    stored = (node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    return {node.attr for node in stored if is_name(node.value, "self") == to_self}


def _faults() -> Iterator[str]:
    found = modules(ROOT, FOLDERS)
    classes = Classes.of(found)
    changed = _assigned((node for module in found for node in module.nodes), to_self=False)
    for one in classes.all:
        order = classes.order(one)
        keywords = [_keywords(each) for each in order]
        if "Struct" in classes.foreign_bases(one):
            if "False" in (each.get("frozen") for each in keywords):
                yield f"{one.module}.{one.name} is not frozen"
        elif one.is_data and one.node.decorator_list:
            if keywords[0].get("slots") != "True":
                yield f"{one.module}.{one.name} has no slots"
            fields = {name for each in order for name in each.declared}
            own = {name for each in order for name in _assigned(ast.walk(each.node), to_self=True)}
            if keywords[0].get("frozen") != "True" and fields.isdisjoint(changed | own):
                yield f"{one.module}.{one.name} is not frozen"


def test_data_classes_have_slots_and_what_nothing_changes_is_frozen() -> None:
    assert list(_faults()) == []
