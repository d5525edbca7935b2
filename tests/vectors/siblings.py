"""Makes the vectors of own terminals: their secret, their links, and what passes among them."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from protocol.codec import encode
from protocol.entries_and_receipts import READ, STORED
from protocol.limits import DIGESTS_MAX, RECEIPT_IDS_MAX
from protocol.messages import (
    Digest,
    Digests,
    DrawnSecret,
    HeadsHash,
    PassedReceipt,
    Receipt,
    RenewedShare,
    Typing,
)
from protocol.pairing.renewal import Drawn, draw_share, number_of, share_message
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.siblings import ACTIONS, AREA
from tests.vectors.files import Group, Seed, build_file, one_step
from tests.vectors.persons_log import Person, Terminal

NOTES: Final = {
    "Keys": ("CONFIDENTIALITY", "The own secret and its keys."),
    "Numbers": ("EDGE_CASE", "Which numbers of self keys are named and answered."),
    "Caller": ("AUTHENTICITY", "Which link a caller with the own secret has."),
    "Drawing": ("BASIC", "What a terminal draws and signs after a removal."),
    "Newest": ("EDGE_CASE", "Which of several shares is the newest, and which are stale."),
    "Renewal": ("AUTHENTICITY", "Which renewals are taken, wait, or are passed over."),
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
    best, other = (number_of(bytes.fromhex(one)) for one in (key, before))
    for comment, own, theirs in (
        ("the best self key", [best], [best]),
        ("the best among others", sorted([best, other, 3], reverse=True), [best, 1]),
        ("both, of which the best counts", sorted([best, other]), sorted([best, other])),
        ("the other one alone", [other], [other]),
        ("the best in one list alone", sorted([best, other], reverse=True), [other]),
        ("another number", [2], [2]),
        ("in one list alone", [best], [other]),
    ):
        numbers = {"own": own, "theirs": theirs}
        held: Json = {"person": person, "self_keys": [key, before], "numbers": numbers}
        steps = one_step(ACTIONS, {}, "answer", **held)
        group.add(comment, ["Numbers"], SUCCESS, steps)
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
        group.add(f"what names {comment}", ["Numbers"], SUCCESS, one_step(ACTIONS, {}, "name", **named))
    return group


def _callers(seed: Seed) -> Group:
    ada = Person(seed, "ada", "Ada")
    laptop, phone, thief, added = (ada.terminal(name) for name in ("laptop", "phone", "thief", "added"))
    ada.add("laptop", ada.first, laptop)
    ada.add("phone", ada.first, phone)
    ada.remove("no phone", ada.first, phone)
    ada.recover("recover", {}, thief)
    ada.add("second", thief, added)
    named = ada.named()
    group = Group("7.8.2", {"log": list(named.values())})
    own = {"own_static": ada.first.static.hex()}
    recovery, last = (ada.id_of(name).hex() for name in ("recover", "second"))
    for comment, static, confirmed in (
        ("a live terminal", laptop.static, []),
        ("a terminal that was removed", phone.static, []),
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
    return group


class Renewals:
    """Ada, whose desk removed its phone while the laptop removed the tablet, and what was drawn."""

    def __init__(self, seed: Seed) -> None:
        self.seed, self.ada, self.contact = seed, Person(seed, "ada", "Ada"), seed.bytes("contact")
        self.desk = self.ada.first
        self.laptop, self.phone, self.tablet = (
            self.ada.terminal(name) for name in ("laptop", "phone", "tablet")
        )
        for name, new in (("laptop", self.laptop), ("phone", self.phone), ("tablet", self.tablet)):
            self.ada.add(name, self.desk, new)
        before = list(self.ada.log)
        self.ada.remove("no phone", self.desk, self.phone)
        self.ada.remove("no tablet", self.laptop, self.tablet, upon=before)
        self.inputs: Json = {"log": self.ada.named()}

    def drawn(self, by: Terminal, *upon: str, secret: str = "secret") -> Drawn:
        """A share that this terminal draws under these operations."""
        root, value = self.seed.bytes("root"), self.seed.bytes(secret)
        heads = sorted(self.ada.id_of(name) for name in upon)
        return draw_share(self.ada.id, self.contact, root, heads, by.id, by.seed, lambda _: value)

    def share(self, by: Terminal, *upon: str) -> RenewedShare:
        """The message that hands it on."""
        drawn = self.drawn(by, *upon)
        message = share_message(self.ada.id, self.contact, self.seed.bytes("root"), drawn)
        assert message is not None, "it is signed"
        return message

    def first(self) -> Drawn:
        """The first share, which nobody signed."""
        return Drawn(self.seed.bytes("first"), (self.ada.id,))


def _held(*drawn: Drawn) -> list[Json]:
    return [
        {
            "secret": one.secret.hex(),
            "heads": [head.hex() for head in one.heads],
            "terminal": one.terminal.hex(),
        }
        for one in drawn
    ]


def _drawing(seed: Seed) -> Group:
    made, group = Renewals(seed), Group("7.6", {})
    given: Json = {
        "person": made.ada.id.hex(),
        "terminal": made.desk.id.hex(),
        "seed": made.desk.seed.hex(),
        "secret": seed.bytes("secret").hex(),
        "heads": [made.ada.id_of("no phone").hex()],
        "contact": made.contact.hex(),
        "pairing_root": seed.bytes("root").hex(),
    }
    for comment, step in (
        ("a share", given),
        ("a share of another pairing", given | {"pairing_root": seed.bytes("another root").hex()}),
        ("a share with another contact", given | {"contact": seed.bytes("another contact").hex()}),
    ):
        group.add(comment, ["Drawing"], SUCCESS, one_step(ACTIONS, {}, "draw", **step))
    return group


def _order(seed: Seed) -> Group:
    made = Renewals(seed)
    group = Group("7.6", made.inputs)
    desk, laptop = made.desk, made.laptop
    for comment, held, without in (
        ("what covers more removals", (made.first(), made.drawn(desk, "no phone", "no tablet")), []),
        ("what covers one removal is stale for both",
         (made.drawn(laptop, "no tablet"), made.drawn(desk, "no phone", secret="other")), []),
        ("two of one terminal, by their numbers",
         (made.drawn(desk, "no phone"), made.drawn(desk, "no phone", secret="other")), []),
        ("a senior terminal and what a removed one drew",
         (made.drawn(made.tablet, "no phone"), made.drawn(laptop, "no phone", secret="other"),
          made.drawn(desk, "no phone", secret="third")), []),
        ("what a removed one drew, before the removal is known",
         (made.drawn(made.tablet, "no phone"), made.drawn(laptop, "no phone", secret="other")),
         ["no tablet"]),
        ("a removal that is not held counts for nobody",
         (made.first(), made.drawn(laptop, "no tablet")), ["no tablet"]),
        ("what nobody signed stands after what a live terminal drew",
         (Drawn(seed.bytes("first"), (made.ada.id_of("no phone"),)), made.drawn(laptop, "no phone")), []),
    ):  # fmt: skip
        steps = one_step(ACTIONS, group.inputs, "newest", held=_held(*held), without=without)
        group.add(comment, ["Newest"], SUCCESS, steps)
    return group


def _renewals(seed: Seed) -> Group:
    """What is taken, what waits, and what is passed over or ends the link."""
    made = Renewals(seed)
    group, ada = Group("7.6", made.inputs), made.ada
    desk, laptop, both = made.desk, made.laptop, ("no phone", "no tablet")
    own: Json = {"link": "own", "person": ada.id.hex(), "peer": ada.id.hex(), "without": []}
    contact = own | {"link": "contact", "person": made.contact.hex()}
    first = _held(made.first())
    thief = made.share(made.tablet, *both)
    for comment, message, given in (
        ("one that covers more", made.share(desk, *both), contact | {"held": first}),
        ("the same on a link of own terminals", made.share(desk, *both), own | {"held": first}),
        ("one that covers no more",
         made.share(desk, "no phone"), contact | {"held": _held(made.drawn(desk, *both, secret="other"))}),
        ("the one that is held", made.share(desk, *both),
         contact | {"held": _held(made.drawn(desk, *both))}),
        ("a stale one that covers more than what is held",
         made.share(laptop, "no tablet"), contact | {"held": first}),
        ("of two that cover as many, that of the senior",
         made.share(desk, "no phone"), contact | {"held": _held(made.drawn(laptop, "no tablet"))}),
        ("of two that cover as many, that of the junior",
         made.share(laptop, "no tablet"), contact | {"held": _held(made.drawn(desk, "no phone"))}),
        ("one under heads that are not held",
         made.share(laptop, "no tablet"), contact | {"held": first, "without": ["no tablet"]}),
        ("one that a removed terminal drew under its own removal", thief, contact | {"held": first}),
        ("the same with a false signature",
         replace(thief, signature=bytes(64)), contact | {"held": first}),
        ("one that a removed terminal drew, where its removal is not known",
         made.share(made.tablet, "no phone"), contact | {"held": first, "without": ["no tablet"]}),
        ("one of a pairing that is not held", made.share(desk, *both), contact | {"held": []}),
    ):  # fmt: skip
        steps = one_step(ACTIONS, group.inputs, "receive_renewal", message=encode(message).hex(), **given)
        group.add(comment, ["Renewal"], SUCCESS, steps)
    share = made.share(desk, *both)
    back = list(reversed(share.heads))
    forged = replace(share, signature=made.share(laptop, *both).signature)
    for rule, expect, comment, message, given in (
        ("V-RS-01", "malformed", "heads that descend", replace(share, heads=back), contact),
        ("V-RS-01", "malformed", "one head twice", replace(share, heads=[share.heads[0]] * 2), contact),
        ("V-RS-02", "untrusted", "a share with a third person",
         replace(share, contact=seed.bytes("third")), contact),
        ("V-RS-02", "untrusted", "a share of a third person",
         replace(share, person=seed.bytes("third")), contact),
        ("V-RS-02", "untrusted", "a share of one person with itself",
         replace(share, contact=ada.id), contact),
        ("V-RS-02", "untrusted", "the same on a link of own terminals", replace(share, contact=ada.id), own),
        ("V-RS-02", "untrusted", "a share of two others on a link of own terminals",
         replace(share, person=seed.bytes("third")), own),
        ("V-RS-03", "authentication", "a signature of another terminal", forged, contact),
        ("V-RS-03", "authentication", "a signature on another share",
         replace(share, share=bytes(32)), contact),
        ("V-RS-03", "authentication", "a signature on other heads",
         replace(share, heads=share.heads[:1]), contact),
        ("V-RS-03", "authentication", "a signature for another pairing",
         replace(share, pairing=bytes(32)), contact),
        ("V-CD-03", "malformed", "no heads", replace(share, heads=[]), contact),
        ("V-CD-03", "malformed", "more heads than a log has",
         replace(share, heads=[bytes([one]) * 32 for one in range(17)]), contact),
    ):  # fmt: skip
        step = {"do": "receive_renewal", "message": encode(message).hex(), **given, "held": first}
        group.add(comment, ["Form"], expect, [step], rule=rule)
    return group


def _farewells(seed: Seed) -> Group:
    made = Renewals(seed)
    group = Group("7.6", made.inputs)
    for comment, static in (
        ("one that was removed", made.phone.static),
        ("one that a junior terminal removed", made.tablet.static),
        ("one that is live", made.laptop.static),
        ("one that is in no operation", seed.bytes("nobody")),
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
    secret = DrawnSecret(bytes(32), bytes(32))
    for link, fits, others in (
        ("own", (digests, passed, secret, stored), (hashed, typing, read)),
        ("contact", (hashed, typing, stored, read), (digests, passed, secret)),
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
        *(_secret, _callers, _drawing, _order, _renewals, _farewells),
        *(_marks, _digests, _passed, _kept, _places),
    )
    return build_file(seed, NOTES, [make(seed) for make in makers])
