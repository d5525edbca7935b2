"""Makes the vectors of own terminals: their secret, their links, and what passes among them."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from protocol.codec import encode
from protocol.entries_and_receipts import READ, STORED
from protocol.identity.drawing import share_name
from protocol.keys import X25519Pair
from protocol.limits import DIGESTS_MAX, RECEIPT_IDS_MAX
from protocol.messages import (
    Digest,
    Digests,
    HeadsHash,
    PassedReceipt,
    Receipt,
    RenewedShare,
    Typing,
)
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.siblings import ACTIONS, AREA
from tests.vectors.files import Group, Seed, build_file, one_step
from tests.vectors.persons_log import Person, Terminal

NOTES: Final = {
    "Keys": ("CONFIDENTIALITY", "The own secret and its keys."),
    "Names": ("EDGE_CASE", "Which names of self keys are given and answered."),
    "Caller": ("AUTHENTICITY", "Which link a caller has that knows a secret of the person or of a contact."),
    "Farewell": ("CONFIDENTIALITY", "What a terminal that was removed is told."),
    "Marks": ("BASIC", "The hash of marks, and the messages that pass them on."),
    "Digests": ("BASIC", "What is answered to digests."),
    "Passed": ("AUTHENTICITY", "What a receipt that was passed on says."),
    "Kept": ("AUTHENTICITY", "What asks and says which bodies the keeper holds."),
    "Keeper": ("BASIC", "Which terminal the setting names as the keeper."),
    "Place": ("AUTHENTICITY", "Which messages come on which links."),
    "Form": ("RESOURCES", "A message of another form."),
}


def _secret(seed: Seed) -> Group:
    group = Group("7.8.2", {})
    person, key = seed.bytes("person").hex(), seed.bytes("self key").hex()
    for comment, given in (
        ("the secret of a person", {"person": person, "self_key": key}),
        ("another self key", {"person": person, "self_key": seed.bytes("another").hex()}),
        ("the same key of another person", {"person": seed.bytes("other person").hex(), "self_key": key}),
    ):
        group.add(comment, ["Keys"], SUCCESS, one_step(ACTIONS, {}, "keys", **given))
    before = seed.bytes("another").hex()
    best, other, third, fourth = (
        share_name(bytes.fromhex(one)).hex()
        for one in (key, before, seed.bytes("third").hex(), seed.bytes("fourth").hex())
    )
    for comment, own, theirs in (
        ("the best self key", [best], [best]),
        ("the best among others", [third, other, best], [best, fourth]),
        ("both, of which the best counts", [other, best], [other, best]),
        ("the other one alone", [other], [other]),
        ("the best in one list alone", [best, other], [other]),
        ("another name", [third], [third]),
        ("in one list alone", [best], [other]),
    ):
        names = {"own": own, "theirs": theirs}
        held: Json = {"person": person, "self_keys": [key, before], "names": names}
        steps = one_step(ACTIONS, {}, "answer", **held)
        group.add(comment, ["Names"], SUCCESS, steps)
    all_keys = [seed.bytes(f"self key {number}").hex() for number in range(6)]
    for comment, many, first in (
        ("one self key", 1, 0),
        ("four, of which the genesis's is the last", 4, 3),
        ("five, of which the genesis's is the best", 5, 0),
        ("five, of which the genesis's is the fourth", 5, 3),
        ("five, of which the genesis's is the last", 5, 4),
        ("six, of which the genesis's is the fifth", 6, 4),
    ):
        named: Json = {"person": person, "first": all_keys[first], "self_keys": all_keys[:many]}
        group.add(f"what names {comment}", ["Names"], SUCCESS, one_step(ACTIONS, {}, "name", **named))
    return group


def _callers(seed: Seed) -> Group:
    ada = Person(seed, "ada", "Ada")
    laptop, phone, thief, added = (ada.terminal(name) for name in ("laptop", "phone", "thief", "added"))
    ada.add("laptop", ada.first, laptop)
    before = list(ada.log)
    ada.add("phone", ada.first, phone, upon=before)
    again = Terminal(ada.terminal("again").seed, phone.secret)
    ada.add("again", laptop, again, upon=before)
    ada.remove("no phone", ada.first, phone)
    tablet = ada.terminal("tablet")
    ada.add("tablet", ada.first, tablet)
    ada.remove("no tablet", ada.first, tablet)
    ada.recover("recover", {}, thief)
    ada.add("second", thief, added)
    named = ada.named()
    group = Group("7.8.2", {"log": list(named.values())})
    own = {"whose": "own", "own_static": ada.first.static.hex()}
    contact = {"whose": "contact", "own_static": X25519Pair(seed.bytes("contact")).public.hex()}
    recovery, last = (ada.id_of(name).hex() for name in ("recover", "second"))
    for comment, static, confirmed in (
        ("a live terminal", laptop.static, []),
        ("a terminal that was removed", tablet.static, []),
        ("a live terminal with the key of one that was removed", phone.static, []),
        ("in no operation", seed.bytes("nobody"), []),
        ("the own key", ada.first.static, []),
        ("a terminal of a recovery that is not confirmed", thief.static, []),
        ("a terminal of a recovery that is confirmed", thief.static, [recovery]),
        ("a terminal that one of a recovery that is not confirmed added", added.static, []),
        ("a terminal that one of a recovery that is confirmed added", added.static, [recovery]),
        ("a terminal that is confirmed itself", added.static, [last]),
    ):
        given = own | {"static": static.hex(), "confirmed": confirmed}
        steps = one_step(ACTIONS, group.inputs, "standing", **given)
        group.add(comment, ["Caller"], SUCCESS, steps)
    for comment, static, changed in (
        ("a live terminal of a contact", laptop.static, {}),
        ("a live terminal of a contact with the key of one that was removed", phone.static, {}),
        ("a terminal of a contact that was removed", tablet.static, {}),
        ("in no operation of a contact", seed.bytes("nobody"), {}),
        ("the own key, which a terminal of a contact claims", laptop.static,
         {"own_static": laptop.static.hex()}),
        ("a terminal of a recovery of a contact", thief.static, {}),
    ):  # fmt: skip
        given = contact | {"static": static.hex(), "confirmed": []} | changed
        steps = one_step(ACTIONS, group.inputs, "standing", **given)
        group.add(comment, ["Caller"], SUCCESS, steps)
    return group


def _brought_in_for_nothing(seed: Seed) -> Group:
    """Ben removes a tablet that added two terminals and adds a third. Two recoveries contest each other."""
    ben = Person(seed, "ben", "Ben")
    tablet, kept, felled, late = (ben.terminal(name) for name in ("tablet", "kept", "felled", "late"))
    rivals = [ben.terminal(name) for name in ("one", "other")]
    ben.add("tablet", ben.first, tablet)
    ben.add("kept", tablet, kept)
    before = list(ben.log)
    ben.add("felled", tablet, felled)
    ben.remove("no tablet", ben.first, tablet, upon=before)
    removed = list(ben.log)
    ben.add("late", tablet, late)
    for name, new in zip(("one", "other"), rivals, strict=True):
        ben.recover(name, {}, new, upon=removed)
    group = Group("7.8.2", {"log": list(ben.named().values())})
    for comment, static in (
        ("whose Add does not count and is in the past of a removal", kept.static),
        ("whose Add does not count and is not kept", felled.static),
        ("whose Add is not valid", late.static),
        ("of a recovery that is not in force", rivals[0].static),
    ):
        for whose, own in (("own", ben.first.static), ("contact", X25519Pair(seed.bytes("contact")).public)):
            given = {"whose": whose, "own_static": own.hex(), "static": static.hex(), "confirmed": []}
            steps = one_step(ACTIONS, group.inputs, "standing", **given)
            group.add(f"a terminal {comment}, {whose}", ["Caller"], SUCCESS, steps)
    return group


def _farewells(seed: Seed) -> Group:
    """Ada's desk removed the phone while her laptop removed the tablet."""
    ada = Person(seed, "ada", "Ada")
    laptop, phone, tablet = (ada.terminal(name) for name in ("laptop", "phone", "tablet"))
    for name, new in (("laptop", laptop), ("phone", phone), ("tablet", tablet)):
        ada.add(name, ada.first, new)
    before = list(ada.log)
    ada.remove("no phone", ada.first, phone)
    ada.remove("no tablet", laptop, tablet, upon=before)
    group = Group("7.6", {"log": ada.named()})
    for comment, static in (
        ("one that was removed", phone.static),
        ("one that a junior terminal removed", tablet.static),
        ("one that is live", laptop.static),
        ("one that is in no operation", seed.bytes("nobody")),
    ):
        steps = one_step(ACTIONS, group.inputs, "farewell", static=static.hex())
        group.add(comment, ["Farewell"], SUCCESS, steps)
    return group


