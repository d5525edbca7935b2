"""Makes the vectors of linking: whole courses, and everything that ends one (SPEC §7.8.1).

Rules: every message is well formed but for its one fault; the refusal is the last step, and ends the linking
with Close 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from protocol import labels
from protocol.codec import encode
from protocol.identity.author import add_operation
from protocol.identity.log import Rename, parse_operation, sign_operation
from protocol.identity.reduction import reduce
from protocol.keys import X25519Pair
from protocol.link.states import Role
from protocol.messages import (
    Addition,
    Close,
    Commit,
    Consent,
    LinkState,
    LogHeads,
    LogOperations,
    NewTerminal,
    Open,
    Reveal,
    SharedComparison,
    SharedDrawn,
    SharedPairing,
    SharedPlace,
    SharedRelay,
    SharedRoot,
    SharedSetting,
    SharedShare,
    SharedVoucher,
)
from protocol.pairing.new_terminal import make_new_terminal
from protocol.pairing.record import Transcript
from protocol.primitives import b2b, ed25519_from_seed, ed25519_sign
from protocol.relay.rendezvous import RelayAddress
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.linking import ACTIONS, AREA, World, handover_of, keys_of
from protocol.vectors.pairing import facts_of
from tests.vectors.files import Group, Seed, build_file
from tests.vectors.pairing_ends import Talk, facts
from tests.vectors.persons_log import Person

NOTES: Final = {
    "Course": ("BASIC", "A whole linking, both ends."),
    "Ended": ("EDGE_CASE", "A person says no, or the link ends."),
    "BadName": ("MALFORMED", "A name that is none, or none for a terminal."),
    "OutOfTurn": ("EDGE_CASE", "A message that nothing waits for."),
    "NewTerminal": (
        "AUTHENTICITY",
        "A new terminal that does not hold its keys, or another one than was seen.",
    ),
    "BadState": ("MALFORMED", "What is said of the person or of a contact contradicts its log or itself."),
    "Drawn": ("AUTHENTICITY", "Drawn secrets, some or all, and others than the log commits to."),
    "BadAdd": ("AUTHENTICITY", "Another Add than the one that both persons expect."),
    "Words": ("AUTHENTICITY", "A nonce that does not fit its commitment."),
}

Wrong = tuple[str, str, str, str, list[Json]]
"""Rule, class, comment, flag, steps."""

TIME: Final = 1_767_225_600_000


class LinkCourse(Talk[World]):
    """The steps of one linking."""

    def __init__(self, inputs: Json) -> None:
        super().__init__(ACTIONS, World(inputs))

    def both_yes(self) -> LinkCourse:
        """Up to the moment when the responder shares."""
        return self.words_shown().confirms("initiator", "responder").arrives("responder")

    def shared(self) -> LinkCourse:
        """What is shared has left."""
        course = self.both_yes()
        course.does("responder", "share")
        return course

    def told(self, *messages: LogOperations | LinkState | SharedPairing | Addition) -> LinkCourse:
        """These messages arrive at the new terminal, in place of the right ones."""
        self.both_yes()
        for message in messages:
            self.does("initiator", "receive", message=encode(message).hex())
        return self


def _inputs(seed: Seed, contacts: int = 1) -> Json:
    """Anna's terminal, which adds, and her new one. With contacts, she has renewed."""
    anna = Person(seed, "anna", "Anna")
    if contacts:
        anna.renew("renew", anna.first)
    drawn = [SharedDrawn(anna.id_of(name), secret) for name, secret in anna.drawn.items()]
    told = []
    for number in range(contacts):
        bob = Person(seed, f"bob {number}", "Bob")
        share = SharedShare(bob.id, seed.bytes("share"))
        root = SharedRoot(seed.bytes("root"), anna.id, number > 0, [share])
        shared = SharedPairing(
            bob.id,
            [],
            [],
            "Bobby",
            True,
            False,
            False,
            TIME,
            3_600,
            True,
            False,
            [SharedComparison(True, TIME, bob.id, [bob.first.id])],
            [SharedVoucher(anna.first.id, True)],
            [root],
            [bob.first.static],
            [SharedPlace(bob.first.id, "192.168.1.20", 4747)],
        )
        told.append({"operations": _hex(bob), "shared": encode(shared).hex()})
    relay = str(RelayAddress("relay.example.org", 4746, X25519Pair(seed.bytes("relay")).public))
    state = LinkState(
        anna.id,
        anna.first.id,
        [],
        [],
        sorted(drawn, key=lambda one: one.operation),
        [SharedSetting("typing", "off")],
        [SharedRelay(relay, False, TIME)],
        contacts,
    )
    new = anna.terminal("new")
    return {
        "facts": facts(seed, "linking"),
        "initiator": {
            "name": "laptop",
            "signing_seed": new.seed.hex(),
            "static_secret": new.secret.hex(),
            "nonce": seed.bytes("nonce I").hex(),
        },
        "responder": {
            "operations": _hex(anna),
            "signing_seed": anna.first.seed.hex(),
            "nonce": seed.bytes("nonce R").hex(),
            "state": encode(state).hex(),
            "contacts": told,
        },
    }


