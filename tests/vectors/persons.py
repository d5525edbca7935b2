"""Makes the vectors of person logs: one operation, what a log comes to, what is exchanged (SPEC §7).

Each wrong operation is truly signed, unless the signature is its fault, so that only the one rule refuses it.
A group is one history, whose operations its inputs name; each test reads a part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from protocol import labels
from protocol.codec import encode
from protocol.identity.author import recover_operation, recovery_words, rename_operation, sign_recovery
from protocol.identity.log import (
    Add,
    Genesis,
    Recover,
    RecoveryKey,
    Removal,
    Remove,
    Rename,
    Renew,
    TerminalKeys,
    parse_operation,
)
from protocol.identity.safety import word_list
from protocol.limits import (
    LOG_HELD_MAX,
    LOG_KEPT_MAX,
    LOG_OPERATIONS_MAX,
    LOG_RECOVERIES_MAX,
    OPERATION_BYTES_MAX,
    PARENTS_MAX,
    RENEW_BYTES_MAX,
)
from protocol.messages import LogHeads
from protocol.primitives import b2b, ed25519_from_seed
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.persons import ACTIONS, AREA
from tests.vectors.files import Group, Script, Seed, build_file, one_step
from tests.vectors.mldsa import recorded
from tests.vectors.persons_log import History, Person, Terminal
from tests.vectors.persons_meaning import MEANINGS
from tests.vectors.persons_signed import signatures_of, signed_bytes, with_signatures
from tests.vectors.persons_wrong import invalid_group, unknown_author_group

Wrong = tuple[str, str, bytes]
"""The rule, the comment, the signed operation."""

_P: Final = 2**255 - 19
_BAD_SIGNING: Final = {
    "the neutral point": (1).to_bytes(32, "little"),
    "a point of order 4": bytes(32),
    "a point of order 2": (_P - 1).to_bytes(32, "little"),
    # The base point plus a point of order 8.
    "a point of mixed order": bytes.fromhex(
        "f85ad4d1cb5e1f6a8c5ca7259994deb08c1dcac1f1aef8dd900a829209733bc2"
    ),
    "no point of the curve": (2).to_bytes(32, "little"),
    "the neutral point in a second encoding": (_P + 1).to_bytes(32, "little"),
}
_BAD_STATIC: Final = {
    "that is 0": bytes(32),
    "that is 1": (1).to_bytes(32, "little"),
    "of order 8": bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    "that is 2^255-19": _P.to_bytes(32, "little"),
    "with bit 255 set": (2**255 + 9).to_bytes(32, "little"),
}
_BAD_NAMES: Final = {
    "a space before it": " Anna",
    "a space after it": "Anna ",
    "a line break in it": "An\nna",
    "a C1 control in it": "An\x85na",
    "an Arabic letter mark": "An\u061cna",
    "a left-to-right mark": "An\u200ena",
    "a line separator": "An\u2028na",
    "an override of direction": "An\u202ena",
    "an isolate": "An\u2066na",
    "a space alone": " ",
}


def single_groups(seed: Seed) -> list[Group]:
    """Keys and ids, each operation signed and read, each refused."""
    person = Person(seed, "single", "Anna")
    return [_keys_and_ids(seed), _signed(person), _refused(person), _later_ones(person)]


def _keys_and_ids(seed: Seed) -> Group:
    group = Group("7.1", {})
    for name in ("first", "second"):
        terminal = Terminal.of(seed, name)
        given = {"signing_seed": terminal.seed.hex(), "static_secret": terminal.secret.hex()}
        steps = one_step(ACTIONS, group.inputs, "terminal", **given)
        group.add(f"the {name} terminal's keys and id", ["Operation"], SUCCESS, steps)
    return group


def edge_group(seed: Seed) -> Group:
    """The largest of each kind that its fields allow, and what is just beyond a bound."""
    person = Person(seed, "edges", "Anna")
    group, ids, second = Group("7.2", {}), _ids(person, 64), person.terminal("second")
    long = bytes(3309)
    removed = [Removal(one, ids[:4]) for one in ids[:8]]
    recover = _recover(person, parents=ids[:16], removed=removed)
    renew = _renew(person, parents=ids[:16], sealed=[bytes(48)] * 64)
    add = signed_bytes(
        encode(replace(_later(person)["an Add"][0], parents=ids[:16], name="\U0001f389" * 32)),
        *(person.first.seed, second.seed),
    )
    for kind, signed in {"Add": add, "Renew": renew, "Recover": recover}.items():
        steps = one_step(ACTIONS, group.inputs, "parse", signed=signed.hex())
        comment = f"the largest {kind} of its fields, {len(signed):,} bytes"
        group.add(comment, ["Operation"], SUCCESS, steps)
    # Signatures of any length are read, and verified where the log is.
    room = 200 + RENEW_BYTES_MAX - len(with_signatures(renew, bytes(200)))
    steps = one_step(ACTIONS, group.inputs, "parse", signed=with_signatures(renew, bytes(room)).hex())
    group.add("a Renew of 4,096 bytes with its signature", ["Operation"], SUCCESS, steps)
    for comment, wrong in {
        "a Rename": with_signatures(_rename(person), long),
        "another Renew": with_signatures(renew, bytes(room + 1)),
        "a Renew": with_signatures(renew, long),
        "a Recover": with_signatures(recover, long, long, long),
    }.items():
        step = {"do": "parse", "signed": wrong.hex()}
        comment = f"{comment} of {len(wrong):,} bytes with its signatures"
        group.add(comment, ["BadOperation"], "limit", [step], rule="V-OG-01")
    for comment, wrong in {
        "both keys of a recovery of 33 bytes": _recover(person, signing=bytes(33), static=bytes(33)),
        "five ids that a removal keeps": _remove(person, keep=ids[:5]),
        "five ids that a removal in a recovery keeps": _recover(person, removed=[Removal(ids[0], ids[:5])]),
        "65 sealed": _renew(person, sealed=[bytes(48)] * 65),
    }.items():
        step = {"do": "parse", "signed": wrong.hex()}
        group.add(comment, ["BadOperation"], "malformed", [step], rule="V-OG-02")
    return group


# --- Signed and read ---


_Later = Add | Remove | Rename | Renew


def _later(person: Person) -> dict[str, tuple[_Later, tuple[bytes, ...]]]:
    """An operation of each kind with one author upon the founding ones, and its signers' seeds."""
    second, first = person.terminal("second"), person.first
    upon = [person.id_of("rename")]
    common, ids = (person.id, first.id, upon), _ids(person, 4)
    drawn, once = person.seed.bytes("drawn"), person.seed.bytes("once")
    return {
        "an Add": (Add(*common, second.signing, second.static, "laptop"), (first.seed, second.seed)),
        "a Remove that keeps four": (Remove(*common, first.id, ids), (first.seed,)),
        "a Remove that keeps nothing": (Remove(*common, second.id, []), (first.seed,)),
        "a Rename": (Rename(*common, "Ada 小雨"), (first.seed,)),
        "a Renew for nobody": (Renew(*common, drawn, once, []), (first.seed,)),
        "a Renew for two": (Renew(*common, drawn, once, [bytes(48), b"\xff" * 48]), (first.seed,)),
    }


