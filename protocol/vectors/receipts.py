"""Checks the vectors of delivery: heads, what is sent for them, receipts, typing (SPEC §5.15 to §5.19, §11).

Messages are encoded as on the wire. The inputs of a group hold the entries under names, and steps name them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from protocol.codec import encode
from protocol.entries_and_receipts import (
    accept_receipt,
    check_conversation,
    conversation_of_two,
    delivery_state,
    heads_hash,
    note_state,
)
from protocol.history import (
    BodyState,
    asking,
    body_after,
    check_page,
    heads,
    lacking,
    named,
    on_page,
    opening,
    order,
    outbox,
    pages,
)
from protocol.identity.reduction import reduce
from protocol.messages import MESSAGE, EntryHeader, Head, Heads, HeadsHash, LogHeads, Receipt, Typing
from protocol.vectors.entries import held_entries, of_conversation, read_entry
from protocol.vectors.frame import Action, Json, VectorMismatch, run_steps

AREA: Final = "receipts"
T = TypeVar("T")
_HEADS: Final = msgspec.msgpack.Decoder(list[Head])


def _message(step: Json, kind: type[T]) -> T:
    message = MESSAGE.decode(bytes.fromhex(step["message"]))
    if not isinstance(message, kind):
        raise VectorMismatch("another message than the step is about")
    return message


def _checked(inputs: Json, named: bytes) -> bytes:
    """The conversation of this person and the contact whose link it is."""
    own, contact = (bytes.fromhex(inputs[name]) for name in ("own_person", "contact"))
    return check_conversation(named, own, contact)


def _held(inputs: Json, step: Json) -> tuple[dict[bytes, EntryHeader], dict[bytes, str]]:
    held, names = held_entries(inputs, step["held"])
    own, contact = (bytes.fromhex(inputs[name]) for name in ("own_person", "contact"))
    return of_conversation(held, conversation_of_two(own, contact).hex()), names


def _named_heads(inputs: Json, step: Json) -> list[Head]:
    """The heads that this side names; `wanted` are entries whose body the other side may have."""
    held, names = _held(inputs, step)
    asked = step.get("wanted", [])
    return named(asking(heads(held), [_place(held, entry) for entry, name in names.items() if name in asked]))


def _place(held: Mapping[bytes, EntryHeader], entry: bytes) -> tuple[Head, Head | None]:
    header = held[entry]
    before = held.get(header.previous)
    here = Head(header.author, header.sequence, entry)
    if before is None or before.author != header.author:
        return here, None
    return here, Head(before.author, before.sequence, header.previous)


def _heads(inputs: Json, step: Json) -> Json:
    _, names = _held(inputs, step)
    own, contact = (bytes.fromhex(inputs[name]) for name in ("own_person", "contact"))
    conversation, found = conversation_of_two(own, contact), _named_heads(inputs, step)
    hashed = heads_hash(conversation, found)
    return {
        "heads": [names[head.id] for head in found],
        "encoded_heads": encode(found).hex(),
        "hash": hashed.hex(),
        "heads_hash_message": encode(HeadsHash(conversation, hashed)).hex(),
        "heads_messages": [encode(page).hex() for page in pages(conversation, found)],
    }


def _receive_hash(inputs: Json, step: Json) -> Json:
    message = _message(step, HeadsHash)
    conversation = _checked(inputs, message.conversation)
    found = _named_heads(inputs, step)
    same = heads_hash(conversation, found) == message.hash
    return {"answers": [] if same else [encode(page).hex() for page in pages(conversation, found)]}


def _pages(inputs: Json, step: Json) -> Json:
    own, contact = (bytes.fromhex(inputs[name]) for name in ("own_person", "contact"))
    found = _HEADS.decode(bytes.fromhex(step["encoded_heads"]))
    return {"messages": [encode(page).hex() for page in pages(conversation_of_two(own, contact), found)]}


class _Chain:
    """protocol.history.Chain over entries in memory."""

    def __init__(self, held: Mapping[bytes, EntryHeader]) -> None:
        self._held = held

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        header = self._held.get(entry)
        return None if header is None else (header.sequence, header.previous)


def _receive_heads(inputs: Json, step: Json) -> Json:
    message = _message(step, Heads)
    _checked(inputs, message.conversation)
    check_page(message)
    held, names = _held(inputs, step)
    mine = [head.id for head in on_page(message, named(heads(held)))]
    theirs = [head.id for head in message.heads]
    sent = set(lacking(mine, theirs, _Chain(held)))
    return {"entries": [names[entry] for entry in order(held) if entry in sent]}


def _arrive(inputs: Json, step: Json) -> Json:
    """Entries that arrive with or without their body, and deletions here."""
    _, names = held_entries(inputs, list(inputs["entries"]))
    bodies: dict[str, BodyState] = {}
    acknowledged = list[str]()
    for one in step["what"]:
        if "delete" in one:
            bodies[one["delete"]] = BodyState.DELETED
            continue
        entry = read_entry(one["message"])
        name = names[entry.id]
        bodies[name] = body_after(bodies.get(name), has_body=entry.has_body)
        if entry.has_body:
            acknowledged.append(name)
    return {"bodies": {name: state.value for name, state in bodies.items()}, "acknowledged": acknowledged}


def _receive_receipt(inputs: Json, step: Json) -> Json:
    message = _message(step, Receipt)
    contact = reduce([bytes.fromhex(signed) for signed in inputs["contact_log"]])
    terminal = accept_receipt(message, contact, bytes.fromhex(step["static"]))
    held, names = _held(inputs, step)
    terminals = {bytes.fromhex(each) for each in inputs["own_terminals"]}
    own = {entry for entry, header in held.items() if header.author in terminals}
    counted = [entry for entry in dict.fromkeys(message.ids) if entry in own]
    return {
        "terminal": terminal.id.hex(),
        "kind": message.kind,
        "entries": [names[entry] for entry in counted],
    }


def _receive_typing(inputs: Json, step: Json) -> Json:
    message = _message(step, Typing)
    _checked(inputs, message.conversation)
    return {"on": message.on}


def _state(_: Json, step: Json) -> Json:
    return {"state": delivery_state(step["kinds"], step["carried"], destroyed=step["destroyed"]).value}


def _note_state(_: Json, step: Json) -> Json:
    author, (stored, others) = (
        bytes.fromhex(step["author"]),
        ([bytes.fromhex(one) for one in step[name]] for name in ("stored", "others")),
    )
    return {"state": note_state(author, stored, others).value}


def _open(inputs: Json, step: Json) -> Json:
    """What is sent on a link that has opened, before and as entries."""
    held, names = _held(inputs, step)
    own, contact, author = (bytes.fromhex(inputs[name]) for name in ("own_person", "contact", "own_terminal"))
    logs = [
        LogHeads(person, [bytes.fromhex(head) for head in step[heads]])
        for person, heads in ((contact, "log_heads"), (own, "own_log_heads"))
    ]
    read = [entry for entry, name in names.items() if name in step["read"]]
    first = opening(logs, conversation_of_two(own, contact), named(heads(held)), step["port"], read)
    done = [entry for entry, name in names.items() if name in step["acknowledged"]]
    return {
        "messages": [encode(message).hex() for message in first],
        "entries": [names[entry] for entry in outbox(held, author, done)],
    }


ACTIONS: Final[Mapping[str, Action[Json]]] = {
    "open": _open,
    "heads": _heads,
    "pages": _pages,
    "receive_heads_hash": _receive_hash,
    "receive_heads": _receive_heads,
    "arrive": _arrive,
    "receive_receipt": _receive_receipt,
    "receive_typing": _receive_typing,
    "state": _state,
    "note_state": _note_state,
}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if it does not hold."""
    run_steps(test, ACTIONS, inputs)