def _hex(person: Person) -> list[str]:
    return [signed.hex() for signed in person.log.values()]


# --- Courses ---


def _courses(seed: Seed) -> Group:
    inputs = _inputs(seed)
    group = Group("7.8.1", inputs)
    course = LinkCourse(inputs).shared().arrives("initiator", 5).arrives("responder")
    course.stores("responder").arrives("initiator").stores("initiator").arrives("responder")
    group.add("a whole linking", ["Course"], SUCCESS, course.steps)
    course = LinkCourse(inputs).words_shown().confirms("responder", "initiator").arrives("responder")
    group.add("the person says yes here first", ["Course"], SUCCESS, course.steps)
    given = handover_of(inputs["responder"])
    genesis = [one for one in given.state.drawn if one.operation == given.state.person]
    course = LinkCourse(inputs).told(
        LogOperations(list(given.operations)), replace(given.state, drawn=genesis)
    )
    group.add("the secret of the genesis alone", ["Drawn"], SUCCESS, course.steps)
    alone = _inputs(seed, 0)
    course = LinkCourse(alone).shared().arrives("initiator", 3).arrives("responder")
    group.add("a person without contacts", ["Course"], SUCCESS, course.steps, responder=alone["responder"])
    for actor, other in (("initiator", "responder"), ("responder", "initiator")):
        course = LinkCourse(inputs).words_shown()
        course.does(actor, "refuse")
        course.arrives(other)
        group.add(f"the words differ: the {actor} refuses", ["Ended"], SUCCESS, course.steps)
    course = LinkCourse(inputs).shared().arrives("initiator", 5)
    course.does("responder", "cut")
    group.add("the link ends before the new terminal's consent comes", ["Ended"], SUCCESS, course.steps)
    for comment, close in (("the link ends", None), ("the new terminal refuses", Close(3))):
        course = LinkCourse(inputs).shared().arrives("initiator", 5).arrives("responder").stores("responder")
        if close is None:
            course.does("responder", "cut")
        else:
            course.does("responder", "receive", message=encode(close).hex())
        group.add(f"{comment} after the Add is stored", ["Ended"], SUCCESS, course.steps)
    return group


# --- Out of turn ---


def _reach(inputs: Json) -> dict[str, tuple[str, Callable[[], LinkCourse]]]:
    """A way to each state, and the actor who is in it."""
    return {
        "COMMITTED": ("initiator", lambda: LinkCourse(inputs).starts()),
        "LISTENING": ("responder", lambda: LinkCourse(inputs).starts()),
        "REVEALED": ("responder", lambda: LinkCourse(inputs).starts().arrives("responder")),
        "COMPARING": ("initiator", lambda: LinkCourse(inputs).words_shown()),
        "COMPARING, which adds": ("responder", lambda: LinkCourse(inputs).words_shown()),
        "CONFIRMED": ("responder", lambda: LinkCourse(inputs).words_shown().confirms("responder")),
        "OFFERED": ("initiator", lambda: LinkCourse(inputs).words_shown().confirms("initiator")),
        "OFFERED, which adds": (
            "responder",
            lambda: LinkCourse(inputs).words_shown().confirms("initiator").arrives("responder"),
        ),
        "TOLD": ("initiator", lambda: LinkCourse(inputs).shared().arrives("initiator", 2)),
        "SHARING": ("responder", lambda: LinkCourse(inputs).both_yes()),
        "SHARED": ("responder", lambda: LinkCourse(inputs).shared()),
        "CONSENTED": ("initiator", lambda: LinkCourse(inputs).shared().arrives("initiator", 5)),
        "READY": (
            "responder",
            lambda: LinkCourse(inputs).shared().arrives("initiator", 5).arrives("responder"),
        ),
    }