def _recovers(person: Person) -> dict[str, bytes]:
    """Signed Recovers upon the founding operations."""
    second, upon = person.terminal("second"), ["genesis", "rename"]
    present, following = person.recoveries[person.id], person.seed.bytes("following")
    reduction, keys = person.reduction(upon), TerminalKeys(second.signing, second.static)
    alone = recover_operation(reduction, present, following, {})
    whole = recover_operation(
        reduction, present, following, {person.first.id: [person.id_of("rename")]}, keys
    )
    return {
        "a Recover alone": recorded(sign_recovery(alone, present)),
        "a Recover with all its parts": recorded(sign_recovery(whole, present, second.seed)),
    }


def _signed(person: Person) -> Group:
    group = Group("7.2", {})
    genesis = parse_operation(person.log["genesis"]).operation
    key = b2b(b"", personal=labels.RECOVERY, key=person.recoveries[person.id])
    founding: dict[str, Any] = {"a Genesis": (genesis, (person.first.seed, key))}
    for comment, (operation, seeds) in (founding | _later(person)).items():
        script = Script(ACTIONS, group.inputs)
        given = {"operation": encode(operation).hex(), "signing_seeds": [each.hex() for each in seeds]}
        signed = script.take("sign", **given)["signed"]
        script.take("parse", signed=signed)
        group.add(comment, ["Operation"], SUCCESS, script.steps)
    second = {"a Recover alone": [], "a Recover with all its parts": [person.terminal("second").seed.hex()]}
    for comment, recover in _recovers(person).items():
        script, operation = Script(ACTIONS, group.inputs), parse_operation(recover).operation
        seeds = {"recovery_seed": person.recoveries[person.id].hex(), "terminal_seeds": second[comment]}
        script.take("sign_recover", operation=encode(operation).hex(), **seeds)
        script.take("parse", signed=recover.hex())
        group.add(comment, ["Operation"], SUCCESS, script.steps)
    return group


