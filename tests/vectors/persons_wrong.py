"""Histories that are no log: whatever V-LG-02 to V-LG-08 and V-LG-12 refuse (SPEC §7.2).

Rules: each wrong operation is the only wrong one, and truly signed but where its signatures are the fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from protocol import labels
from protocol.codec import encode
from protocol.identity.author import add_operation, recover_operation, sign_recovery
from protocol.identity.log import Operation, Removal, Remove, Rename, sign_operation, sign_recover
from protocol.identity.reduction import PersonState
from protocol.primitives import b2b, ed25519_sign
from tests.vectors.files import Group, Seed
from tests.vectors.mldsa import recorded
from tests.vectors.persons_log import LATER, History, Person, Terminal
from tests.vectors.persons_signed import signatures_of, signed_bytes, with_signatures

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
    """Operations of a later version, whose signature and author are those of every operation."""
    anna.later("later", anna.first, three)
    (signature,) = signatures_of(anna.log["later"])
    heads, nobody = list(anna.state(three).heads), anna.terminal("nobody")
    bit = bytes([signature[0] ^ 1]) + signature[1:]
    other = signed_bytes(encode([LATER, anna.id, anna.first.id, heads]), second.seed)
    stranger = signed_bytes(encode([LATER, anna.id, nobody.id, heads]), nobody.seed)
    foreign = signed_bytes(encode([LATER, bytes(32), anna.first.id, heads]), anna.first.seed)
    two = with_signatures(anna.log["later"], signature, signature)
    for rule, expect, comment, signed in (
        ("V-LG-03", "authentication", "two signatures", two),
        ("V-LG-03", "authentication", "one bit of a signature", with_signatures(anna.log["later"], bit)),
        ("V-LG-03", "authentication", "another terminal's signature", other),
        ("V-LG-04", "untrusted", "an author that is nobody", stranger),
        ("V-LG-02", "malformed", "another person", foreign),
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
    for rule, expect, comment, operation, seeds in (
        *_by_nobody(anna, second, third, state),
        *_with_used_keys(anna, second, third, state),
    ):
        anna.log[comment] = sign_operation(operation, *seeds)
        history.refuses(rule, expect, comment, [*three, comment])
    _sign_recoveries_wrongly(anna, third, history, three)
    _recover_wrongly(anna, history, three)


def _sign_recoveries_wrongly(anna: Person, third: Terminal, history: History, three: list[str]) -> None:
    """Both keys that `previous` names sign a Recover, and the new terminal."""
    rule = "V-LG-03", "authentication"
    anna.recover("right", {}, third, three)
    right, upon = anna.log["right"], ["right", *three]
    ed25519, mldsa, newcomer = signatures_of(right)
    for comment, signatures in {
        "a recovery without the ML-DSA-65 signature": (ed25519, newcomer),
        "a recovery without the Ed25519 signature": (mldsa, newcomer),
        "a recovery without the new terminal's signature": (ed25519, mldsa),
        "a recovery with its signatures in the other order": (mldsa, ed25519, newcomer),
        "a recovery with two Ed25519 signatures": (ed25519, ed25519, newcomer),
        "a recovery with one bit of the ML-DSA-65 signature": (
            ed25519, bytes([mldsa[0] ^ 1]) + mldsa[1:], newcomer),
        "a recovery with one bit of the Ed25519 signature": (
            bytes([ed25519[0] ^ 1]) + ed25519[1:], mldsa, newcomer),
        "a recovery with an ML-DSA-65 signature less a byte": (ed25519, mldsa[:-1], newcomer),
    }.items():  # fmt: skip
        anna.log[comment] = with_signatures(right, *signatures)
        history.refuses(*rule, comment, [*upon[1:], comment])
    following = anna.seed.bytes("another recovery seed")
    present = anna.recoveries[anna.id]
    reduction = anna.reduction(three)
    operation = recover_operation(reduction, following, following, {})
    right_key = recover_operation(reduction, present, following, {})
    other_key = replace(right_key, mldsa=operation.mldsa)
    same_key = recover_operation(reduction, present, present, {})  # signatures are recorded by operation
    for comment, wrong, by in (
        ("a recovery by the words of another seed", operation, (following, following)),
        ("a recovery by another ML-DSA-65 key than the hash names", other_key, (present, following)),
        ("a recovery by the Ed25519 key of another seed", right_key, (following, present)),
        ("a recovery by the ML-DSA-65 key of another seed", same_key, (present, following)),
    ):
        seeds = [
            b2b(b"", personal=label, key=seed)
            for label, seed in zip((labels.RECOVERY, labels.RECOVERY_MLDSA), by, strict=True)
        ]
        anna.log[comment] = recorded(sign_recover(wrong, *seeds))
        history.refuses(*rule, comment, [*three, comment])
    anna.recover("recovers to a new seed", upon=three)
    reduction = anna.reduction([*three, "recovers to a new seed"])
    comment = "the old words after a recovery with a new seed"
    anna.log[comment] = recorded(sign_recovery(recover_operation(reduction, present, following, {}), present))
    history.refuses(*rule, comment, [*three, "recovers to a new seed", comment])


def _recover_wrongly(anna: Person, history: History, three: list[str]) -> None:
    rule, present = ("V-LG-12", "malformed"), anna.recoveries[anna.id]
    recover = recover_operation(anna.reduction(three), present, present, {})
    anna.recover("a recovery", upon=three)
    one = anna.id_of("a recovery")
    for comment, previous, names in (
        ("a recovery that follows nothing", bytes(32), three),
        ("a recovery that follows a rename", anna.id_of("rename"), three),
        ("a recovery that follows one beside it", one, [*three, "a recovery"]),
    ):
        anna.log[comment] = recorded(sign_recovery(replace(recover, previous=previous), present))
        history.refuses(*rule, comment, [*names, comment])


def _by_nobody(anna: Person, second: Terminal, third: Terminal, state: PersonState) -> Iterator[Case]:
    rule = "V-LG-04", "untrusted"
    stranger = Rename(anna.id, third.id, list(state.heads), "Anne")
    early = Rename(anna.id, second.id, [anna.id_of("rename")], "Anne")
    yield *rule, "an author who is nobody here", stranger, (third.seed,)
    yield *rule, "an author who came in beside it", early, (second.seed,)


def unknown_author_group(seed: Seed) -> Group:
    """An author who is nobody here has no key that could verify a signature."""
    anna = Person(seed, "unknown author", "Anna")
    history, base = History(anna, "7.2"), ["genesis", "rename"]
    third, state = anna.terminal("third"), anna.state(base)
    stranger = Rename(anna.id, third.id, list(state.heads), "Anne")
    for comment, seeds in {
        "an author who is nobody here, signed by the first terminal": (anna.first.seed,),
        "an author who is nobody here, with two signatures": (third.seed, third.seed),
    }.items():
        anna.log[comment] = sign_operation(stranger, *seeds)
        history.refuses("V-LG-04", "untrusted", comment, [*base, comment])
    return history.done()


def _with_used_keys(anna: Person, second: Terminal, third: Terminal, state: PersonState) -> Iterator[Case]:
    rule, first = ("V-LG-06", "malformed"), anna.first
    again = add_operation(state, first.id, second.signing, second.static, "laptop")
    half = add_operation(state, first.id, third.signing, first.static, "laptop")
    yield *rule, "a terminal added again", again, (first.seed, second.seed)
    yield *rule, "a static key used before", half, (first.seed, third.seed)


def _remove_wrongly(
    anna: Person, second: Terminal, third: Terminal, history: History, three: list[str]
) -> None:
    reduction, first = anna.reduction(three), anna.first
    anna.rename("second renames", second, "Anne", three)
    with_rename, concurrent = [*three, "second renames"], anna.id_of("second renames")
    present = anna.recoveries[anna.id]
    upon = list(reduction.heads())

    def remove(terminal: Terminal, *keep: bytes) -> bytes:
        return sign_operation(Remove(anna.id, first.id, upon, terminal.id, list(keep)), first.seed)

    def recover(terminal: Terminal, *keep: bytes) -> bytes:
        right = recover_operation(reduction, present, present, {})
        wrong = replace(right, removed=[Removal(terminal.id, list(keep))])
        return recorded(sign_recovery(wrong, present))

    gone, kept = ("V-LG-07", "untrusted"), ("V-LG-08", "malformed")
    for rule, comment, signed, names in (
        (gone, "the removal of nobody", remove(third), three),
        (gone, "a recovery that removes nobody", recover(third), three),
        (kept, "a removal keeps what is another terminal's", remove(second, anna.id_of("rename")), three),
        (kept, "a removal keeps the add of the added", remove(second, anna.id_of("add second")), three),
        (kept, "a removal keeps what nobody has", remove(second, bytes(32)), three),
        (kept, "a removal keeps what is beside it", remove(second, concurrent), with_rename),
        (kept, "a recovery keeps what is beside it", recover(second, concurrent), with_rename),
    ):
        anna.log[comment] = signed
        history.refuses(*rule, comment, [*names, comment])
