"""Histories that are no log: whatever V-LG-02 to V-LG-08 and V-LG-12 refuse (SPEC §7.2).

Rules: each wrong operation is the only wrong one, and truly signed but where its signatures are the fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from protocol.codec import encode
from protocol.identity.author import (
    add_operation,
    recover_operation,
    remove_operation,
    rename_operation,
    sign_recovery,
)
from protocol.identity.log import Operation, Recover, Rename, sign_operation
from protocol.identity.reduction import PersonState
from protocol.primitives import ed25519_from_seed, ed25519_sign
from tests.vectors.files import Group, Seed
from tests.vectors.persons_log import (
    LATER,
    History,
    Person,
    Terminal,
    signatures_of,
    signed_bytes,
    with_signatures,
)

_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""The order of Ed25519's group (RFC 8032 §5.1)."""


def invalid_group(seed: Seed) -> Group:
    """One history with everything that is wrong beside it."""
    anna, bob = Person(seed, "invalid", "Anna"), Person(seed, "invalid other", "Bob")
    history, base = History(anna, "7.2"), ["genesis", "rename"]
    second, third = anna.terminal("second"), anna.terminal("third")
    anna.add("add second", anna.first, second)
    three = [*base, "add second"]
    _mix(anna, bob, history, three)
    _sign_wrongly(anna, history, three)
    _write_wrongly(anna, second, third, history, three)
    _remove_wrongly(anna, second, third, history, three)
    _sign_later_ones_wrongly(anna, second, history, three)
    return history.done()


def _sign_later_ones_wrongly(anna: Person, second: Terminal, history: History, three: list[str]) -> None:
    """Operations of a later version, whose signature, author and place are those of every operation."""
    anna.later("later", anna.first, three)
    (signature,) = signatures_of(anna.log["later"])
    place = anna.id, anna.first.id, anna.state(three).sequences[anna.first.id], list(anna.state(three).heads)
    nobody = anna.terminal("nobody")
    for rule, expect, comment, signed in (
        ("V-LG-03", "authentication", "two signatures", with_signatures(anna.log["later"], *[signature] * 2)),
        (
            "V-LG-03",
            "authentication",
            "one bit of a signature",
            with_signatures(anna.log["later"], bytes([signature[0] ^ 1]) + signature[1:]),
        ),
        (
            "V-LG-03",
            "authentication",
            "another terminal's signature",
            signed_bytes(encode([LATER, *place[:2], place[2] + 1, place[3]]), second.seed),
        ),
        (
            "V-LG-04",
            "untrusted",
            "an author that is nobody",
            signed_bytes(encode([LATER, anna.id, nobody.id, 1, place[3]]), nobody.seed),
        ),
        (
            "V-LG-05",
            "malformed",
            "the author's last sequence again",
            signed_bytes(encode([LATER, *place]), anna.first.seed),
        ),
        (
            "V-LG-05",
            "malformed",
            "a sequence too high",
            signed_bytes(encode([LATER, *place[:2], place[2] + 2, place[3]]), anna.first.seed),
        ),
        (
            "V-LG-02",
            "malformed",
            "another person",
            signed_bytes(encode([LATER, bytes(32), place[1], place[2] + 1, place[3]]), anna.first.seed),
        ),
    ):
        name = f"of a later version: {comment}"
        anna.log[name] = signed
        history.refuses(rule, expect, name, [*three, name])


def _mix(anna: Person, bob: Person, history: History, three: list[str]) -> None:
    anna.log |= {f"Bob's {name}": signed for name, signed in bob.log.items()}
    both = [*three, "Bob's genesis", "Bob's rename"]
    history.refuses("V-LG-02", "malformed", "two persons", both)
    history.refuses("V-LG-02", "malformed", "a rename of another person", [*three, "Bob's rename"])
    history.refuses("V-LG-02", "malformed", "no genesis", three[1:])
    history.refuses("V-LG-02", "malformed", "nothing", [])


