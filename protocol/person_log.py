"""The operations of a person log: shapes, ids, signatures, and the checks of one alone (SPEC §7.1, §7.2).

Rules: a function here sees one operation and never the log around it; what needs the log is in person.py.
Keys are checked before any signature is; every signature covers an id, and an id covers the received bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta

from protocol import labels, limits, primitives
from protocol.codec import Codec, Wire, check_ascending, check_empty_or_id, encode
from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed
from protocol.messages import B32, B64, U32, Ids, Name, Optional32

_FORBIDDEN_IN_NAMES: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Controls, line separators, marks that turn the direction of text, lone surrogates: a fixed list, since
Unicode's own categories change from version to version and two terminals must agree."""


class Removal(Wire, frozen=True):
    """A terminal that goes, and its last operation that counts (empty: none)."""

    terminal: B32
    last: Optional32


class Genesis(Wire, frozen=True, tag=0):
    """The beginning of a person: recovery key (Ed25519) and first terminal (Ed25519, X25519)."""

    random: B32
    recovery: B32
    signing: B32
    static: B32


class Add(Wire, frozen=True, tag=1):
    """A terminal adds another one, which signs too."""

    person: B32
    author: B32
    sequence: U32
    parents: Ids
    signing: B32
    static: B32


class Remove(Wire, frozen=True, tag=2):
    """A terminal removes itself or a junior."""

    person: B32
    author: B32
    sequence: U32
    parents: Ids
    terminal: B32
    last: Optional32


class Rename(Wire, frozen=True, tag=3):
    """The person's chosen name."""

    person: B32
    author: B32
    sequence: U32
    parents: Ids
    name: Name


class Recover(Wire, frozen=True, tag=4):
    """The recovery key names its successor, removes terminals and may bring in one (both keys or none)."""

    person: B32
    sequence: U32
    parents: Ids
    recovery: B32
    removed: Annotated[list[Removal], Meta(max_length=limits.RECOVER_REMOVED_MAX)]
    signing: Optional32
    static: Optional32


Operation = Genesis | Add | Remove | Rename | Recover


class _Signed(Wire, frozen=True):
    operation: Annotated[bytes, Meta(max_length=limits.OPERATION_BYTES_MAX)]
    signatures: Annotated[list[B64], Meta(min_length=1, max_length=2)]