def _farewells_of_several(seed: Seed) -> Group:
    """Zoe's laptop removes her phone and keeps what that added. Her desk removes it, keeping nothing."""
    zoe = Person(seed, "zoe", "Zoe")
    laptop, phone, tablet = (zoe.terminal(name) for name in ("laptop", "phone", "tablet"))
    zoe.add("laptop", zoe.first, laptop)
    zoe.add("phone", laptop, phone)
    zoe.add("tablet", phone, tablet)
    zoe.remove("no phone", laptop, phone, ["tablet"])
    zoe.remove("no phone again", zoe.first, phone)
    group = Group("7.6", {"log": zoe.named()})
    for comment, static in (
        ("one that was removed twice hears of the first removal", phone.static),
        ("one whose adder was removed hears of that", tablet.static),
    ):
        steps = one_step(ACTIONS, group.inputs, "farewell", static=static.hex())
        group.add(comment, ["Farewell"], SUCCESS, steps)
    return group


def _mark(entry: int, terminal: int, kind: int) -> Json:
    return {"entry": bytes([entry]).hex() * 32, "terminal": bytes([terminal]).hex() * 32, "kind": kind}


def _marks(seed: Seed) -> Group:
    group = Group("7.8.3", {})
    conversation = seed.bytes("conversation").hex()
    for comment, marks in (
        ("no mark", []),
        ("one mark", [_mark(1, 2, 1)]),
        ("of two terminals and kinds", [_mark(1, 2, 1), _mark(1, 2, 2), _mark(1, 3, 3), _mark(2, 2, 1)]),
        ("in another order, one twice", [_mark(2, 2, 1), _mark(1, 3, 3), _mark(1, 2, 2), _mark(1, 2, 1),
                                         _mark(1, 2, 1)]),
    ):  # fmt: skip
        steps = one_step(ACTIONS, {}, "marks", conversation=conversation, marks=marks)
        group.add(comment, ["Marks"], SUCCESS, steps)
    return group


