"""What a person writes into its own log: the beginning, and each operation after it (SPEC §7.2).

Rules: an operation stands upon all heads and takes its author's next sequence, so that an honest author never
forks; nothing here judges whether it will count; signing is person_log.sign_operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.codec import encode
from protocol.errors import LocalMisuse
from protocol.identity.log import (
    Add,
    Genesis,
    Recover,
    Removal,
    Remove,
    Rename,
    is_name,
    operation_id,
    sign_operation,
    terminal_id,
)
from protocol.identity.reduction import PersonState
from protocol.limits import PARENTS_MAX
from protocol.primitives import KEY_SIZE, Random, ed25519_from_seed, x25519_generate


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A person just made: ids, secrets (32 bytes each) for the encrypted database, and the log so far.

    `self_key` is the secret of the person that tags its entries (SPEC §11.1).
    """

    person: bytes
    terminal: bytes
    operations: tuple[bytes, bytes]
    signing_seed: bytes = field(repr=False)
    static_secret: bytes = field(repr=False)
    recovery_seed: bytes = field(repr=False)
    self_key: bytes = field(repr=False)


def create_person(name: str, random: Random) -> NewPerson:
    """A person of one terminal, its log Genesis and Rename. LocalMisuse unless is_name(name)."""
    signing_seed, recovery_seed = random(KEY_SIZE), random(KEY_SIZE)
    static_secret, static = x25519_generate(random)
    signing = ed25519_from_seed(signing_seed)
    genesis = Genesis(random(KEY_SIZE), ed25519_from_seed(recovery_seed), signing, static)
    person, terminal = operation_id(encode(genesis), genesis=True), terminal_id(signing, static)
    rename = Rename(person, terminal, 1, [person], _checked(name))
    return NewPerson(
        person,
        terminal,
        (sign_operation(genesis, signing_seed, recovery_seed), sign_operation(rename, signing_seed)),
        signing_seed,
        static_secret,
        recovery_seed,
        self_key=random(KEY_SIZE),
    )


def _checked(name: str) -> str:
    if not is_name(name):
        raise LocalMisuse("not a name: ask is_name first")
    return name


def _upon(state: PersonState) -> list[bytes]:
    return list(state.heads[:PARENTS_MAX])


def rename_operation(state: PersonState, terminal: bytes, name: str) -> Rename:
    """`terminal` gives the person a name; it signs. LocalMisuse unless is_name(name)."""
    return Rename(state.person, terminal, state.sequences[terminal] + 1, _upon(state), _checked(name))


def add_operation(state: PersonState, terminal: bytes, signing: bytes, static: bytes) -> Add:
    """`terminal` adds the one with these public keys, 32 bytes each; both sign, the newcomer last."""
    return Add(state.person, terminal, state.sequences[terminal] + 1, _upon(state), signing, static)


def remove_operation(
    state: PersonState, terminal: bytes, removed: bytes, last: bytes | None = None
) -> Remove:
    """`terminal` removes itself or a junior; it signs. Of the removed counts what it signed up to `last`
    (an operation id; empty: nothing), by default everything known.
    """
    last = state.last[removed] if last is None else last
    return Remove(state.person, terminal, state.sequences[terminal] + 1, _upon(state), removed, last)


def recover_operation(
    state: PersonState,
    recovery: bytes,
    removed: Sequence[tuple[bytes, bytes]],
    signing: bytes = b"",
    static: bytes = b"",
) -> Recover:
    """The recovery key names the next one (Ed25519 public), removes (terminal, its last that counts), and may
    bring in a terminal; the present recovery key signs, then the newcomer.
    """
    removals = [Removal(terminal, last) for terminal, last in sorted(removed)]
    return Recover(state.person, state.recoveries + 1, _upon(state), recovery, removals, signing, static)