# --- Of later versions ---


def _later_bytes(anna: Person, number: int, rest: bytes = b"", fields: int = 0, **changes: Any) -> bytes:
    """A signed operation of a later version: what all have, and `rest` in so many further fields."""
    place = {"person": anna.id, "author": anna.first.id, "parents": [anna.id_of("rename")]}
    known = encode([number, *(place | changes).values()])
    head = bytes([0x94 + fields]) if fields <= 11 else b"\xdc" + (4 + fields).to_bytes(2, "big")
    return signed_bytes(head + known[1:] + rest, anna.first.seed)


def _filling(person: Person) -> bytes:
    """Opaque bytes with which an operation of a later version has as many bytes as there may be."""
    return bytes(600 + OPERATION_BYTES_MAX - len(_later_bytes(person, 200, bytes(600), 1)))


def _later_ones(person: Person) -> Group:
    """Operations of later versions, read and refused."""
    group = Group("7.2", {})
    rest = _filling(person)
    for comment, signed in {
        "number 6 with the fields of a Rename": _later_bytes(person, 6, encode("Anna"), 1),
        "number 65,535 without further fields": _later_bytes(person, 65_535),
        "12 further fields, opaque": _later_bytes(person, 200, b"\xc1\xc0\x80\xff", 12),
        "further fields that are not there": _later_bytes(person, 127, b"", 3),
        "1,024 bytes in all": _later_bytes(person, 200, rest, 1),
        "16 parents": _later_bytes(person, 200, parents=_ids(person, 16)),
    }.items():
        steps = one_step(ACTIONS, group.inputs, "parse", signed=signed.hex())
        group.add(comment, ["LaterOperation"], SUCCESS, steps)
    for rule, comment, signed in _wrong_later_ones(person):
        expect = "limit" if rule == "V-OG-01" else "malformed"
        step = {"do": "parse", "signed": signed.hex()}
        group.add(comment, ["LaterOperation"], expect, [step], rule=rule)
    return group


def _wrong_later_ones(person: Person) -> Iterator[Wrong]:
    seed, low_high = person.first.seed, _ids(person, 2)
    right = msgspec.msgpack.decode(_later_bytes(person, 200))[0]
    for comment, encoded in {
        "three elements": b"\x93" + right[1:-35],
        "an array that says three elements": b"\x93" + right[1:],
        "the array in a longer encoding": b"\xdc\x00\x04" + right[1:],
        "the number in a longer encoding": right[:1] + b"\xcd\x00\xc8" + right[3:],
        "the list of parents in a longer encoding": right[:71] + b"\xdc\x00\x01" + right[72:],
        "less a byte of the last parent": right[:-1],
        "no bytes": b"",
        "the head alone": right[:1],
    }.items():
        yield "V-OG-02", f"number 200: {comment}", signed_bytes(encoded, seed)
    for comment, signed in {
        "number 65,536": _later_bytes(person, 65_536),
        "a person of 31 bytes": _later_bytes(person, 200, person=bytes(31)),
        "an author of 33 bytes": _later_bytes(person, 200, author=bytes(33)),
        "an author that is a text": _later_bytes(person, 200, author="a" * 32),
        "17 parents": _later_bytes(person, 200, parents=_ids(person, 17)),
        "a parent of 31 bytes": _later_bytes(person, 200, parents=[bytes(31)]),
    }.items():
        yield "V-OG-02", f"of a later version: {comment}", signed
    yield "V-OG-02", "of a later version: no parents", _later_bytes(person, 200, parents=[])
    yield (
        "V-OG-04",
        "of a later version: parents descending",
        _later_bytes(person, 200, parents=low_high[::-1]),
    )
    yield (
        "V-OG-04",
        "of a later version: a parent twice",
        _later_bytes(person, 200, parents=[low_high[0]] * 2),
    )
    yield (
        "V-OG-01",
        "of a later version: 1,025 bytes",
        _later_bytes(person, 200, _filling(person) + b"\x00", 1),
    )


# --- Refused ---


def _refused(person: Person) -> Group:
    group = Group("7.2", {})
    wrong = (_encodings, _places, _names, _wrong_recoveries, _keys, _doubles)
    for rule, comment, signed in (case for cases in wrong for case in cases(person)):
        expect = "limit" if rule == "V-OG-01" else "malformed"
        group.add(comment, ["BadOperation"], expect, [{"do": "parse", "signed": signed.hex()}], rule=rule)
    return group


