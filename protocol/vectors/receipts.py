"""Own vectors of delivery: heads, what is sent for them, receipts, typing (SPEC §5.15 to §5.19, §11).

Rules: messages are encoded as on the wire; the entries that a side holds stand in the inputs of a group under
names, and steps name them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from protocol.codec import encode
from protocol.entries import (
    READ,
    STORED,
    check_conversation,
    conversation_of_two,
    heads_hash,
    receipted,
    receipting_terminal,
    said_of,
)
from protocol.history import heads, lacking, order
from protocol.messages import MESSAGE, EntryHeader, Heads, HeadsHash, Receipt, Typing
from protocol.person import reduce
from protocol.vectors.entries import held_entries, of_conversation
from protocol.vectors.entries_made import Talk
from protocol.vectors.frame import SUCCESS, Group, Json, Seed, VectorMismatch, build_file
from protocol.vectors.persons_made import Person
from protocol.vectors.script import Action, one_step, run_steps

AREA: Final = "receipts"
NOTES: Final = {
    "Heads": ("BASIC", "Heads of what is held, their hash, and both messages."),
    "Lacking": ("BASIC", "Which entries the other side's heads do not cover."),
    "Receipt": ("BASIC", "Whose receipt it is, and which of its ids count."),
    "State": ("BASIC", "What may be said of an own entry."),
    "Typing": ("BASIC", "The contact types, or stops."),
    "Elsewhere": ("AUTHENTICITY", "A conversation in which the other side has no part."),
    "Removed": ("AUTHENTICITY", "A terminal that is no longer live in its person's log."),
}
T = TypeVar("T")

# --- Actions ---


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


def _heads(inputs: Json, step: Json) -> Json:
    held, names = _held(inputs, step)
    own, contact = (bytes.fromhex(inputs[name]) for name in ("own_person", "contact"))
    conversation, found = conversation_of_two(own, contact), heads(held)
    hashed = heads_hash(conversation, found)
    return {
        "heads": [names[head.id] for head in found],
        "encoded_heads": encode(found).hex(),
        "hash": hashed.hex(),
        "heads_hash_message": encode(HeadsHash(conversation, hashed)).hex(),
        "heads_message": encode(Heads(conversation, found)).hex(),
    }


def _receive_hash(inputs: Json, step: Json) -> Json:
    message = _message(step, HeadsHash)
    conversation = _checked(inputs, message.conversation)
    found = heads(_held(inputs, step)[0])
    same = heads_hash(conversation, found) == message.hash
    return {"answer": None if same else encode(Heads(conversation, found)).hex()}


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
    held, names = _held(inputs, step)
    mine, theirs = [head.id for head in heads(held)], [head.id for head in message.heads]
    sent = set(lacking(mine, theirs, _Chain(held)))
    return {"entries": [names[entry] for entry in order(held) if entry in sent]}


def _receive_receipt(inputs: Json, step: Json) -> Json:
    message = _message(step, Receipt)
    contact = reduce([bytes.fromhex(signed) for signed in inputs["contact_log"]])
    terminal = receipting_terminal(contact, bytes.fromhex(step["static"]))
    held, names = _held(inputs, step)
    terminals = {bytes.fromhex(each) for each in inputs["own_terminals"]}
    own = {entry for entry, header in held.items() if header.author in terminals}
    counted = receipted(message.ids, own)
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
    return {"state": said_of(step["kinds"], step["carried"]).value}


ACTIONS: Final[Mapping[str, Action[Json]]] = {
    "heads": _heads,
    "receive_heads_hash": _receive_hash,
    "receive_heads": _receive_heads,
    "receive_receipt": _receive_receipt,
    "receive_typing": _receive_typing,
    "state": _state,
}

# --- Making the file ---


def _talk(seed: Seed) -> Talk:
    """Both write, one of them from a copy of a profile too."""
    talk = Talk(seed, "delivery")
    talk.write("a1", "their")
    talk.write("b1", "own", parents=["a1"], ms=1_000)
    talk.write("a2", "their", "a1", ["b1"], ms=-60_000)
    talk.write("b2", "own", "b1", ["a2"], ms=3_000)
    talk.write("a3", "their", "a2", ["b2"], ms=4_000)
    copied = seed.bytes("copied")[:8]
    talk.write("a2 copied", "their", "a1", ms=2_000, incarnation=copied)
    talk.write("b1 elsewhere", "own", conversation=seed.bytes("another conversation"))
    talk.write("a4", "their", "a3", ms=5_000)
    return talk


def _inputs(talk: Talk, **more: Any) -> Json:
    persons = {"own_person": talk.own.hex(), "contact": talk.their.hex()}
    return persons | {"entries": talk.named()} | more


_CHAIN: Final = ["a1", "b1", "a2", "b2", "a3"]


def _heads_group(seed: Seed) -> Group:
    talk = _talk(seed)
    group = Group("11.4", _inputs(talk))
    for comment, names in (
        ("nothing is held", []),
        ("one entry", ["a1"]),
        ("two chains", _CHAIN),
        ("a chain in another order of arrival", _CHAIN[::-1]),
        ("a fork has two heads", [*_CHAIN, "a2 copied"]),
        ("what lies before a gap is a head too", ["a1", "a3"]),
        ("an entry of another conversation", ["a1", "b1 elsewhere"]),
    ):
        steps = one_step(ACTIONS, group.inputs, "heads", held=names)
        group.add(comment, ["Heads"], SUCCESS, steps)
    return group


def _said(inputs: Json, names: Sequence[str]) -> Json:
    """What the other side says when it holds these."""
    return _heads(inputs, {"held": list(names)})


def _answers_group(seed: Seed) -> Group:
    talk = _talk(seed)
    group = Group("11.4", _inputs(talk))
    for comment, mine, theirs in (
        ("the same on both sides", _CHAIN, _CHAIN),
        ("nothing on either side", [], []),
        ("the other side holds more", ["a1"], _CHAIN),
        ("the other side holds nothing", _CHAIN, []),
    ):
        message = _said(group.inputs, theirs)["heads_hash_message"]
        steps = one_step(ACTIONS, group.inputs, "receive_heads_hash", held=mine, message=message)
        group.add(f"HeadsHash: {comment}", ["Heads"], SUCCESS, steps)
    fork = [*_CHAIN, "a2 copied"]
    for comment, mine, theirs in (
        ("the other side holds nothing: all, in the order of the conversation", _CHAIN, []),
        ("the other side holds all", _CHAIN, _CHAIN),
        ("the end of one chain", _CHAIN, ["a1", "b1", "a2", "b2"]),
        ("one chain and the end of the other", _CHAIN, ["a1", "b1"]),
        ("the other side holds more than this one", ["a1", "b1"], _CHAIN),
        ("one branch of a fork", fork, _CHAIN),
        ("the other branch of a fork", fork, ["a1", "b1", "b2", "a2 copied"]),
        ("a head that is not held covers nothing", _CHAIN, ["a1", "a2", "a3", "a4"]),
    ):
        message = _said(group.inputs, theirs)["heads_message"]
        steps = one_step(ACTIONS, group.inputs, "receive_heads", held=mine, message=message)
        group.add(f"Heads: {comment}", ["Lacking"], SUCCESS, steps)
    return group


def _elsewhere_group(seed: Seed) -> Group:
    talk = _talk(seed)
    group = Group("5.15", _inputs(talk))
    others = {
        "the contact's conversation with a third": conversation_of_two(talk.their, seed.bytes("third")),
        "this person's conversation with a third": conversation_of_two(talk.own, seed.bytes("third")),
        "the contact's id in place of the conversation": talk.their,
    }
    for comment, conversation in others.items():
        for do, rule, message in (
            ("receive_heads_hash", "V-HH-01", HeadsHash(conversation, bytes(32))),
            ("receive_heads", "V-HD-01", Heads(conversation, [])),
            ("receive_typing", "V-TY-01", Typing(conversation, True)),
        ):
            step = {"do": do, "held": [], "message": encode(message).hex()}
            name = type(message).__name__
            group.add(f"{name}: {comment}", ["Elsewhere"], "untrusted", [step], rule=rule)
    for on in (True, False):
        said = encode(Typing(talk.conversation, on)).hex()
        steps = one_step(ACTIONS, group.inputs, "receive_typing", message=said)
        group.add("the contact types" if on else "the contact stops", ["Typing"], SUCCESS, steps)
    return group


def _receipts_group(seed: Seed) -> Group:
    talk, bob = _talk(seed), Person(seed, "bob", "Bob")
    second = bob.terminal("second")
    bob.add("add", bob.first, second)
    before = list(bob.named().values())
    bob.remove("remove", bob.first, second)
    log = list(bob.named().values())
    own = [talk.terminal("own").hex()]
    group = Group("5.18", _inputs(talk, contact_log=log, own_terminals=own))
    static, gone = bob.first.static.hex(), second.static.hex()
    held = [*_CHAIN, "b1 elsewhere"]
    ids = {name: talk.entries[name].id for name in held}

    def receipt(kind: int, *names: str, more: Sequence[bytes] = ()) -> str:
        return encode(Receipt(kind, [*(ids[name] for name in names), *more])).hex()

    for comment, message in (
        ("stored", receipt(STORED, "b1")),
        ("read, two of them", receipt(READ, "b2", "b1")),
        ("one twice", receipt(STORED, "b1", "b1")),
        ("the contact's own entry is passed over", receipt(STORED, "a1", "b1")),
        ("an entry of another conversation is passed over", receipt(STORED, "b1 elsewhere", "b2")),
        ("an id that is not held is passed over", receipt(STORED, "b1", more=[bytes(32)])),
        ("nothing of it counts", receipt(READ, "a1")),
    ):
        given = {"held": held, "message": message, "static": static}
        steps = one_step(ACTIONS, group.inputs, "receive_receipt", **given)
        group.add(comment, ["Receipt"], SUCCESS, steps)
    given = {"held": held, "message": receipt(STORED, "b1"), "static": gone}
    steps = one_step(ACTIONS, group.inputs | {"contact_log": before}, "receive_receipt", **given)
    comment = "a second terminal, before it was removed"
    group.add(comment, ["Receipt"], SUCCESS, steps, contact_log=before)
    unknown = given | {"static": bob.terminal("third").static.hex()}
    for comment, step in (("a terminal that was removed", given), ("a terminal of nobody", unknown)):
        group.add(comment, ["Removed"], "untrusted", [{"do": "receive_receipt"} | step], rule="V-RP-01")
    return group


def _states_group(_: Seed) -> Group:
    group = Group("11.5", {})
    for kinds in ([], [STORED], [READ], [STORED, READ]):
        for carried in (False, True):
            steps = one_step(ACTIONS, {}, "state", kinds=kinds, carried=carried)
            where = "a link that is open has carried it" if carried else "no open link has carried it"
            group.add(f"receipts of kind {kinds or 'none'}, {where}", ["State"], SUCCESS, steps)
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    makers = (_heads_group, _answers_group, _elsewhere_group, _receipts_group, _states_group)
    return build_file(seed, NOTES, [make(seed) for make in makers])


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if it does not hold."""
    run_steps(test, ACTIONS, inputs)