def _digest(conversation: int, heads: int, marks: int, *, answered: bool = False) -> Digest:
    talk, held, marked = (bytes([one]) * 32 for one in (conversation, heads, marks))
    return Digest(talk, held, marked, 20_000, 1, answered)


def _digests(_: Seed) -> Group:
    group = Group("5.14.1", {})
    held = [
        {"conversation": one.conversation.hex(), "heads": one.heads.hex(), "marks": one.marks.hex()}
        for one in (_digest(1, 1, 1), _digest(2, 1, 1), _digest(3, 1, 1))
    ]
    most = [_digest(number, 1, 1) for number in range(DIGESTS_MAX)]
    between = replace(most[0], conversation=b"\xff" * 31 + b"\xfe")
    over = [*most[:-1], between, most[-1]]
    for comment, said in (
        ("the same", [_digest(1, 1, 1), _digest(2, 1, 1)]),
        ("other heads", [_digest(1, 1, 1), _digest(2, 9, 1)]),
        ("other marks", [_digest(1, 1, 9), _digest(2, 1, 1)]),
        ("both", [_digest(1, 9, 9), _digest(2, 9, 1), _digest(3, 1, 1)]),
        ("other ones once all was answered", [_digest(1, 9, 9, answered=True), _digest(2, 9, 1)]),
        ("a conversation with nobody known", [_digest(1, 9, 1), _digest(8, 9, 9)]),
        ("as many as a message has", most),
    ):
        message = encode(Digests(said)).hex()
        steps = one_step(ACTIONS, {}, "receive_digests", held=held, message=message)
        group.add(comment, ["Digests"], SUCCESS, steps)
    for rule, comment, said in (
        ("V-DG-01", "one conversation twice", [_digest(1, 1, 1), _digest(1, 1, 1)]),
        ("V-DG-01", "conversations that descend", [_digest(2, 1, 1), _digest(1, 1, 1)]),
        ("V-CD-03", "no conversation", []),
        ("V-CD-03", "more than a message has", over),
    ):
        step = {"do": "receive_digests", "held": held, "message": encode(Digests(said)).hex()}
        group.add(comment, ["Form"], "malformed", [step], rule=rule)
    return group