def _rename(person: Person, **changes: Any) -> bytes:
    operation = _later(person)["a Rename"][0]
    return signed_bytes(encode(replace(operation, **changes)), person.first.seed)


def _remove(person: Person, **changes: Any) -> bytes:
    operation = _later(person)["a Remove that keeps four"][0]
    return signed_bytes(encode(replace(operation, **changes)), person.first.seed)


def _renew(person: Person, **changes: Any) -> bytes:
    operation = _later(person)["a Renew for two"][0]
    return signed_bytes(encode(replace(operation, **changes)), person.first.seed)


def _recover(person: Person, **changes: Any) -> bytes:
    """A changed Recover; its signatures have the right lengths, which is what parsing looks at."""
    right = parse_operation(_recovers(person)["a Recover with all its parts"])
    assert isinstance(right.operation, Recover)
    return encode([encode(replace(right.operation, **changes)), list(right.signatures)])


def _genesis(person: Person, **changes: Any) -> bytes:
    operation = parse_operation(person.log["genesis"]).operation
    assert isinstance(operation, Genesis)
    key = b2b(b"", personal=labels.RECOVERY, key=person.recoveries[person.id])
    return signed_bytes(encode(replace(operation, **changes)), person.first.seed, key, genesis=True)


def _ids(person: Person, count: int) -> list[bytes]:
    return sorted(person.seed.bytes(f"id {n}") for n in range(count))


def _encodings(person: Person) -> Iterator[Wrong]:
    rule, signed = "V-OG-02", person.log["rename"]
    operation, _ = msgspec.msgpack.decode(signed)
    signature = signatures_of(signed)[0]
    yield rule, "a byte after the signed operation", signed + b"\x00"
    yield rule, "the signed operation less a byte", signed[:-1]
    yield rule, "no signature", with_signatures(signed)
    yield rule, "four signatures", with_signatures(signed, *[signature] * 4)
    yield rule, "a signature of 63 bytes", with_signatures(signed, signature[:-1])
    yield rule, "the signed operation's array in a longer encoding", b"\xdc\x00\x02" + signed[1:]
    seed = person.first.seed
    yield rule, "a byte after the operation", signed_bytes(operation + b"\x00", seed)
    yield rule, "an operation without its last field", signed_bytes(b"\x94" + operation[1:-5], seed)
    yield rule, "a signature of 3,310 bytes", with_signatures(signed, bytes(3310))
    yield rule, "an author of 31 bytes", _rename(person, author=person.first.id[:-1])
    yield rule, "17 parents", _rename(person, parents=_ids(person, 17))
    yield (
        rule,
        "nine removed terminals",
        _recover(person, removed=[Removal(terminal, []) for terminal in _ids(person, 9)]),
    )
    yield rule, "a name without characters", _rename(person, name="")
    yield rule, "a name of 65 characters", _rename(person, name="a" * 65)
    yield rule, "a name that is not UTF-8", signed_bytes(operation[:-4] + b"\xff\xff\xff\xff", seed)
    yield rule, "a removal keeps an id of 31 bytes", _remove(person, keep=[bytes(31)])
    yield rule, "sealed of 47 bytes", _renew(person, sealed=[bytes(47)])
    yield rule, "an ML-DSA-65 key of 1,951 bytes", _recover(person, mldsa=bytes(1951))
    yield rule, "a recovery with an empty `previous`", _recover(person, previous=b"")


def _places(person: Person) -> Iterator[Wrong]:
    low, high = _ids(person, 2)
    yield "V-OG-02", "no parents", _rename(person, parents=[])
    yield "V-OG-02", "a recovery without parents", _recover(person, parents=[])
    yield "V-OG-04", "parents descending", _rename(person, parents=[high, low])
    yield "V-OG-04", "a parent twice", _rename(person, parents=[low, low])
    yield (
        "V-OG-04",
        "removed terminals descending",
        _recover(person, removed=[Removal(high, []), Removal(low, [])]),
    )
    yield (
        "V-OG-04",
        "a terminal removed twice",
        _recover(person, removed=[Removal(low, []), Removal(low, [high])]),
    )
    yield "V-OG-04", "kept ids descending", _remove(person, keep=[high, low])
    yield "V-OG-04", "a kept id twice", _remove(person, keep=[low, low])
    yield (
        "V-OG-04",
        "kept ids descending in a recovery",
        _recover(person, removed=[Removal(low, [high, low])]),
    )


def _names(person: Person) -> Iterator[Wrong]:
    for comment, name in _BAD_NAMES.items():
        yield "V-OG-06", f"a name with {comment}", _rename(person, name=name)