_TURNS: Final = {
    Commit: ("V-CM-02", {"LISTENING"}),
    Reveal: ("V-RV-02", {"COMMITTED"}),
    Open: ("V-OP-02", {"REVEALED"}),
    NewTerminal: ("V-NT-06", {"COMPARING, which adds", "CONFIRMED"}),
    SharedPairing: ("V-SP-04", {"TOLD"}),
    LinkState: ("V-LS-04", {"OFFERED"}),
    Addition: ("V-AD-04", {"TOLD"}),
    Consent: ("V-CO-02", {"SHARED"}),
    LogOperations: ("V-MS-04", {"OFFERED", "TOLD", "CONSENTED"}),
}
"""The rule of each message, and the states that wait for it."""


def _out_of_turn(inputs: Json) -> Iterator[Wrong]:
    given = handover_of(inputs["responder"])
    made: dict[type, Any] = {
        Commit: Commit(bytes(32), "Bob"),
        Reveal: Reveal(bytes(32), "Bob"),
        Open: Open(bytes(32)),
        NewTerminal: _new(inputs),
        SharedPairing: given.contacts[0].shared,
        LinkState: given.state,
        Addition: Addition(b"\x90"),
        Consent: Consent(bytes(64)),
        LogOperations: LogOperations(list(given.operations)),
    }
    for state, (actor, reached) in _reach(inputs).items():
        for kind, (rule, waiting) in _TURNS.items():
            if state not in waiting:
                steps = reached().refusing(actor, encode(made[kind]))
                yield rule, "unexpected", f"{kind.__name__} in {state}", "OutOfTurn", steps
        steps = reached().refusing(actor, encode(LogHeads(bytes(32), [])))
        yield "V-MS-04", "unexpected", f"LogHeads in {state}", "OutOfTurn", steps


# --- Words, names and the new terminal's keys ---


def _new(inputs: Json) -> NewTerminal:
    end = inputs["initiator"]
    transcript = Transcript.of(facts_of(inputs, Role.INITIATOR), Role.INITIATOR)
    return make_new_terminal(keys_of(end), end["name"], transcript)


def _remade(
    inputs: Json, *, role: int = 0, t: bytes | None = None, core: bytes | None = None, **fields: Any
) -> bytes:
    """A NewTerminal with other fields, proven and signed with the new terminal's keys, rightly or not."""
    keys, transcript = (
        keys_of(inputs["initiator"]),
        Transcript.of(facts_of(inputs, Role.INITIATOR), Role.INITIATOR),
    )
    bare = replace(_new(inputs), **fields, proof=bytes(32), signature=bytes(64))
    right = b2b(encode(bare), personal=labels.NEW_CORE)
    bound = bytes([role]) + (transcript.t if t is None else t) + (right if core is None else core)
    proof = b2b(bound, personal=labels.NEW_PROOF, key=X25519Pair(keys.static_secret).dh(transcript.their))
    signature = ed25519_sign(keys.signing_seed, labels.SIGN_NEW + bound + proof)
    return encode(replace(bare, proof=proof, signature=signature))


def _names(inputs: Json) -> Iterator[Wrong]:
    for comment, name in (("a space at its end", "laptop "), ("33 characters", "l" * 33)):
        steps = LinkCourse(inputs).starts().refusing("responder", encode(Commit(bytes(32), name)))
        yield "V-CM-01", "malformed", f"Commit: {comment}", "BadName", steps
    steps = LinkCourse(inputs).starts().refusing("initiator", encode(Reveal(bytes(32), "Anna\n")))
    yield "V-RV-01", "malformed", "Reveal: a line break in the name", "BadName", steps
    steps = LinkCourse(inputs).starts().arrives("responder").refusing("responder", encode(Open(bytes(32))))
    yield "V-OP-01", "authentication", "another nonce than the one committed to", "Words", steps


