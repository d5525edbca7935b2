"""A conversation of two persons for vectors: its entries, each under a name (SPEC §11.1).

Rules: ids of persons and terminals are bytes of the seed, since an entry needs no log; what no honest
terminal would write is made by changing fields of a header, with a true self tag.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from protocol.codec import encode
from protocol.entries import (
    KIND_TEXT,
    ParsedEntry,
    Place,
    conversation_of_two,
    parse_entry,
    self_tag,
    text_body,
    write_entry,
)
from protocol.messages import Entry, EntryHeader
from protocol.vectors.frame import Json
from tests.vectors.files import Seed

TIME = 1_795_000_000_000
"""Unix time in milliseconds."""


class Talk:
    """Two persons, `own` who reads and `their`, with a terminal each, and what was said."""

    def __init__(self, seed: Seed, label: str) -> None:
        self.seed, self.label = seed, label
        self.own, self.their = seed.bytes(f"{label} own"), seed.bytes(f"{label} their")
        self.conversation = conversation_of_two(self.own, self.their)
        self.entries: dict[str, ParsedEntry] = {}

    def terminal(self, whose: str) -> bytes:
        """The id of a terminal, 32 bytes."""
        return self.seed.bytes(f"{self.label} {whose} terminal")

    def self_key(self, whose: str) -> bytes:
        """The self key of a person, 32 bytes."""
        return self.seed.bytes(f"{self.label} {whose} self key")

    def place(self, whose: str, after: str = "", parents: Sequence[str] = (), **changed: Any) -> Place:
        """Where an author's next entry stands: `after` its previous one, `parents` other tips, by name."""
        previous = self.entries[after] if after else None
        values = {
            "conversation": self.conversation,
            "author": self.terminal(whose),
            "incarnation": self.seed.bytes(f"{self.label} {whose} incarnation")[:8],
            "previous": previous and (previous.header.sequence, previous.id),
            "parents": [self.entries[name].id for name in parents],
            "membership": [self.seed.bytes(f"{self.label} {whose} head")],
        }
        return Place(**(values | changed))

    def write(
        self,
        name: str,
        whose: str,
        after: str = "",
        parents: Sequence[str] = (),
        *,
        ms: int = 0,
        **changed: Any,
    ) -> ParsedEntry:
        """`whose` terminal writes `name` as its text, `ms` after TIME."""
        place = self.place(whose, after, parents, **changed)
        salt = self.salt(name)
        entry = write_entry(
            place, TIME + ms, KIND_TEXT, text_body(name), self.self_key(whose), lambda size: salt[:size]
        )
        self.entries[name] = entry
        return entry

    def salt(self, name: str) -> bytes:
        """The salt of an entry, 16 bytes."""
        return self.seed.bytes(f"{self.label} salt {name}")[:16]

    def changed(self, name: str, whose: str = "their", **fields: Any) -> EntryHeader:
        """The header of an entry with other fields, and a true self tag unless that is among them."""
        header = replace(self.entries[name].header, **fields)
        if "self_tag" not in fields:
            header = replace(header, self_tag=self_tag(header, self.self_key(whose)))
        return header

    def altered(self, name: str, whose: str = "their", **fields: Any) -> bytes:
        """The message of an entry whose header has other fields."""
        entry = self.entries[name]
        return encode(Entry(encode(self.changed(name, whose, **fields)), entry.salt, entry.body))

    def bears(self, name: str, new: str, **fields: Any) -> None:
        """Keep, under a new name, an entry whose header has other fields."""
        entry = self.entries[name]
        header = encode(self.changed(name, **fields))
        self.entries[new] = parse_entry(Entry(header, entry.salt, entry.body))

    def message(self, name: str) -> bytes:
        """The encoded message of an entry."""
        return encode(self.entries[name].message())

    def named(self) -> Json:
        """All entries as they stand in a file: encoded messages in hex by their names."""
        return {name: self.message(name).hex() for name in self.entries}