def _wrong_recoveries(person: Person) -> Iterator[Wrong]:
    yield "V-OG-07", "a signing key without a static key", _recover(person, static=b"")
    yield "V-OG-07", "a static key without a signing key", _recover(person, signing=b"")
    yield "V-OG-07", "a static key of 31 bytes", _recover(person, static=b"\x09" * 31)


def _keys(person: Person) -> Iterator[Wrong]:
    for comment, key in _BAD_SIGNING.items():
        yield "V-OG-08", f"as signing key {comment}", _genesis(person, signing=key)
    for comment, key in _BAD_STATIC.items():
        yield "V-OG-08", f"a static key {comment}", _genesis(person, static=key)
    good = person.terminal("second").signing
    yield (
        "V-OG-08",
        "as recovery key a point of order 2",
        _genesis(person, recovery=RecoveryKey(_BAD_SIGNING["a point of order 2"], bytes(32))),
    )
    yield (
        "V-OG-08",
        "as new recovery key the neutral point",
        _recover(person, recovery=RecoveryKey(_BAD_SIGNING["the neutral point"], bytes(32))),
    )
    yield (
        "V-OG-08",
        "both keys of a recovery of 31 bytes",
        _recover(person, signing=good[:-1], static=b"\x09" * 31),
    )


def _doubles(person: Person) -> Iterator[Wrong]:
    # A signing key whose bytes are a canonical X25519 key as well.
    both = next(key for n in range(99) if (key := _public(person, n))[31] < 0x7F)
    yield "V-OG-09", "one key for both roles of a terminal", _genesis(person, signing=both, static=both)


def _public(person: Person, n: int) -> bytes:
    return ed25519_from_seed(person.seed.bytes(f"both {n}"))


NOTES: Final = {
    "Operation": ("BASIC", "One operation: its bytes, its id, its signatures."),
    "LaterOperation": ("VERSION", "An operation of a later version: kept, passed on, without effect."),
    "BadOperation": ("MALFORMED", "An operation that no log may hold, though it is truly signed."),
    "Reduction": ("BASIC", "What a log comes to, in every order of arrival."),
    "Seniority": ("AUTHENTICITY", "Only a senior terminal removes a junior one."),
    "Keep": ("AUTHENTICITY", "Of a removed terminal counts what its removals keep."),
    "Recovery": ("AUTHENTICITY", "The recovery key stands above all terminals."),
    "Copy": ("AUTHENTICITY", "One key may have two users, which changes nothing."),
    "Drawn": ("CONFIDENTIALITY", "Which keys are used, and to whom a Renew hands them."),
    "Rival": ("AUTHENTICITY", "Several recoveries follow one: a seed has two users."),
    "Standing": ("AUTHENTICITY", "No operation undoes a removal."),
    "BadLog": ("AUTHENTICITY", "An operation that is not valid upon its ancestors."),
    "Exchange": ("BASIC", "What of a log is taken, left out and passed on."),
    "TooMuch": ("LIMIT", "More than a log may hold."),
    "Third": ("CONFIDENTIALITY", "The log of a person who is not on the link."),
}


# --- What is taken and passed on ---


def _exchange(seed: Seed) -> Group:
    anna = Person(seed, "exchange", "Anna")
    history, second = History(anna), anna.terminal("second")
    anna.add("add second", anna.first, second)
    base = list(anna.log)
    anna.rename("renames", second, "Anne", base)
    anna.remove("remove", anna.first, second, upon=base)
    whole, removed = list(anna.log), [*base, "remove"]
    history.takes("a whole log from a stranger", [], base)
    history.takes("in any order", [], base[::-1])
    history.takes("what is held already adds nothing", base, base)
    history.takes("only what is new, in causal order", base[:1], base[1:])
    history.takes("what a removal does not keep is left out", removed, ["renames"])
    history.takes("a removal that does not keep what is held, which goes", [*base, "renames"], ["remove"])
    anna.rename("renames beside", second, "Anja", base)
    history.takes("evidence of a copy is taken", [*base, "renames"], ["renames beside"])
    missing = ("V-LG-09", "malformed")
    history.turns_away(missing, "a parent is missing", "BadLog", ["renames"], held=base[:2])
    history.turns_away(missing, "of two new ones the first is missing", "BadLog", ["remove"], held=base[:2])
    for comment, heads in {
        "all is lacking": [],
        "nothing is lacking": anna.state().heads,
        "what stands after a head": [anna.id_of("rename")],
        "a head that is not known covers nothing": [bytes(32)],
        "a known and an unknown head": sorted([bytes(32), anna.id_of("add second")]),
    }.items():
        history.computes(
            comment, "Exchange", "missing", operations=whole, heads=[each.hex() for each in heads]
        )
    (signature,) = signatures_of(anna.log["rename"])
    spoiled = bytes([signature[0] ^ 1]) + signature[1:]
    anna.log["rename, falsely signed"] = with_signatures(anna.log["rename"], spoiled)
    history.takes("other signatures of what is held add nothing", base, ["rename, falsely signed"])
    return history.done()