_OPERATION: Final[Codec[Operation]] = Codec(Operation, limits.OPERATION_BYTES_MAX)
_SIGNED: Final[Codec[_Signed]] = Codec(_Signed, limits.OPERATION_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class TerminalKeys:
    """The two public keys of a terminal, 32 bytes each, one role each; `id` names the pair."""

    signing: bytes
    static: bytes

    @property
    def id(self) -> bytes:
        """The terminal id, 32 bytes (SPEC §7.1)."""
        return terminal_id(self.signing, self.static)


@dataclass(frozen=True, slots=True)
class LoggedOperation:
    """One operation as it is stored: `signed` is what was received, `id` names the operation in it."""

    id: bytes
    person: bytes
    operation: Operation
    signatures: tuple[bytes, ...]
    signed: bytes

    @property
    def parents(self) -> Sequence[bytes]:
        """Ids of the operations it was made upon; none for a genesis."""
        return () if isinstance(self.operation, Genesis) else self.operation.parents

    @property
    def author(self) -> bytes:
        """The authoring terminal; empty for a genesis and for the recovery key."""
        return b"" if isinstance(self.operation, Genesis | Recover) else self.operation.author

    @property
    def sequence(self) -> int:
        """The author's count from 1; 0 for a genesis."""
        return 0 if isinstance(self.operation, Genesis) else self.operation.sequence

    @property
    def introduces(self) -> TerminalKeys | None:
        """The keys of the terminal that it brings in, if any."""
        operation = self.operation
        if isinstance(operation, Remove | Rename) or not operation.signing:
            return None
        return TerminalKeys(operation.signing, operation.static)

    @property
    def recovery(self) -> bytes | None:
        """The recovery key (Ed25519 public) that it names, if any."""
        return self.operation.recovery if isinstance(self.operation, Genesis | Recover) else None

    @property
    def removals(self) -> Sequence[Removal]:
        """The terminals that it removes."""
        if isinstance(self.operation, Remove):
            return (Removal(self.operation.terminal, self.operation.last),)
        return self.operation.removed if isinstance(self.operation, Recover) else ()

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Every public key that it brings in: none of them may ever come twice."""
        introduced = self.introduces
        terminal = (introduced.signing, introduced.static) if introduced else ()
        return terminal if self.recovery is None else (self.recovery, *terminal)


def terminal_id(signing: bytes, static: bytes) -> bytes:
    """The id, 32 bytes, of the terminal with these public keys, 32 bytes each (SPEC §7.1)."""
    return primitives.b2b(signing + static, personal=labels.TERMINAL)


def is_name(name: str) -> bool:
    """Whether a person may bear this name: 1 to 64 characters, none that steers a screen, no outer space."""
    fits = 1 <= len(name) <= limits.NAME_CHARACTERS_MAX
    return fits and not _FORBIDDEN_IN_NAMES.search(name) and name == name.strip(" ")


def check_name(name: str) -> None:
    """Malformed unless is_name."""
    if not is_name(name):
        raise Malformed("not a name")


def operation_id(operation: bytes, *, genesis: bool) -> bytes:
    """The id, 32 bytes, of encoded operation bytes; a genesis' is the person's (SPEC §7.1)."""
    return primitives.b2b(operation, personal=labels.PERSON if genesis else labels.OPERATION)


# --- Signing ---


def sign_operation(operation: Operation, *seeds: bytes) -> bytes:
    """The signed operation, ready to store and send; Ed25519 seeds (32 bytes) in the order of SPEC §7.2.

    LocalMisuse if it comes out longer than OPERATION_BYTES_MAX.
    """
    encoded = encode(operation)
    identity = operation_id(encoded, genesis=isinstance(operation, Genesis))
    signatures = [primitives.ed25519_sign(seed, labels.SIGN_OPERATION + identity) for seed in seeds]
    signed = encode(_Signed(encoded, signatures))
    if len(signed) > limits.OPERATION_BYTES_MAX:
        raise LocalMisuse(f"an operation of {len(signed)} bytes")
    return signed


def verify_signatures(logged: LoggedOperation, *signers: bytes) -> None:
    """AuthenticationFailed unless each signature is its signer's (Ed25519 public, 32 bytes), one each."""
    if len(signers) != len(logged.signatures):
        raise AuthenticationFailed("a signature too many or too few")
    for signer, signature in zip(signers, logged.signatures, strict=True):
        primitives.ed25519_verify(signer, labels.SIGN_OPERATION + logged.id, signature)


# --- Parsing ---


def parse_operation(signed: bytes) -> LoggedOperation:
    """One signed operation with all checks that need no other one; signatures need its author's key, later.

    Errors: LimitExceeded (too long), Malformed (not canonical, a bad key, parents out of order).
    """
    outer = _SIGNED.decode(signed)
    operation = _OPERATION.decode(outer.operation)
    genesis = isinstance(operation, Genesis)
    identity = operation_id(outer.operation, genesis=genesis)
    person = identity if isinstance(operation, Genesis) else operation.person
    logged = LoggedOperation(identity, person, operation, tuple(outer.signatures), signed)
    _check_form(logged)
    _check_keys(logged)
    return logged


def _check_form(logged: LoggedOperation) -> None:
    operation = logged.operation
    if isinstance(operation, Genesis):
        return
    if not operation.parents or operation.sequence == 0:
        raise Malformed("an operation without parents or sequence")
    check_ascending(operation.parents)
    check_ascending([removal.terminal for removal in logged.removals])
    for removal in logged.removals:
        check_empty_or_id(removal.last)
    if isinstance(operation, Rename):
        check_name(operation.name)


def _check_keys(logged: LoggedOperation) -> None:
    operation = logged.operation
    if isinstance(operation, Recover) and len(operation.signing) != len(operation.static):
        raise Malformed("half a terminal")
    introduced = logged.introduces
    if introduced is not None:
        primitives.check_ed25519_public(introduced.signing)
        _check_static(introduced.static)
    if logged.recovery is not None:
        primitives.check_ed25519_public(logged.recovery)
    if len(set(logged.keys)) != len(logged.keys):
        raise Malformed("one key in two roles")


def _check_static(static: bytes) -> None:
    """Malformed for a key of small order too: no link with it could ever open, so it must not enter a log."""
    try:
        primitives.x25519(bytes(32), static)
    except AuthenticationFailed:
        raise Malformed("X25519 public key of small order") from None