def _passed(seed: Seed) -> Group:
    group = Group("5.14.2", {})
    conversation, own, their, both, nobody = (
        seed.bytes(name) for name in ("conversation", "own", "their", "both", "nobody")
    )
    known = {"own_terminals": [own.hex(), both.hex()], "contact_terminals": [their.hex(), both.hex()]}
    one, other = bytes([1]) * 32, bytes([2]) * 32
    for comment, terminal, kind in (
        ("the contact's terminal has stored them", their, 1),
        ("the contact has read them", their, 2),
        ("the contact has no untold marks", their, 3),
        ("an own terminal that has stored them", own, 1),
        ("this person has read them", own, 2),
        ("this person has read them and tells nobody", own, 3),
        ("a terminal of both logs is this person's", both, 2),
        ("and says nothing of the contact", both, 1),
        ("a terminal of nobody", nobody, 1),
        ("an own terminal that does not hold them", own, 4),
        ("a contact's terminal that does not hold them", their, 4),
    ):
        message = encode(PassedReceipt(conversation, terminal, kind, [one, other])).hex()
        steps = one_step(ACTIONS, {}, "receive_passed", message=message, **known)
        group.add(comment, ["Passed"], SUCCESS, steps)
    for rule, comment, kind, ids in (
        ("V-PR-01", "one entry twice", 1, [one, one]),
        ("V-PR-01", "two entries descending", 1, [other, one]),
        ("V-PR-01", "of a terminal that says nothing", 3, [one, one]),
        ("V-PR-01", "entries that are not held, descending", 4, [other, one]),
        ("V-CD-03", "no entry", 1, []),
        ("V-CD-03", "more entries than it may name", 1, [one] * (RECEIPT_IDS_MAX + 1)),
        ("V-CD-03", "kind 0", 0, [one]),
        ("V-CD-03", "kind 5", 5, [one]),
    ):
        message = encode(PassedReceipt(conversation, their, kind, ids)).hex()
        step = {"do": "receive_passed", "message": message, **known}
        group.add(comment, ["Form"], "malformed", [step], rule=rule)
    return group


def _kept(seed: Seed) -> Group:
    group = Group("7.8.4", {})
    conversation, sender, receiver, third = (
        seed.bytes(name) for name in ("conversation", "sender", "receiver", "third")
    )
    ends = {"sender": sender.hex(), "receiver": receiver.hex()}
    for comment, terminal, kind in (
        ("a question", receiver, 1),
        ("what the sender holds", sender, 1),
        ("what the sender does not hold", sender, 4),
        ("what a third terminal has stored", third, 1),
        ("what a third terminal does not hold", third, 4),
        ("what the receiver does not hold", receiver, 4),
        ("what was read at the sender", sender, 2),
        ("what was read at the sender and is told nobody", sender, 3),
    ):
        message = encode(PassedReceipt(conversation, terminal, kind, [bytes(32)])).hex()
        group.add(comment, ["Kept"], SUCCESS, one_step(ACTIONS, {}, "receive_kept", message=message, **ends))
    live, hexed = [sender.hex(), receiver.hex()], sender.hex()
    for comment, value in (
        ("a live terminal", hexed),
        ("none", ""),
        ("a terminal that is not live", third.hex()),
        ("capital letters", hexed.upper()),
        ("an id that is too short", hexed[2:]),
        ("a value of a later version", f"{hexed} {hexed}"),
    ):
        group.add(comment, ["Keeper"], SUCCESS, one_step(ACTIONS, {}, "keeper", value=value, live=live))
    return group


def _places(seed: Seed) -> Group:
    group = Group("5.2", {})
    digests = Digests([_digest(1, 1, 1)])
    passed = PassedReceipt(bytes(32), bytes(32), 1, [bytes(32)])
    hashed, typing = HeadsHash(bytes(32), bytes(32)), Typing(bytes(32), True)
    stored, read = Receipt(STORED, [bytes(32)]), Receipt(READ, [bytes(32)])
    share = RenewedShare(*[bytes(32)] * 3)
    for link, fits, others in (
        ("own", (digests, passed, stored), (hashed, typing, read, share)),
        ("contact", (hashed, typing, stored, read, share), (digests, passed)),
    ):
        for message in fits:
            given = {"link": link, "message": encode(message).hex()}
            comment = f"{type(message).__name__} on a link of kind {link}"
            group.add(comment, ["Place"], SUCCESS, one_step(ACTIONS, {}, "receive", **given))
        for message in others:
            step = {"do": "receive", "link": link, "message": encode(message).hex()}
            comment = f"{type(message).__name__} on a link of kind {link}"
            group.add(comment, ["Place"], "unexpected", [step], rule="V-MS-05")
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    makers = (
        *(_secret, _callers, _farewells),
        *(_marks, _digests, _passed, _kept, _places),
        _brought_in_for_nothing,
        _farewells_of_several,
    )
    return build_file(seed, NOTES, [make(seed) for make in makers])