def _named(seed: Seed) -> Group:
    """LogHeads about this person and about the contact, and what goes back."""
    anna, bob = Person(seed, "named anna", "Anna"), Person(seed, "named bob", "Bob")
    for person in (anna, bob):
        person.rename("renames", person.first, "Other", ["genesis", "rename"])
    own, contact = list(anna.log), [f"Bob's {name}" for name in bob.log]
    anna.log |= dict(zip(contact, bob.log.values(), strict=True))
    history = History(anna, "5.12")
    both = {"own": own, "contact": contact}

    def heads(person: bytes, *ids: bytes) -> str:
        return encode(LogHeads(person, sorted(ids))).hex()

    for comment, message in {
        "the contact lacks an operation of this person": heads(anna.id, anna.id_of("rename")),
        "the contact lacks nothing of this person": heads(anna.id, anna.id_of("renames")),
        "the contact lacks an operation of its own": heads(bob.id, bob.id_of("rename")),
        "the contact lacks its whole log": heads(bob.id),
        "the contact has more of its own than is held": heads(bob.id, bob.id_of("renames"), bytes(32)),
    }.items():
        history.computes(comment, "Exchange", "receive_log_heads", message=message, **both)
    third = {"do": "receive_log_heads", "message": heads(bytes(32)), **both}
    history.group.add("the log of a third person", ["Third"], "untrusted", [third], rule="V-LH-01")
    return history.done()


def _foreign(seed: Seed) -> Group:
    """Keys of another person, who may be the receiver, in the log of a contact."""
    anna, bob = Person(seed, "foreign anna", "Anna"), Person(seed, "foreign bob", "Bob")
    theirs = bob.terminal("second")
    bob.add("add second", bob.first, theirs)
    anna.add("adds Bob's terminal", anna.first, theirs)
    mixed = Terminal(anna.terminal("second").seed, bob.first.secret)
    anna.add("adds Bob's static key", anna.first, mixed, ["genesis", "rename"])
    base = ["genesis", "rename"]
    anna.recover("recovers to Bob's recovery key", upon=base, following=bob.recoveries[bob.id])
    history = History(anna)
    for name in ("adds Bob's terminal", "adds Bob's static key", "recovers to Bob's recovery key"):
        history.takes(f"{name}, also where Bob receives it", base, [name])
    return history.done()


def _bounds(seed: Seed) -> Group:
    """As many operations as may be, and one more."""
    anna = Person(seed, "bounds", "Anna")
    second, new = anna.terminal("second"), anna.terminal("new")
    anna.add("add", anna.first, second)
    base = list(anna.log)
    chain = _chain(anna, "chain", second, LOG_OPERATIONS_MAX + 1, base)
    for n in range(PARENTS_MAX + 1):
        operation = Rename(anna.id, second.id, [anna.id_of("add")], f"head {n}")
        anna.write(f"head {n}", operation, second.seed)
    heads = [name for name in anna.log if name.startswith("head")]
    state = anna.state(base)
    anna.write("rename by first", rename_operation(state, anna.first.id, "Anne"), anna.first.seed)
    # The genesis is not counted: the first terminal has two operations in the base.
    own = _chain(anna, "own", anna.first, LOG_OPERATIONS_MAX - 1, base)
    anna.remove("remove", anna.first, second, upon=base)
    full = [*base, *own[:-1]]
    anna.recover("recover", {anna.first: [own[-2]]}, new, full)
    anna.rename("new renames", new, "Änne", [*full, "recover"])
    limit, history = ("V-LG-10", "limit"), History(anna)
    junior = [*base, *chain[:-1]]
    history.takes("256 by a junior, and one more by the senior", junior, ["rename by first"])
    history.turns_away(limit, "257 by a junior", "TooMuch", chain[-1:], held=junior)
    history.takes("the senior removes a junior with 256", junior, ["remove"])
    history.turns_away(limit, "257 by the senior", "TooMuch", own[-1:], held=full)
    history.takes("256 by the senior, and its recovery", full, ["recover"])
    history.takes("the recovery without what it knows held", base, [*own[:-1], "recover"])
    history.takes("what the recovery knows is not counted", [*full, "recover"], ["new renames"])
    history.takes("17 heads, of which 16 are named", base, heads)
    deeper = ["deeper", *(f"deeper {n}" for n in range(PARENTS_MAX + 1))]
    for name in deeper:
        upon = [anna.id_of("add" if name == "deeper" else "deeper")]
        anna.write(name, Rename(anna.id, second.id, upon, name), second.seed)
    anna.recover("recover alone", upon=base)
    for one, comment in {
        "rename by first": "the last one of a live terminal is among them",
        "recover alone": "a recovery in force is among them",
    }.items():
        history.takes(f"of many heads {comment}", base, [*deeper, one])
    history.takes(
        "257 by a junior that are held, and one more by the senior", [*base, *chain], ["rename by first"]
    )
    _gone(anna, history, base, chain[:-1])
    recoveries = _recovery_chain(anna, base)
    history.takes("64 recoveries", base, recoveries[:-1])
    history.turns_away(limit, "65 recoveries", "TooMuch", recoveries[-1:], held=[*base, *recoveries[:-1]])
    for n in range(LOG_HELD_MAX + 1):
        anna.log[f"bytes {n}"] = n.to_bytes(2)
    names = [f"bytes {n}" for n in range(LOG_HELD_MAX + 1)]
    step = {"do": "reduce", "operations": names}
    comment = f"{LOG_HELD_MAX + 1:,} different ones, before any is decoded"
    history.group.add(comment, ["TooMuch"], "limit", [step], rule="V-LG-01")
    return history.done()


