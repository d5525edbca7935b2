"""Creates a person, and the unsigned operations of its own log (SPEC §7.2).

Every operation names all heads as parents and takes the author's next sequence, so an honest log never forks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from protocol import labels, limits
from protocol.codec import encode
from protocol.errors import LocalMisuse, Malformed
from protocol.identity import log
from protocol.identity.names import is_name, is_terminal_name
from protocol.identity.reduction import PersonState
from protocol.identity.safety import word_list
from protocol.primitives import KEY_SIZE, Random, b2b, ed25519_from_seed, equal, x25519_generate
from protocol.redacting import Redacted, Redacting


class NewPerson(Redacting, frozen=True):
    """A new person: ids and secrets of 32 bytes each, and its log, a signed Genesis and Rename.

    `self_key` is the key of the self tags on its entries (SPEC §11.1).
    """

    person: bytes
    terminal: bytes
    operations: tuple[bytes, bytes]
    signing_seed: Redacted[bytes]
    static_secret: Redacted[bytes]
    recovery_seed: Redacted[bytes]
    self_key: Redacted[bytes]


class NewTerminal(Redacting, frozen=True):
    """The fresh keys of a terminal, 32 bytes each, and its id."""

    id: bytes
    signing: bytes
    static: bytes
    signing_seed: Redacted[bytes]
    static_secret: Redacted[bytes]


def create_terminal(random: Random) -> NewTerminal:
    """Fresh keys for a terminal, which an operation has to bring in."""
    signing_seed = random(KEY_SIZE)
    static_secret, static = x25519_generate(random)
    signing = ed25519_from_seed(signing_seed)
    return NewTerminal(log.terminal_id(signing, static), signing, static, signing_seed, static_secret)


def create_person(name: str, random: Random) -> NewPerson:
    """A new person with one terminal. LocalMisuse unless is_name(name)."""
    signing_seed, recovery_seed = random(KEY_SIZE), random(KEY_SIZE)
    static_secret, static = x25519_generate(random)
    signing = ed25519_from_seed(signing_seed)
    recovery = recovery_key(recovery_seed, 0)
    genesis = log.Genesis(random(KEY_SIZE), ed25519_from_seed(recovery), signing, static)
    person, terminal = log.operation_id(encode(genesis), genesis=True), log.terminal_id(signing, static)
    rename = log.Rename(person, terminal, 1, [person], _checked(name))
    return NewPerson(
        person,
        terminal,
        (log.sign_operation(genesis, signing_seed, recovery), log.sign_operation(rename, signing_seed)),
        signing_seed,
        static_secret,
        recovery_seed,
        self_key=random(KEY_SIZE),
    )


def _checked(name: str) -> str:
    if not is_name(name):
        raise LocalMisuse("not a name: ask is_name first")
    return name


def _parents(state: PersonState, *terminals: bytes, count: int = limits.PARENTS_MAX) -> list[bytes]:
    """So many heads, first those that cover the operations of these terminals."""
    covering = {state.tips.get(terminal, b"") for terminal in terminals} - {b""}
    others = [head for head in state.heads if head not in covering]
    return sorted([*covering, *others][:count])


def rename_operation(state: PersonState, terminal: bytes, name: str) -> log.Rename:
    """`terminal` renames the person and signs. LocalMisuse unless is_name(name)."""
    return log.Rename(
        state.person, terminal, state.sequences[terminal] + 1, _parents(state, terminal), _checked(name)
    )


def add_operation(state: PersonState, terminal: bytes, signing: bytes, static: bytes, name: str) -> log.Add:
    """`terminal` adds one with these public keys (32 bytes each). Both sign, the new terminal last.

    LocalMisuse unless is_terminal_name(name).
    """
    if not is_terminal_name(name):
        raise LocalMisuse("not a terminal's name: ask is_terminal_name first")
    place = state.person, terminal, state.sequences[terminal] + 1, _parents(state, terminal)
    return log.Add(*place, signing, static, name)


def remove_operation(
    state: PersonState, terminal: bytes, removed: bytes, last: bytes | None = None
) -> log.Remove:
    """`terminal` removes itself or a junior one, and signs.

    Operations of the removed terminal up to the id `last` keep counting: none if empty, all known by default.
    """
    last = state.last[removed] if last is None else last
    return log.Remove(
        state.person,
        terminal,
        state.sequences[terminal] + 1,
        _parents(state, terminal, removed),
        removed,
        last,
    )


_SIGNATURES_BYTES: Final = 203
"""Bytes of a signed operation next to the operation, with three signatures."""


def recovery_key(seed: bytes, number: int) -> bytes:
    """The Ed25519 seed, 32 bytes, of a person's recovery key with this number, from the recovery seed (32).

    The genesis names key 0, and recovery n names key n. So a backup restored twice names the same keys.
    """
    return b2b(number.to_bytes(4), personal=labels.RECOVERY, key=seed)


RECOVERY_WORDS: Final = KEY_SIZE + 2
"""Words of a recovery seed: one per byte of the seed and of its check."""


def recovery_words(seed: bytes) -> tuple[str, ...]:
    """The 34 words of a recovery seed (32 bytes), which `read_recovery_words` reads (SPEC §7.1)."""
    listed = word_list()
    return tuple(listed[byte] for byte in seed + _check(seed))


def unknown_word(words: Sequence[str]) -> int | None:
    """The place, from 0, of the first word that is not in the list of SPEC §7.9; None if all are."""
    listed = set(word_list())
    return next((place for place, word in enumerate(words) if word.lower() not in listed), None)


def read_recovery_words(words: Sequence[str]) -> bytes:
    """The seed (32 bytes) of its words, in either case. Malformed for others than 34, or a wrong check."""
    listed = {word: byte for byte, word in enumerate(word_list())}
    if len(words) != RECOVERY_WORDS or unknown_word(words) is not None:
        raise Malformed("not the words of a recovery seed")
    read = bytes(listed[word.lower()] for word in words)
    seed, check = read[:KEY_SIZE], read[KEY_SIZE:]
    if not equal(check, _check(seed)):
        raise Malformed("the check of the recovery words")
    return seed


def _check(seed: bytes) -> bytes:
    return b2b(seed, personal=labels.RECOVERY_WORDS, size=RECOVERY_WORDS - KEY_SIZE)


def recover_operation(
    state: PersonState,
    recovery_seed: bytes,
    removed: Sequence[tuple[bytes, bytes]],
    signing: bytes = b"",
    static: bytes = b"",
) -> log.Recover:
    """The present recovery key names the next one, removes terminals and may add one. See `sign_recovery`.

    `removed` has pairs of a terminal and its last operation that counts. It names as many heads as fit.
    """
    removals = [log.Removal(terminal, last) for terminal, last in sorted(removed)]
    number = state.recoveries + 1
    named = [terminal for terminal, last in removed if last]
    recovery = ed25519_from_seed(recovery_key(recovery_seed, number))
    operation = log.Recover(
        state.person, state.newest, number, _parents(state, *named), recovery, removals, signing, static
    )
    # Copied keys can make any number of heads. They must not make a recovery too long to be sent.
    for count in range(limits.PARENTS_MAX - 1, 0, -1):
        if len(encode(operation)) <= limits.OPERATION_BYTES_MAX - _SIGNATURES_BYTES:
            break
        operation = replace(operation, parents=_parents(state, *named, count=count))
    return operation


def sign_recovery(operation: log.Recover, recovery_seed: bytes, *terminal: bytes) -> bytes:
    """The operation, signed by the present and the next recovery key, and by the new terminal if any."""
    keys = (recovery_key(recovery_seed, number) for number in (operation.sequence - 1, operation.sequence))
    return log.sign_operation(operation, *keys, *terminal)
