"""Makes the vectors of delivery: heads, what is sent for them, receipts, typing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from protocol.codec import encode
from protocol.entries import conversation_of_two
from protocol.messages import Heads, HeadsHash, Receipt, Typing
from protocol.receipts import READ, STORED
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.receipts import ACTIONS, AREA
from tests.vectors.entries import Talk
from tests.vectors.files import Group, Seed, build_file, one_step
from tests.vectors.persons_log import Person

NOTES: Final = {
    "Heads": ("BASIC", "Heads of what is held, their hash, and both messages."),
    "Lacking": ("BASIC", "Which entries the other side's heads do not cover."),
    "Receipt": ("BASIC", "Whose receipt it is, and which of its ids count."),
    "State": ("BASIC", "What may be said of an own entry."),
    "Typing": ("BASIC", "The contact types, or stops."),
    "Elsewhere": ("AUTHENTICITY", "A conversation in which the other side has no part."),
    "Removed": ("AUTHENTICITY", "A terminal that is no longer live in its person's log."),
}


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
    return ACTIONS["heads"](inputs, {"held": list(names)})


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