def _gone(anna: Person, history: History, base: list[str], chain: list[str]) -> None:
    """Two terminals are removed that each leave as many operations as there may be."""
    third, fourth, second = (anna.terminal(label) for label in ("third", "fourth", "second"))
    anna.add("add third", anna.first, third, base)
    anna.add("add fourth", anna.first, fourth, [*base, "add third"])
    three = [*base, "add third", "add fourth"]
    other = _chain(anna, "third", third, LOG_OPERATIONS_MAX, three)
    one = [*three, *chain]
    anna.remove("remove second with 256", anna.first, second, [chain[-1]], one)
    both = [*one, "remove second with 256", *other]
    anna.remove("remove third with 256", anna.first, third, [other[-1]], both)
    anna.remove("second removes fourth", second, fourth, upon=three)
    history.takes("512 by two that are removed", both[:-1], [other[-1], "remove third with 256"])
    held, late = [*both, "remove third with 256"], "second removes fourth"
    history.turns_away(("V-LG-10", "limit"), "513 by two that are removed", "TooMuch", [late], held=held)


def _room(seed: Seed) -> Group:
    """As much as is kept of a log with five recoveries, which have all before them in their past."""
    anna = Person(seed, "room", "Anna")
    senior, second, log = anna.first, anna.terminal("second"), ["genesis", "rename", "add"]
    anna.add("add", senior, second)
    for n in range(5):
        log += _chain(anna, f"{n}:", senior, LOG_OPERATIONS_MAX - 1, log)
        new = anna.terminal(f"senior {n}")
        anna.recover(f"recover {n}", {senior: [log[-1]]}, new, log)
        log, senior = [*log, f"recover {n}"], new
    log += _chain(anna, "own", senior, LOG_KEPT_MAX - 1 - len(log), log)
    junior = _chain(anna, "junior", second, LOG_OPERATIONS_MAX, log)
    anna.remove("remove", senior, second, [junior[-1]], [*log, *junior])
    anna.rename("more", senior, "Anne", log)
    anna.remove("remove after more", senior, second, [junior[-1]], [*log, *junior, "more"])
    whole = [*log, *junior, "remove"]
    anna.recover("recover", {senior: ["remove"]}, anna.terminal("last"), whole)
    anna.recover("recover early", {senior: [log[-1]]}, anna.terminal("last"), log)
    limit, history = ("V-LG-10", "limit"), History(anna)
    history.takes("1,536 in all", log, junior[:1])
    history.turns_away(limit, "1,537 in all", "TooMuch", junior[1:2], held=[*log, *junior[:1]])
    history.takes("1,792 in all, with a removal and what it follows", log, [*junior, "remove"])
    comment = "1,793 in all, with a removal and what it follows"
    history.turns_away(limit, comment, "TooMuch", [*junior, "more", "remove after more"], held=log)
    history.takes("a removal is taken without what came with it", log, [*junior, "more", "remove"])
    full = [*junior, "more", "remove after more", "recover early"]
    history.takes("a recovery is taken without the removal that came with it", log, full)
    history.takes("1,793 in all, with a recovery", whole, ["recover"])
    return history.done()