def _new_terminals(inputs: Json) -> Iterator[Wrong]:
    def refused(message: bytes) -> list[Json]:
        return LinkCourse(inputs).words_shown().confirms("responder").refusing("responder", message)

    flag, right = "NewTerminal", _new(inputs)
    steps = refused(_remade(inputs, name="laptop\x07"))
    yield "V-NT-01", "malformed", "a control character in the name", flag, steps
    seeds = (ed25519_from_seed(bytes([number]) * 32) for number in range(1, 99))
    both = next(public for public in seeds if public[31] < 0x7F)  # a key of X25519, too
    steps = refused(_remade(inputs, signing=both, static=both))
    yield "V-NT-01", "malformed", "one key in both roles", flag, steps
    yield "V-NT-02", "untrusted", "another name than was shown", flag, refused(_remade(inputs, name="Laptop"))
    genesis = handover_of(inputs["responder"]).operations[0]
    first = next(iter(reduce([genesis]).live.values()))
    own = refused(_remade(inputs, static=first.static))
    yield "V-NT-03", "untrusted", "the static key of the terminal that adds", flag, own
    rule = "V-NT-04", "authentication"
    yield *rule, "a false signature", flag, refused(encode(replace(right, signature=bytes(64))))
    for comment, message in {
        "proven and signed for the other role": _remade(inputs, role=1),
        "proven and signed for another link": _remade(inputs, t=bytes(32)),
        "proven and signed without the core": _remade(inputs, core=b""),
        "another static key than was signed": encode(
            replace(right, static=X25519Pair(b2b(b"other", personal=labels.NEW_CORE)).public)
        ),
    }.items():
        yield *rule, comment, flag, refused(message)
    keys = keys_of(inputs["initiator"])
    transcript = Transcript.of(facts_of(inputs, Role.INITIATOR), Role.INITIATOR)
    bare = replace(right, proof=bytes(32), signature=bytes(64))
    bound = bytes(1) + transcript.t + b2b(encode(bare), personal=labels.NEW_CORE)
    signature = ed25519_sign(keys.signing_seed, labels.SIGN_NEW + bound + bytes(32))
    steps = refused(encode(replace(bare, signature=signature)))
    yield "V-NT-05", "authentication", "a proof of zeros, signed", flag, steps


# --- What is shared ---


def wrong_drawn(
    operations: Iterable[bytes], drawn: Sequence[SharedDrawn]
) -> Iterator[tuple[str, str, str, list[SharedDrawn]]]:
    """Rule, class, comment, and what it is about: secrets that do not go with these operations.

    `drawn` is what goes with them: the secrets of the genesis and of one Renew.
    """
    logged = [parse_operation(one) for one in operations]
    person, first, last = logged[0].id, *drawn
    (genesis,), (renew,) = (
        [one for one in drawn if (one.operation == person) is is_genesis] for is_genesis in (True, False)
    )
    (silent, *_) = (one.id for one in logged if isinstance(one.operation, Rename))

    def with_genesis(*others: SharedDrawn) -> list[SharedDrawn]:
        return sorted([genesis, *others], key=lambda one: one.operation)

    for comment, wrong in {
        "drawn secrets that descend": [last, first],
        "one drawn secret twice": [first, first, last],
        "two secrets of one operation": [first, replace(first, secret=last.secret), last],
        "no secret of the genesis": [renew],
    }.items():
        yield "V-DW-01", "malformed", comment, wrong
    for comment, wrong in {
        "another secret of the genesis": [replace(genesis, secret=renew.secret)],
        "another secret of a Renew": with_genesis(replace(renew, secret=genesis.secret)),
        "a secret of an operation that draws none": with_genesis(SharedDrawn(silent, renew.secret)),
        "a secret of an operation that is not in the log": with_genesis(SharedDrawn(bytes(32), renew.secret)),
    }.items():
        yield "V-DW-02", "untrusted", comment, wrong