def _sign_wrongly(anna: Person, history: History, three: list[str]) -> None:
    def spoiled(comment: str, name: str, *signatures: bytes) -> None:
        anna.log[comment] = with_signatures(anna.log[name], *signatures)
        names = [each for each in three if each != name or name == "genesis"]
        names = [comment if each == name else each for each in names]
        history.refuses(
            "V-LG-03", "authentication", comment, names if name == "genesis" else [*names, comment]
        )

    first, recovery = signatures_of(anna.log["genesis"])
    (rename,) = signatures_of(anna.log["rename"])
    author, newcomer = signatures_of(anna.log["add second"])
    spoiled("a genesis without the recovery key's signature", "genesis", first)
    spoiled("a genesis with its signatures in the other order", "genesis", recovery, first)
    spoiled("an add without the newcomer's signature", "add second", author)
    spoiled("an add that the author signed twice", "add second", author, author)
    spoiled("an add with its signatures in the other order", "add second", newcomer, author)
    # S plus the order of the group: the same point, in a second encoding.
    large = (int.from_bytes(rename[32:], "little") + _ORDER).to_bytes(32, "little")
    for comment, signature in {
        "one bit of a signature": bytes([rename[0] ^ 1]) + rename[1:],
        "a signature whose S is not below the order": rename[:32] + large,
        "a signature of another operation": author,
        "a signature over the id without its prefix": ed25519_sign(anna.first.seed, anna.id_of("rename")),
    }.items():
        anna.log[comment] = with_signatures(anna.log["rename"], signature)
        history.refuses("V-LG-03", "authentication", comment, ["genesis", comment])
    anna.log["a rename with two signatures"] = with_signatures(anna.log["rename"], rename, rename)
    two = ["genesis", "a rename with two signatures"]
    history.refuses("V-LG-03", "authentication", "a rename with two signatures", two)


Case = tuple[str, str, str, Operation, tuple[bytes, ...]]
"""Rule, class, comment, the operation, its signers' seeds."""


def _write_wrongly(
    anna: Person, second: Terminal, third: Terminal, history: History, three: list[str]
) -> None:
    state = anna.state(three)
    recover = recover_operation(state, anna.recovery, [])
    for rule, expect, comment, operation, seeds in (
        *_by_nobody(anna, second, third, state),
        *_out_of_sequence(anna, state),
        *_with_used_keys(anna, second, third, state),
    ):
        anna.log[comment] = sign_operation(operation, *seeds)
        history.refuses(rule, expect, comment, [*three, comment])
    first, present, following = anna.first.seed, anna.key(0), anna.key(1)
    for comment, signers in {
        "a recovery by a terminal": (first, following),
        "a recovery by the next key": (following, following),
        "a recovery without the next key's signature": (present,),
        "a recovery with its signatures in the other order": (following, present),
        "a recovery with a signature too many": (present, following, first),
    }.items():
        anna.log[comment] = sign_operation(recover, *signers)
        history.refuses("V-LG-03", "authentication", comment, [*three, comment])
    joining = recover_operation(state, anna.recovery, [], third.signing, third.static)
    comment = "a recovery without the new terminal's signature"
    anna.log[comment] = sign_operation(joining, present, following)
    history.refuses("V-LG-03", "authentication", comment, [*three, comment])
    _recover_wrongly(anna, history, three, recover)


def _recover_wrongly(anna: Person, history: History, three: list[str], recover: Recover) -> None:
    rule = "V-LG-12", "malformed"
    anna.recover("a recovery", upon=three)
    anna.recover("its rival", upon=["genesis", "rename"])
    one, rival = anna.id_of("a recovery"), anna.id_of("its rival")
    both = [*three, "a recovery", "its rival"]
    anna.rename("after both", anna.first, "Anne", three)
    for comment, changes, names in (
        ("a recovery that follows nothing", {"previous": bytes(32)}, three),
        ("a recovery that follows a rename", {"previous": anna.id_of("rename")}, three),
        ("a recovery that follows one beside it", {"previous": one, "sequence": 2}, [*three, "a recovery"]),
        ("a first recovery of sequence 2", {"sequence": 2}, three),
        ("a recovery that knows a later one", {"parents": [one]}, [*three, "a recovery"]),
        ("a recovery that knows a rival of the one it follows",
         {"parents": sorted([one, rival]), "previous": one, "sequence": 2}, both),
    ):  # fmt: skip
        changed = replace(recover, **changes)
        key = ed25519_from_seed(anna.key(changed.sequence))
        anna.log[comment] = sign_recovery(replace(changed, recovery=key), anna.recovery)
        history.refuses(*rule, comment, [*names, comment])


