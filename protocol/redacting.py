"""Structs whose repr leaves out the fields that hold secrets or what a person wrote."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from msgspec import Struct

T = TypeVar("T")

Redacted = Annotated[T, "redacted"]
"""The type of a field that no repr shows. It holds in subclasses of Redacting alone."""


class Redacting(Struct, frozen=True):
    """A struct with such fields. A module with them needs the annotations as text (PEP 563)."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        hidden = {
            name
            for each in type(self).__mro__
            for name, kind in vars(each).get("__annotations__", {}).items()
            if kind.startswith("Redacted[")
        }
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in hidden]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"