def _states(inputs: Json) -> Iterator[Wrong]:
    given = handover_of(inputs["responder"])
    log, state, flag = LogOperations(list(given.operations)), given.state, "BadState"

    def refused(message: LinkState, *before: LogOperations) -> list[Json]:
        return LinkCourse(inputs).told(*(before or (log,))).refusing("initiator", encode(message))

    two = [b"\x02" * 32, b"\x01" * 32]
    for comment, wrong in {
        "pins that are not ascending": replace(state, confirmed=two),
        "an address that is none of a relay": replace(state, relays=[SharedRelay("relay", False, 0)]),
    }.items():
        yield "V-LS-01", "malformed", comment, flag, refused(wrong)
    for rule, error, comment, drawn in wrong_drawn(given.operations, state.drawn):
        yield rule, error, comment, "Drawn", refused(replace(state, drawn=drawn))
    other = LogOperations(list(given.contacts[0].operations))
    yield "V-LS-02", "untrusted", "the log of another person", flag, refused(state, other)
    yield (
        "V-LS-02",
        "untrusted",
        "a terminal that is not in the log",
        flag,
        refused(replace(state, terminal=bytes(32))),
    )
    unnamed = LogOperations(list(given.operations[:1]))
    alone = replace(state, drawn=[one for one in state.drawn if one.operation == state.person])
    yield "V-LS-02", "untrusted", "a log without the name that was shown", flag, refused(alone, unnamed)
    first = given.operations[0]
    orphan = Rename(state.person, state.terminal, [b"\x07" * 32], "Eve")
    gap = LogOperations([first, sign_operation(orphan, bytes.fromhex(inputs["responder"]["signing_seed"]))])
    yield "V-LG-09", "malformed", "a log in which an ancestor is missing", flag, refused(state, gap)
    steps = LinkCourse(inputs).both_yes().refusing("initiator", encode(state))
    yield "V-LG-02", "malformed", "no log before it", flag, steps
    many = LogOperations([b""] * 256)
    course = LinkCourse(inputs).told(*[many] * 8)
    yield "V-LS-03", "limit", "a log of 2,049 operations", flag, course.refusing("initiator", encode(log))


def _contacts(inputs: Json) -> Iterator[Wrong]:
    given = handover_of(inputs["responder"])
    (contact,), flag = given.contacts, "BadState"
    own, theirs = LogOperations(list(given.operations)), LogOperations(list(contact.operations))
    shared, pairing = contact.shared, contact.shared.pairings[0]
    share, two = pairing.theirs[0], [b"\x02" * 32, b"\x01" * 32]
    rival = replace(share, share=bytes(32))

    def refused(message: SharedPairing, log: LogOperations = theirs) -> list[Json]:
        return LinkCourse(inputs).told(own, given.state, log).refusing("initiator", encode(message))

    for comment, wrong in {
        "a petname that is none": replace(shared, petname=" Bob"),
        "proven keys that are not ascending": replace(shared, proven=two),
        "one pairing twice": replace(shared, pairings=[pairing, pairing]),
        "one share twice": replace(shared, pairings=[replace(pairing, theirs=[share, share])]),
        "two shares of one operation": replace(shared, pairings=[replace(pairing, theirs=[share, rival])]),
        "compared terminals that are not ascending": replace(
            shared, comparison=[replace(shared.comparison[0], terminals=two)]
        ),
        "terminals that vouch and are not ascending": replace(
            shared, vouchers=[SharedVoucher(one, False) for one in two]
        ),
    }.items():
        yield "V-SP-01", "malformed", comment, flag, refused(wrong)
    yield (
        "V-SP-02",
        "untrusted",
        "the log of another person",
        flag,
        refused(replace(shared, person=bytes(32))),
    )
    same = refused(replace(shared, person=given.state.person), own)
    yield "V-SP-02", "untrusted", "the person itself", flag, same
    two_of_it = replace(given.state, contacts=2)
    course = LinkCourse(inputs).told(own, two_of_it, theirs, shared, theirs)
    yield "V-SP-02", "untrusted", "a contact twice", flag, course.refusing("initiator", encode(shared))
    course = LinkCourse(inputs).told(own, replace(given.state, contacts=0), theirs)
    yield (
        "V-SP-03",
        "limit",
        "a contact more than was announced",
        flag,
        course.refusing("initiator", encode(shared)),
    )


