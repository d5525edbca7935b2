"""What a pairing refuses: names, messages out of turn, records, tags (SPEC §5.7 to §5.11, §7.4).

Rules: every message is well formed but for its one fault; the refusal is the last step, and ends the pairing
with Close 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from protocol import labels
from protocol.codec import encode
from protocol.keys import X25519Pair
from protocol.limits import LOG_HELD_MAX, LOG_OPERATIONS_MAX
from protocol.link.states import Role
from protocol.messages import Accept, Commit, LogHeads, LogOperations, Open, Reveal, Typing
from protocol.pairing.invitation import invitation_check
from protocol.pairing.record import accept_tag
from protocol.primitives import ed25519_sign
from protocol.vectors.frame import SUCCESS, Json
from tests.vectors.files import Group, Seed
from tests.vectors.pairing_ends import Course, Making, end, facts, log_of, record, remade, transcript_of
from tests.vectors.persons_log import Person, Terminal

Wrong = tuple[str, str, str, str, list[Json]]
"""Rule, class, comment, flag, steps."""


def refused_groups(seed: Seed) -> list[Group]:
    """Everything that ends a pairing."""
    return [_nearby(seed), _records(seed), _promised(seed), _long(seed)]


def _add(group: Group, cases: Iterator[Wrong]) -> None:
    for rule, expect, comment, flag, steps in cases:
        group.add(comment, [flag], expect, steps, rule=rule)


# --- Names and messages out of turn ---


def _nearby(seed: Seed) -> Group:
    anna, bob = Person(seed, "anna", "Anna"), Person(seed, "bob", "Bob")
    inputs = {
        "facts": facts(seed, "nearby"),
        "initiator": end(anna, "nearby"),
        "responder": end(bob, "nearby"),
    }
    group = Group("7.4", inputs)
    for cases in (_names, _out_of_turn, _forged_words, _tags):
        _add(group, cases(inputs))
    return group


def _names(inputs: Json) -> Iterator[Wrong]:
    for comment, name in (
        ("a space before the name", " Anna"),
        ("an escape sequence in the name", "\x1b]52;c;x\x07"),
        ("an override of direction in the name", "\u202eanna"),
    ):
        course = Course(inputs).starts()
        steps = course.refusing("responder", encode(Commit(bytes(32), name)))
        yield "V-CM-01", "malformed", f"Commit: {comment}", "BadName", steps
        course = Course(inputs).starts()
        steps = course.refusing("initiator", encode(Reveal(bytes(32), name)))
        yield "V-RV-01", "malformed", f"Reveal: {comment}", "BadName", steps


def _reach(inputs: Json) -> dict[str, tuple[str, Callable[[], Course]]]:
    """A way to each state, and the actor who is in it."""

    def both_confirmed() -> Course:
        return Course(inputs).words_shown().confirms("initiator", "responder")

    def ready() -> Course:
        return both_confirmed().arrives("initiator")

    def accepted() -> Course:
        return both_confirmed().arrives("responder").stores("responder").arrives("initiator", 2)

    return {
        "LISTENING": ("responder", lambda: Course(inputs).starts()),
        "COMMITTED": ("initiator", lambda: Course(inputs).starts()),
        "REVEALED": ("responder", lambda: Course(inputs).starts().arrives("responder")),
        "COMPARING": ("initiator", lambda: Course(inputs).words_shown()),
        "OFFERED": ("initiator", lambda: Course(inputs).words_shown().confirms("initiator")),
        "RECEIVED": (
            "initiator",
            lambda: Course(inputs).words_shown().confirms("responder").arrives("initiator"),
        ),
        "READY": ("initiator", ready),
        "ACCEPTED": ("initiator", accepted),
        "STORED": ("initiator", lambda: ready().stores("initiator")),
    }


_TURNS = {
    "Commit": ("V-CM-02", {"LISTENING"}),
    "Reveal": ("V-RV-02", {"COMMITTED"}),
    "Open": ("V-OP-02", {"REVEALED"}),
    "Record": ("V-RC-01", {"COMPARING", "OFFERED"}),
    "Accept": ("V-AC-02", {"READY", "STORED"}),
    "LogOperations": ("V-MS-04", {"COMPARING", "OFFERED"}),
}
"""The rule of each message, and the states that wait for it."""


def _out_of_turn(inputs: Json) -> Iterator[Wrong]:
    ways = _reach(inputs)
    for state, (actor, way) in ways.items():
        other = "responder" if actor == "initiator" else "initiator"
        messages = {
            "Commit": Commit(bytes(32), "Bob"),
            "Reveal": Reveal(bytes(32), "Bob"),
            "Open": Open(bytes(32)),
            "Record": record(inputs, other),
            "Accept": Accept(bytes(32)),
            "LogOperations": LogOperations([b"operation"]),
        }
        for name, message in messages.items():
            rule, due = _TURNS[name]
            if state not in due:
                steps = way().refusing(actor, encode(message))
                yield rule, "unexpected", f"{name} in {state}", "NotNow", steps
    for message, state in ((Typing(bytes(32), True), "COMPARING"), (LogHeads(bytes(32), []), "STORED")):
        actor, way = ways[state]
        comment = f"{type(message).__name__} in {state}"
        yield "V-MS-04", "unexpected", comment, "NotNow", way().refusing(actor, encode(message))


def _forged_words(inputs: Json) -> Iterator[Wrong]:
    nonce = bytes.fromhex(inputs["initiator"]["nonce"])
    for comment, wrong in (
        ("another nonce", bytes(32)),
        ("one bit of the nonce", bytes([nonce[0] ^ 1]) + nonce[1:]),
        ("the responder's own nonce", bytes.fromhex(inputs["responder"]["nonce"])),
    ):
        course = Course(inputs).starts().arrives("responder")
        yield (
            "V-OP-01",
            "authentication",
            comment,
            "WordsForged",
            course.refusing("responder", encode(Open(wrong))),
        )


def _root_and_t(inputs: Json) -> tuple[bytes, bytes]:
    transcript = transcript_of(inputs, "initiator")
    return transcript.root, transcript.t


def _tags(inputs: Json) -> Iterator[Wrong]:
    def ready() -> Course:
        return Course(inputs).words_shown().confirms("initiator", "responder").arrives("initiator")

    root, t = _root_and_t(inputs)
    own, theirs = record(inputs, "initiator"), record(inputs, "responder")
    right = accept_tag(root, t, Role.RESPONDER, theirs, own)
    for comment, tag in {
        "one bit of the tag": bytes([right[0] ^ 1]) + right[1:],
        "the receiver's own tag": accept_tag(root, t, Role.INITIATOR, own, theirs),
        "a tag of the other role": accept_tag(root, t, Role.INITIATOR, theirs, own),
        "a tag over the records in the other order": accept_tag(root, t, Role.RESPONDER, own, theirs),
    }.items():
        yield (
            "V-AC-01",
            "authentication",
            comment,
            "BadTag",
            ready().refusing("initiator", encode(Accept(tag))),
        )


# --- Records, as an inviter reads them ---


def _records(seed: Seed) -> Group:
    joiner, inviter = Person(seed, "joiner", "Anna"), Person(seed, "inviter", "Bob")
    third = Person(seed, "third", "Carol")
    joiner.add("add", joiner.first, joiner.terminal("second"))
    check = invitation_check(inviter.id, inviter.first.static).hex()
    inputs = {
        "facts": facts(seed, "records"),
        "initiator": end(joiner, "joiner", check=check),
        "responder": end(inviter, "inviter"),
    }
    group = Group("5.10", inputs)
    for rule, expect, comment, flag, message in (
        *_own_and_unnamed(inputs, joiner, inviter),
        *_terminals(seed, inputs),
        *_signatures(inputs, joiner),
        *_proofs(inputs, joiner, third),
        *_shares(inputs, joiner, inviter),
    ):
        steps = Course(inputs).starts().refusing("responder", message)
        group.add(comment, [flag], expect, steps, rule=rule)
    return group


Message = tuple[str, str, str, str, bytes]
"""Rule, class, comment, flag, the record."""


def _long(seed: Seed) -> Group:
    """Operations that come before a Record, which covers them."""
    joiner, inviter = Person(seed, "joiner", "Anna"), Person(seed, "inviter", "Bob")
    joiner.rename("again", joiner.first, "Anne")
    check = invitation_check(inviter.id, inviter.first.static).hex()
    inputs = {
        "facts": facts(seed, "long"),
        "initiator": end(joiner, "joiner", check=check),
        "responder": end(inviter, "inviter"),
    }
    group, log = Group("5.10", inputs), log_of(joiner)
    rest = replace(record(inputs, "initiator"), operations=log[2:])
    forged = [log[0], log[1][:-1] + bytes([log[1][-1] ^ 1])]
    for rule, expect, comment, before in (
        (
            "V-RC-06",
            "authentication",
            "an operation before a Record twice",
            [*log[:2], log[0]],
        ),
        ("V-RC-06", "authentication", "before a Record the operations in another order", log[1::-1]),
        ("V-LG-09", "malformed", "a Record without all operations before it", log[:1]),
        ("V-LG-02", "malformed", "a Record without any operation before it", []),
        ("V-LG-03", "authentication", "an operation before a Record with a false signature", forged),
    ):
        course = Course(inputs).starts()
        for operation in before:
            course.does("responder", "receive", message=encode(LogOperations([operation])).hex())
        steps = course.refusing("responder", encode(rest))
        group.add(comment, ["BadRecord"], expect, steps, rule=rule)
    full = encode(LogOperations([b""] * LOG_OPERATIONS_MAX)).hex()
    for comment, last in (
        ("2,049 operations before a Record", LogOperations([b""])),
        ("2,048 operations before a Record, and one in it", rest),
    ):
        course = Course(inputs).starts()
        for _ in range(LOG_HELD_MAX // LOG_OPERATIONS_MAX):
            course.does("responder", "receive", message=full)
        steps = course.refusing("responder", encode(last))
        group.add(comment, ["BadRecord"], "limit", steps, rule="V-RC-11")
    return group


def _own_and_unnamed(inputs: Json, joiner: Person, inviter: Person) -> Iterator[Message]:
    flag, untrusted = "BadRecord", "untrusted"
    yield "V-RC-02", untrusted, "the receiver itself", flag, _record_of(inputs, inviter)
    own = Person(joiner.seed, "inviter", "Bob")
    own.add("add", own.first, own.terminal("second"))
    message = _record_of(inputs, own, own.terminal("second"))
    yield "V-RC-02", untrusted, "another terminal of the receiver's own person", flag, message
    nameless = remade(inputs, "initiator", operations=log_of(joiner, ["genesis"]))
    yield "V-RC-03", untrusted, "a log without a name", flag, nameless
    thief = Person(joiner.seed, "thief of the receiver", "Anna")
    second, comment = thief.terminal("second"), "a terminal with the receiver's {} key"
    for key, claimed in {
        "static": Terminal(second.seed, inviter.first.secret),
        "signing": Terminal(inviter.first.seed, second.secret),
    }.items():
        thief.add(f"add {key}", thief.first, claimed)
        message = _record_of(inputs, thief, claimed)
        yield "V-RC-04", untrusted, comment.format(key), flag, message
    bad = Person(joiner.seed, "bad log", "Anna")
    forged = bytearray(bad.log["rename"])
    forged[-1] ^= 1
    message = remade(
        inputs, "initiator", by=bad.first, operations=[bad.log["genesis"], bytes(forged)],
        terminal=bad.first.id, drawn=bad.id,
    )  # fmt: skip
    yield "V-LG-03", "authentication", "a log with a false signature", flag, message
    bad.rename("again", bad.first, "Anne")
    gap = remade(
        inputs, "initiator", by=bad.first, operations=log_of(bad, ["genesis", "again"]),
        terminal=bad.first.id, drawn=bad.id,
    )  # fmt: skip
    yield "V-LG-09", "malformed", "a log in which an ancestor is missing", flag, gap


def _record_of(inputs: Json, person: Person, terminal: Terminal | None = None) -> bytes:
    by = terminal or person.first
    return remade(inputs, "initiator", by=by, operations=log_of(person), terminal=by.id, drawn=person.id)


def _terminals(seed: Seed, inputs: Json) -> Iterator[Message]:
    flag, rule = "BadRecord", ("V-RC-05", "untrusted")
    person = Person(seed, "removed", "Anna")
    second = person.terminal("second")
    person.add("add", person.first, second)
    person.remove("remove", person.first, second)
    yield *rule, "a terminal that was removed", flag, _record_of(inputs, person, second)
    stranger = person.terminal("stranger")
    yield *rule, "a terminal that is not in the log", flag, _record_of(inputs, person, stranger)
    wrong = remade(inputs, "initiator", terminal=person.id)
    yield *rule, "a person id in place of the terminal's", flag, wrong


def _signatures(inputs: Json, joiner: Person) -> Iterator[Message]:
    flag, rule = "BadRecord", ("V-RC-06", "authentication")
    good, empty = record(inputs, "initiator"), b""
    flipped = bytes([good.signature[0] ^ 1]) + good.signature[1:]
    elsewhere = inputs | {"facts": facts(joiner.seed, "another link")}
    text = labels.SIGN_OPERATION + joiner.id

    def signed(**making: Any) -> bytes:
        return remade(inputs, "initiator", signing=Making(**making))

    for comment, message in {
        "one bit of the signature": encode(replace(good, signature=flipped)),
        "a share that is not the signed one": encode(replace(good, share=bytes(32))),
        "a drawing that is not the signed one": encode(replace(good, drawn=joiner.id_of("rename"))),
        "a proof that is not the signed one": encode(replace(good, proof=bytes(32))),
        "signed for the other role": signed(role=bytes([Role.RESPONDER])),
        "signed without the role": signed(role=empty),
        "signed on another link": encode(record(elsewhere, "initiator")),
        "signed without t": signed(t=empty),
        "signed without the core": signed(core=empty),
        "signed without the proof": signed(proof=empty),
        "signed by the recovery key": signed(seed=joiner.recoveries[joiner.id]),
        "the signature of an operation": encode(
            replace(good, signature=ed25519_sign(joiner.first.seed, text))
        ),
    }.items():
        yield *rule, comment, flag, message


def _proofs(inputs: Json, joiner: Person, third: Person) -> Iterator[Message]:
    """Each part of the proof is left out or another one; the signature covers the proof as it is."""
    flag, rule, actor = "BadProof", ("V-RC-10", "authentication"), "initiator"
    good, transcript, empty = record(inputs, actor), transcript_of(inputs, actor), b""
    elsewhere = transcript_of(inputs | {"facts": facts(joiner.seed, "another link")}, actor)
    other_secret = inputs[actor]["drawn"] | {"secret": joiner.seed.bytes("other secret").hex()}
    other = record(inputs | {actor: end(joiner, "joiner", drawn=other_secret)}, actor)

    def proven(**making: Any) -> bytes:
        return remade(inputs, actor, proving=Making(**making))

    for comment, message in {
        "no proof": proven(proof=bytes(32)),
        "one bit of the proof": proven(proof=bytes([good.proof[0] ^ 1]) + good.proof[1:]),
        "the proof of another record": proven(proof=other.proof),
        "a proof for the other role": proven(role=bytes([Role.RESPONDER])),
        "a proof without the role": proven(role=empty),
        "a proof of another link with the same keys": proven(t=elsewhere.t),
        "a proof without t": proven(t=empty),
        "a proof without the core": proven(core=empty),
        "a proof under another label": proven(label=labels.PAIRING_ACCEPT),
        "a proof by the one-time key": proven(shared=transcript.own.dh(transcript.their)),
        "a proof by another static key": proven(shared=X25519Pair(third.first.secret).dh(transcript.their)),
        "a proof for another one-time key": proven(
            shared=X25519Pair(joiner.first.secret).dh(elsewhere.their)
        ),
    }.items():
        yield *rule, comment, flag, message
    thief = Person(joiner.seed, "thief of third", "Anna")
    claimed = Terminal(thief.terminal("second").seed, third.first.secret)
    thief.add("add", thief.first, claimed)
    shared = X25519Pair(thief.first.secret).dh(transcript.their)
    message = remade(
        inputs, actor, by=claimed, proving=Making(shared=shared), operations=log_of(thief),
        terminal=claimed.id, drawn=thief.id,
    )  # fmt: skip
    yield *rule, "a static key of somebody else, which is not held", flag, message


def _shares(inputs: Json, joiner: Person, inviter: Person) -> Iterator[Message]:
    flag, rule = "BadShare", ("V-RC-09", "malformed")
    for comment, drawn in {
        "a share of a Rename": joiner.id_of("rename"),
        "a share of an Add": joiner.id_of("add"),
        "a share of the receiver's genesis": inviter.id,
        "a share of an operation that is not in the log": bytes(32),
    }.items():
        yield *rule, comment, flag, remade(inputs, "initiator", drawn=drawn)


# --- Records, as a joiner or after words ---


def _promised(seed: Seed) -> Group:
    """The inviter's record must be whom the invitation names, and the log's name the one that was shown."""
    anna, bob = Person(seed, "anna", "Anna"), Person(seed, "bob", "Bob")
    second = bob.terminal("second")
    bob.add("add", bob.first, second)
    other = Person(seed, "other bob", "Bob")
    check = invitation_check(bob.id, bob.first.static).hex()
    inputs = {
        "facts": facts(seed, "joiner"),
        "initiator": end(anna, "joiner", check=check),
        "responder": end(bob, "inviter"),
    }
    group = Group("5.10", inputs)
    for comment, by, whose in (
        ("another terminal of the inviter", second, bob),
        ("another person of the same name", other.first, other),
    ):
        message = remade(inputs, "responder", by=by, operations=log_of(whose), terminal=by.id, drawn=whose.id)
        steps = Course(inputs).starts().refusing("initiator", message)
        group.add(comment, ["BadRecord"], "untrusted", steps, rule="V-RC-08")
    _after_words(group, inputs["facts"], anna, bob)
    return group


def _after_words(group: Group, agreed: Json, anna: Person, bob: Person) -> None:
    ends = {"initiator": end(anna, "nearby"), "responder": end(bob, "nearby")}
    inputs = {"facts": agreed} | ends
    course = Course(inputs).starts().arrives("responder")
    course.does("initiator", "receive", message=encode(Reveal(bytes(32), "Carol")).hex())
    message = encode(record(inputs, "responder"))
    steps = course.confirms("initiator").refusing("initiator", message)
    comment = "another name than the one that was shown"
    group.add(comment, ["BadRecord"], "untrusted", steps, rule="V-RC-03", **ends)
    ends = ends | {"initiator": _before_removal(bob, ends["initiator"])}
    course = Course(inputs | ends).words_shown().confirms("initiator", "responder")
    steps = course.refusing("initiator", course.waiting("responder"))
    comment = "a removed terminal, as the log that is held says"
    group.add(comment, ["Again"], "untrusted", steps, rule="V-RC-05", **ends)
    ends = {"initiator": end(anna, "nearby", held=_held_rival(bob)), "responder": _recovered(bob)}
    course = Course(inputs | ends).words_shown().confirms("initiator", "responder").arrives("initiator")
    comment = "a terminal of a recovery, of which a rival is held"
    group.add(comment, ["Again"], SUCCESS, course.steps, rule="", **ends)


def _held_rival(bob: Person) -> list[str]:
    """What is held of a person of whom a thief has recovered."""
    later = Person(bob.seed, bob.label, bob.name, {})
    later.recover("rival", {}, later.terminal("thief"), following=bob.seed.bytes("thief"))
    return [signed.hex() for signed in later.log.values()]


def _recovered(bob: Person) -> Json:
    """An end that its own person's recovery brought in."""
    later, new = Person(bob.seed, bob.label, bob.name, {}), bob.terminal("recovered")
    later.recover("recover", {}, new)
    keys = {"signing_seed": new.seed.hex(), "static_secret": new.secret.hex()}
    return end(later, "nearby") | keys | {"terminal": new.id.hex()}


def _before_removal(bob: Person, held: Json) -> Json:
    """An end that knows what the other's log hides: its terminal was removed by the recovery key."""
    later = Person(bob.seed, bob.label, bob.name, {})
    later.log |= {name: signed for name, signed in bob.log.items() if name == "add"}
    later.recover("recover", {later.first: []})
    return held | {"held": [signed.hex() for signed in later.log.values()]}