def _chain(anna: Person, label: str, by: Terminal, count: int, upon: list[str]) -> list[str]:
    """So many renames by one terminal, each upon the one before, the first upon the last of these."""
    names, parent = [f"{label} {n}" for n in range(count)], anna.id_of(upon[-1])
    for name in names:
        operation = Rename(anna.id, by.id, [parent], "A")
        parent = parse_operation(anna.write(name, operation, by.seed)).id
    return names


def _recovery_chain(anna: Person, base: list[str]) -> list[str]:
    """So many recoveries that each name one key again, each upon the one before."""
    names, previous, parent = [], anna.id, anna.id_of(base[-1])
    present = anna.recoveries[anna.id]
    first = recover_operation(anna.reduction(base), present, present, {})
    for n in range(LOG_RECOVERIES_MAX + 1):
        operation = replace(first, previous=previous, parents=[parent])
        anna.log[f"recovery {n}"] = recorded(sign_recovery(operation, present))
        names.append(f"recovery {n}")
        previous = parent = anna.id_of(names[-1])
    return names


def _recovery_keys(seed: Seed) -> Group:
    """The public recovery key of a seed."""
    group = Group("7.1", {})
    drawn = seed.bytes("recovery keys")
    for comment, one in (("a seed", drawn), ("zero bytes", bytes(32)), ("bytes 255", b"\xff" * 32)):
        steps = one_step(ACTIONS, group.inputs, "recovery_key", seed=one.hex())
        group.add(f"the recovery key of {comment}", ["Operation"], SUCCESS, steps)
    return group


def _recovery_words(seed: Seed) -> Group:
    """The words of a recovery seed, and how they are read."""
    group, drawn = Group("7.1", {}), seed.bytes("recovery words")
    for comment, one in (("", drawn), (" of zero bytes", bytes(32)), (" of bytes 255", b"\xff" * 32)):
        steps = one_step(ACTIONS, group.inputs, "recovery_words", seed=one.hex())
        group.add(f"the words of a seed{comment}", ["Operation"], SUCCESS, steps)
    words = recovery_words(drawn)
    for comment, text in {
        "words with single spaces": " ".join(words),
        "words in rows": "\n".join(words),
        "words with tabs, spaces and line breaks around them": " \r\n" + "  \t".join(words) + "\n",
        "words in capitals": " ".join(words).upper(),
    }.items():
        steps = one_step(ACTIONS, group.inputs, "read_recovery_words", text=text)
        group.add(comment, ["Operation"], SUCCESS, steps)
    other = next(word for word in word_list() if word not in words)
    wrong = {
        "no words": ("V-RW-01", ()),
        "33 words": ("V-RW-01", words[:-1]),
        "35 words": ("V-RW-01", (*words, words[0])),
        "a word that is not in the list": ("V-RW-01", ("parlour", *words[1:])),
        "the beginning of a word": ("V-RW-01", (words[0][:-1], *words[1:])),
        "a word that is another one": ("V-RW-02", (other, *words[1:])),
        "two words in each other's place": ("V-RW-02", (words[1], words[0], *words[2:])),
        "another first word of the check": ("V-RW-02", (*words[:32], other, words[33])),
        "another second word of the check": ("V-RW-02", (*words[:33], other)),
    }
    for comment, (rule, read) in wrong.items():
        step = {"do": "read_recovery_words", "text": " ".join(read)}
        group.add(comment, ["BadOperation"], "malformed", [step], rule=rule)
    return group


def _not_too_many() -> Group:
    names = [f"bytes {n}" for n in range(LOG_HELD_MAX)]
    group = Group("7.2", {"operations": {name: n.to_bytes(2).hex() for n, name in enumerate(names)}})
    step = {"do": "reduce", "operations": names}
    comment = f"{LOG_HELD_MAX:,} different ones are not too many, but these are no operations"
    group.add(comment, ["BadOperation"], "malformed", [step], rule="V-OG-02")
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    makers = (
        *MEANINGS,
        _recovery_keys,
        _recovery_words,
        invalid_group,
        _exchange,
        _named,
        _foreign,
        _bounds,
        _room,
    )
    groups = [*single_groups(seed), *(make(seed) for make in makers)]
    last = [edge_group(seed), _not_too_many(), unknown_author_group(seed)]
    return build_file(seed, NOTES, [*groups, *last])