# --- The Add ---


def _additions(inputs: Json) -> Iterator[Wrong]:
    given, keys = handover_of(inputs["responder"]), keys_of(inputs["initiator"])
    log, flag = reduce(given.operations), "BadAdd"
    author, name = given.state.terminal, inputs["initiator"]["name"]
    right = add_operation(log, author, keys.signing, keys.static, name)

    def refused(operation: bytes) -> list[Json]:
        course = LinkCourse(inputs).shared().arrives("initiator", 4)
        return course.refusing("initiator", encode(Addition(operation)))

    rename = Rename(right.person, author, right.parents, "Eve")
    yield "V-AD-01", "malformed", "a Rename", flag, refused(encode(rename))
    yield "V-AD-01", "malformed", "no operation", flag, refused(b"\x90")
    early = LinkCourse(inputs).shared().arrives("initiator", 2)
    steps = early.refusing("initiator", encode(Addition(encode(right))))
    yield "V-AD-01", "malformed", "before the contact that was announced", flag, steps
    early = LinkCourse(inputs).shared().arrives("initiator", 4)
    more = LogOperations(list(given.operations))
    early.does("initiator", "receive", message=encode(more).hex())
    steps = early.refusing("initiator", encode(Addition(encode(right))))
    yield "V-AD-01", "malformed", "after operations of nobody", flag, steps
    other = X25519Pair(bytes([9]) * 32).public
    for comment, wrong in {
        "another static key than was proven": replace(right, static=other),
        "the keys of the terminal that adds": replace(right, signing=next(iter(log.live.values())).signing),
        "another name than was shown": replace(right, name="desk"),
        "another person": replace(right, person=bytes(32)),
        "another author": replace(right, author=bytes(32)),
        "a parent that is no head": replace(right, parents=[right.person]),
    }.items():
        yield "V-AD-02", "untrusted", comment, flag, refused(encode(wrong))


def _answers(inputs: Json) -> Iterator[Wrong]:
    given, keys = handover_of(inputs["responder"]), keys_of(inputs["initiator"])
    log, flag, author = reduce(given.operations), "BadAdd", given.state.terminal
    add = add_operation(log, author, keys.signing, keys.static, inputs["initiator"]["name"])
    seed = bytes.fromhex(inputs["responder"]["signing_seed"])

    def refused(*operations: bytes) -> list[Json]:
        course = LinkCourse(inputs).shared().arrives("initiator", 5)
        return course.refusing("initiator", encode(LogOperations(list(operations))))

    signed = sign_operation(add, seed, keys.signing_seed)
    another = sign_operation(replace(add, name="desk"), seed, keys.signing_seed)
    yield "V-AD-03", "untrusted", "another Add than was consented to", flag, refused(another)
    yield "V-AD-03", "untrusted", "the Add twice", flag, refused(signed, signed)
    false = sign_operation(add, keys.signing_seed, keys.signing_seed)
    yield "V-LG-03", "authentication", "the Add, signed by the new terminal alone", flag, refused(false)
    for comment, signature in (
        ("a signature of zeros", bytes(64)),
        ("a signature by the terminal that adds", ed25519_sign(seed, labels.SIGN_OPERATION + bytes(32))),
    ):
        course = LinkCourse(inputs).shared()
        steps = course.refusing("responder", encode(Consent(signature)))
        yield "V-CO-01", "authentication", comment, flag, steps


def _refused(seed: Seed) -> Group:
    inputs = _inputs(seed)
    group = Group("7.8.1", inputs)
    for cases in (_names, _out_of_turn, _new_terminals, _states, _contacts, _additions, _answers):
        for rule, expect, comment, flag, steps in cases(inputs):
            group.add(comment, [flag], expect, steps, rule=rule)
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    return build_file(seed, NOTES, [_courses(seed), _refused(seed)])
