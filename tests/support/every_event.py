"""Every event of the interface with every value of each enum in it, for the tests of all clients."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import cycle
from typing import Any, Final, get_args

from msgspec import inspect
from msgspec.structs import replace

from chat.errors import Phrase
from chat.interface import (
    Closed,
    EntryAdded,
    EntryEdited,
    EntryFilled,
    EntryKind,
    EntryReturned,
    EntryView,
    Event,
    FileView,
)

MIXED: Final = 40
"""Values per type that mix those of its fields, on top of one per value of each field."""

TIME: Final = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
OF_ENTRIES: Final = (EntryAdded, EntryFilled, EntryEdited, EntryReturned)
TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "claimed": ("", "contact", "device"),
    "number": ("",),
    "terminal": ("ab" * 32,),
    "id": ("cd" * 32, "ef" * 32),
    "reply": ("", "cd" * 32),
    "change": ("", "0c" * 32),
    "operation": ("1d" * 32,),
    "text": ("a text", ""),
}


def every_event(person: str, name: str, *, mixed: int = MIXED) -> Iterator[Event]:
    """Each event of a conversation with a contact, the same ones in the same order each time."""
    made = Maker({**TEXTS, "contact": (person,), "person": (person,), "name": (name,)}, mixed)
    ids = cycle([""])
    for kind in get_args(Event):
        if kind is Closed:  # nothing follows it
            continue
        events = made.values(inspect.type_info(kind))
        if kind in OF_ENTRIES:  # the same entries in each of these events
            entries = [replace(event.entry, id=f"{at:064x}") for at, event in enumerate(events, 1)]
            events = [kind(entry) for entry in entries]
            ids = cycle([entry.id for entry in entries if entry.file is not None])
        elif "id" in kind.__struct_fields__:
            events = [replace(event, id=next(ids)) for event in events]
        yield from events


class Maker:
    """Makes values of a type. `texts`: what fields of a name have in them."""

    def __init__(self, texts: Mapping[str, tuple[str, ...]], mixed: int) -> None:
        self._texts, self._mixed = texts, mixed

    def values(self, info: inspect.Type, field: str = "") -> list[Any]:
        match info:
            case inspect.StructType():
                return self._structs(info)
            case inspect.UnionType(types=types):
                return [value for one in types for value in self.values(one, field)]
            case inspect.VarTupleType(item_type=item):
                some = self.values(item, field)
                return [(), tuple(some[:1]), *((one,) for one in some[1:])]
            case inspect.EnumType(cls=made):
                return list(made)
            case inspect.CustomType(cls=made) if made is Phrase:
                return [Phrase("It happened."), Phrase("It {what}.", "It {what}.", {"what": Phrase("ended")})]
            case inspect.StrType():
                return list(self._texts.get(field, ("a word", "")))
            case inspect.BoolType():
                return [False, True]
            case inspect.IntType() | inspect.FloatType():
                kind = int if isinstance(info, inspect.IntType) else float
                return [kind(1), kind(0), kind(3600)]
            case inspect.NoneType():
                return [None]
            case inspect.DateTimeType():
                return [TIME]
        raise TypeError(f"no value is made of {info}")

    def _structs(self, info: inspect.StructType) -> list[Any]:
        """One per value of each field, with the first one of the others; then some of all mixed."""
        values = {one.name: self.values(one.type, one.name) for one in info.fields}
        first = {name: some[0] for name, some in values.items()}
        draw = random.Random(info.cls.__name__)
        several = [name for name, some in values.items() if len(some) > 1]
        chosen = [first, *({**first, name: one} for name in several for one in values[name][1:])]
        chosen += [
            {name: draw.choice(some) for name, some in values.items()}
            for _ in range(self._mixed if len(several) > 1 else 0)
        ]
        if info.cls is EntryView:
            chosen = [_agreeing(one, values["file"]) for one in chosen]
            chosen += [{**first, "kind": EntryKind.FILE, "file": one} for one in values["file"] if one]
        return [info.cls(**one) for one in chosen]


def _agreeing(fields: dict[str, Any], files: list[FileView | None]) -> dict[str, Any]:
    """An entry names a file where it is one, and nowhere else."""
    if fields["kind"] is not EntryKind.FILE:
        return {**fields, "file": None}
    return {**fields, "file": fields["file"] or next(filter(None, files))}