def _by_nobody(anna: Person, second: Terminal, third: Terminal, state: PersonState) -> Iterator[Case]:
    rule = "V-LG-04", "untrusted"
    stranger = Rename(anna.id, third.id, 1, list(state.heads), "Anne")
    early = Rename(anna.id, second.id, 1, [anna.id_of("rename")], "Anne")
    yield *rule, "an author who is nobody here", stranger, (third.seed,)
    yield *rule, "an author who came in beside it", early, (second.seed,)


def unknown_author_group(seed: Seed) -> Group:
    """An author who is nobody here has no key that could verify a signature."""
    anna = Person(seed, "unknown author", "Anna")
    history, base = History(anna, "7.2"), ["genesis", "rename"]
    third, state = anna.terminal("third"), anna.state(base)
    stranger = Rename(anna.id, third.id, 1, list(state.heads), "Anne")
    for comment, seeds in {
        "an author who is nobody here, signed by the first terminal": (anna.first.seed,),
        "an author who is nobody here, with two signatures": (third.seed, third.seed),
    }.items():
        anna.log[comment] = sign_operation(stranger, *seeds)
        history.refuses("V-LG-04", "untrusted", comment, [*base, comment])
    return history.done()


def _out_of_sequence(anna: Person, state: PersonState) -> Iterator[Case]:
    rule = "V-LG-05", "malformed"
    later = rename_operation(state, anna.first.id, "Anne")
    yield *rule, "a sequence left out", replace(later, sequence=4), (anna.first.seed,)
    yield *rule, "a sequence used before", replace(later, sequence=2), (anna.first.seed,)


def _with_used_keys(anna: Person, second: Terminal, third: Terminal, state: PersonState) -> Iterator[Case]:
    rule, first = ("V-LG-06", "malformed"), anna.first
    again = add_operation(state, first.id, second.signing, second.static, "laptop")
    half = add_operation(state, first.id, third.signing, first.static, "laptop")
    recovery = ed25519_from_seed(anna.key(0))
    as_terminal = add_operation(state, first.id, recovery, third.static, "laptop")
    yield *rule, "a terminal added again", again, (first.seed, second.seed)
    yield *rule, "a static key used before", half, (first.seed, third.seed)
    yield *rule, "the recovery key as a terminal's", as_terminal, (first.seed, anna.key(0))
    same = replace(recover_operation(state, anna.recovery, []), recovery=recovery)
    yield *rule, "a recovery that names its own key", same, (anna.key(0), anna.key(0))


def _remove_wrongly(
    anna: Person, second: Terminal, third: Terminal, history: History, three: list[str]
) -> None:
    state, first = anna.state(three), anna.first
    anna.rename("second renames", second, "Anne", three)
    with_rename = [*three, "second renames"]
    concurrent = anna.id_of("second renames")
    keys = anna.key(0), anna.key(1)
    for rule, expect, comment, operation, names, signers in (
        ("V-LG-07", "untrusted", "the removal of nobody", remove_operation(state, first.id, third.id, b""),
         three, (first.seed,)),
        ("V-LG-07", "untrusted", "a recovery that removes nobody",
         recover_operation(state, anna.recovery, [(third.id, b"")]), three, keys),
        ("V-LG-08", "malformed", "a last of another terminal",
         remove_operation(state, first.id, second.id, anna.id_of("rename")), three, (first.seed,)),
        ("V-LG-08", "malformed", "the add as last of the added",
         remove_operation(state, first.id, second.id, anna.id_of("add second")), three, (first.seed,)),
        ("V-LG-08", "malformed", "a last that nobody has",
         remove_operation(state, first.id, second.id, bytes(32)), three, (first.seed,)),
        ("V-LG-08", "malformed", "a last beside the removal",
         remove_operation(state, first.id, second.id, concurrent), with_rename, (first.seed,)),
        ("V-LG-08", "malformed", "a recovery with a last beside it",
         recover_operation(state, anna.recovery, [(second.id, concurrent)]), with_rename, keys),
    ):  # fmt: skip
        anna.log[comment] = sign_operation(operation, *signers)
        history.refuses(rule, expect, comment, [*names, comment])
