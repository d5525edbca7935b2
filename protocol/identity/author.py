"""Creates a person, and the unsigned operations of its own log (SPEC §7.2).

Every operation names all heads as parents and takes the author's next sequence, so an honest log never forks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.codec import encode
from protocol.errors import LocalMisuse
from protocol.identity import log
from protocol.identity.names import is_name
from protocol.identity.reduction import PersonState
from protocol.limits import PARENTS_MAX
from protocol.primitives import KEY_SIZE, Random, ed25519_from_seed, x25519_generate


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A new person: ids and secrets of 32 bytes each, and its log, a signed Genesis and Rename.

    `self_key` is the key of the self tags on its entries (SPEC §11.1).
    """

    person: bytes
    terminal: bytes
    operations: tuple[bytes, bytes]
    signing_seed: bytes = field(repr=False)
    static_secret: bytes = field(repr=False)
    recovery_seed: bytes = field(repr=False)
    self_key: bytes = field(repr=False)


def create_person(name: str, random: Random) -> NewPerson:
    """A new person with one terminal. LocalMisuse unless is_name(name)."""
    signing_seed, recovery_seed = random(KEY_SIZE), random(KEY_SIZE)
    static_secret, static = x25519_generate(random)
    signing = ed25519_from_seed(signing_seed)
    genesis = log.Genesis(random(KEY_SIZE), ed25519_from_seed(recovery_seed), signing, static)
    person, terminal = log.operation_id(encode(genesis), genesis=True), log.terminal_id(signing, static)
    rename = log.Rename(person, terminal, 1, [person], _checked(name))
    return NewPerson(
        person,
        terminal,
        (log.sign_operation(genesis, signing_seed, recovery_seed), log.sign_operation(rename, signing_seed)),
        signing_seed,
        static_secret,
        recovery_seed,
        self_key=random(KEY_SIZE),
    )


def _checked(name: str) -> str:
    if not is_name(name):
        raise LocalMisuse("not a name: ask is_name first")
    return name


def _parents(state: PersonState) -> list[bytes]:
    return list(state.heads[:PARENTS_MAX])


def rename_operation(state: PersonState, terminal: bytes, name: str) -> log.Rename:
    """`terminal` renames the person and signs. LocalMisuse unless is_name(name)."""
    return log.Rename(state.person, terminal, state.sequences[terminal] + 1, _parents(state), _checked(name))


def add_operation(state: PersonState, terminal: bytes, signing: bytes, static: bytes) -> log.Add:
    """`terminal` adds one with these public keys (32 bytes each). Both sign, the new terminal last."""
    return log.Add(state.person, terminal, state.sequences[terminal] + 1, _parents(state), signing, static)


def remove_operation(
    state: PersonState, terminal: bytes, removed: bytes, last: bytes | None = None
) -> log.Remove:
    """`terminal` removes itself or a junior one, and signs.

    Operations of the removed terminal up to the id `last` keep counting: none if empty, all known by default.
    """
    last = state.last[removed] if last is None else last
    return log.Remove(state.person, terminal, state.sequences[terminal] + 1, _parents(state), removed, last)


def recover_operation(
    state: PersonState,
    recovery: bytes,
    removed: Sequence[tuple[bytes, bytes]],
    signing: bytes = b"",
    static: bytes = b"",
) -> log.Recover:
    """The recovery key is replaced by `recovery` (Ed25519 public), removes terminals and may add one.

    `removed` has pairs of a terminal and its last operation that counts. The current recovery key signs, then
    the new terminal.
    """
    removals = [log.Removal(terminal, last) for terminal, last in sorted(removed)]
    return log.Recover(
        state.person, state.recoveries + 1, _parents(state), recovery, removals, signing, static
    )
