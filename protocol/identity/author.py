"""Creates a person, and the unsigned operations of its own log (SPEC §7.2).

Every operation names all heads as parents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from protocol import labels
from protocol.codec import encode
from protocol.errors import LocalMisuse, Malformed
from protocol.identity import log
from protocol.identity.drawing import commitment, self_key
from protocol.identity.names import is_name, is_terminal_name
from protocol.identity.reduction import PersonState, Reduction
from protocol.identity.safety import word_list
from protocol.primitives import (
    KEY_SIZE,
    Random,
    b2b,
    ed25519_from_seed,
    equal,
    mldsa_from_seed,
    x25519_generate,
)
from protocol.redacting import Redacted, Redacting


class NewPerson(Redacting, frozen=True):
    """A new person: ids and secrets of 32 bytes each, and its log, a signed Genesis and Rename.

    `drawn` is the secret from which the keys of the Genesis derive (SPEC §7.6).
    """

    person: bytes
    terminal: bytes
    operations: tuple[bytes, bytes]
    signing_seed: Redacted[bytes]
    static_secret: Redacted[bytes]
    recovery_seed: Redacted[bytes]
    drawn: Redacted[bytes]

    @property
    def self_key(self) -> bytes:
        """The key of the self tags on its entries (SPEC §11.1)."""
        return self_key(self.drawn)


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
    signing_seed, recovery_seed, drawn = random(KEY_SIZE), random(KEY_SIZE), random(KEY_SIZE)
    static_secret, static = x25519_generate(random)
    signing = ed25519_from_seed(signing_seed)
    genesis = log.Genesis(random(KEY_SIZE), recovery_key(recovery_seed), commitment(drawn), signing, static)
    person, terminal = log.operation_id(encode(genesis), genesis=True), log.terminal_id(signing, static)
    rename = log.Rename(person, terminal, [person], _checked(name))
    founding = log.sign_operation(genesis, signing_seed, _recovery_seeds(recovery_seed)[0])
    return NewPerson(
        person,
        terminal,
        (founding, log.sign_operation(rename, signing_seed)),
        signing_seed,
        static_secret,
        recovery_seed,
        drawn,
    )


def _checked(name: str) -> str:
    if not is_name(name):
        raise LocalMisuse("not a name: ask is_name first")
    return name


def rename_operation(state: PersonState, terminal: bytes, name: str) -> log.Rename:
    """`terminal` renames the person and signs. LocalMisuse unless is_name(name)."""
    return log.Rename(state.person, terminal, list(state.heads), _checked(name))


def add_operation(state: PersonState, terminal: bytes, signing: bytes, static: bytes, name: str) -> log.Add:
    """`terminal` adds one with these public keys (32 bytes each). Both sign, the new terminal last.

    LocalMisuse unless is_terminal_name(name).
    """
    if not is_terminal_name(name):
        raise LocalMisuse("not a terminal's name: ask is_terminal_name first")
    return log.Add(state.person, terminal, list(state.heads), signing, static, name)


def remove_operation(
    reduction: Reduction, terminal: bytes, removed: bytes, keep: Sequence[bytes]
) -> log.Remove:
    """`terminal` removes itself or a junior one, and signs. `keep` has at most KEEP_MAX ids (`kept_by`)."""
    person, heads = reduction.graph.order[0].id, reduction.heads(*keep)
    return log.Remove(person, terminal, list(heads), removed, sorted(keep))


def recover_operation(
    reduction: Reduction,
    present: bytes,
    following: bytes,
    removed: Mapping[bytes, Sequence[bytes]],
    new: log.TerminalKeys | None = None,
) -> log.Recover:
    """The `present` recovery seed names the key of the `following` one, removes terminals and may add one.

    `removed` has, by terminal, what is kept of its grants. See `sign_recovery`.
    """
    state = reduction.state()
    heads = reduction.heads(*(one for keep in removed.values() for one in keep))
    removals = [log.Removal(terminal, sorted(keep)) for terminal, keep in sorted(removed.items())]
    mldsa = mldsa_from_seed(_recovery_seeds(present)[1])
    keys = (new.signing, new.static) if new is not None else (b"", b"")
    next_key = recovery_key(following)
    return log.Recover(state.person, state.newest, mldsa, list(heads), next_key, removals, *keys)


def sign_recovery(operation: log.Recover, present: bytes, *terminal: bytes) -> bytes:
    """The operation, signed by both keys of the present recovery seed, and by the new terminal if any."""
    return log.sign_recover(operation, *_recovery_seeds(present), *terminal)


def _recovery_seeds(seed: bytes) -> tuple[bytes, bytes]:
    """The seeds of the Ed25519 and of the ML-DSA-65 key."""
    return b2b(b"", personal=labels.RECOVERY, key=seed), b2b(b"", personal=labels.RECOVERY_MLDSA, key=seed)


def recovery_key(seed: bytes) -> log.RecoveryKey:
    """The public key of a recovery seed (32 bytes), which a Genesis or a Recover names (SPEC §7.1)."""
    ed25519, mldsa = _recovery_seeds(seed)
    hashed = b2b(mldsa_from_seed(mldsa), personal=labels.RECOVERY_KEY)
    return log.RecoveryKey(ed25519_from_seed(ed25519), hashed)


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
