"""Person logs: operations, their ids and signatures, and the graph of verified operations (SPEC §7.1, §7.2).

The validity of an operation depends only on its ancestors. `reduction.py` decides which operations count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Final, get_args

from msgspec import Meta, Struct

from protocol import labels, limits, primitives
from protocol.codec import Beginning, Codec, Wire, check_ascending, encode
from protocol.errors import AuthenticationFailed, LimitExceeded, LocalMisuse, Malformed, Untrusted
from protocol.identity.names import check_name
from protocol.messages import B32, B48, Name, Optional32, TerminalName

MlDsaKey = Annotated[bytes, Meta(min_length=1952, max_length=1952)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=3309)]
Parents = Annotated[list[B32], Meta(min_length=1, max_length=limits.PARENTS_MAX)]
Keep = Annotated[list[B32], Meta(max_length=limits.KEEP_MAX)]
"""Operations of a removed terminal, ascending: what they have in `upto` still counts."""


class RecoveryKey(Wire, frozen=True):
    """A hybrid key: an Ed25519 public key, and the hash of an ML-DSA-65 one (SPEC §7.1)."""

    ed25519: B32
    mldsa: B32


class Removal(Wire, frozen=True):
    """A removed terminal, and what is kept of its grants (nothing: none of them counts)."""

    terminal: B32
    keep: Keep


class Genesis(Wire, frozen=True, tag=0):
    """The first operation: recovery key, first terminal (Ed25519, X25519) and what it draws.

    `drawn` commits to the secret of which the keys of this operation derive (SPEC §7.6).
    """

    random: B32
    recovery: RecoveryKey
    drawn: B32
    signing: B32
    static: B32


class Add(Wire, frozen=True, tag=1):
    """A terminal adds another one, which also signs. `name` tells the person's terminals apart."""

    person: B32
    author: B32
    parents: Parents
    signing: B32
    static: B32
    name: TerminalName


class Remove(Wire, frozen=True, tag=2):
    """A terminal removes itself or a junior."""

    person: B32
    author: B32
    parents: Parents
    terminal: B32
    keep: Keep


class Rename(Wire, frozen=True, tag=3):
    """The person's new name."""

    person: B32
    author: B32
    parents: Parents
    name: Name


class Recover(Wire, frozen=True, tag=4):
    """The recovery key names the next one, removes terminals and may add one (both keys or none).

    `previous` is the genesis or the Recover that named the key, `mldsa` the public key of which that has the
    hash.
    """

    person: B32
    previous: B32
    mldsa: MlDsaKey
    parents: Parents
    recovery: RecoveryKey
    removed: Annotated[list[Removal], Meta(max_length=limits.RECOVER_REMOVED_MAX)]
    signing: Optional32
    static: Optional32


class Renew(Wire, frozen=True, tag=5):
    """A terminal draws new keys, and hands their secret to each live terminal of its past.

    `drawn` commits to the secret, `once` is an X25519 public key of this operation alone, and `sealed` has
    the secret under a key per terminal, in the order of their ids (SPEC §7.6).
    """

    person: B32
    author: B32
    parents: Parents
    drawn: B32
    once: B32
    sealed: Annotated[list[B48], Meta(max_length=limits.SEALED_MAX)]


Operation = Genesis | Add | Remove | Rename | Recover | Renew


class Unknown(Struct, frozen=True):
    """An operation that a later version defines. It changes nothing here. What follows `parents` is opaque.

    One signature, of its author, covers all of it.
    """

    number: int
    person: bytes
    author: bytes
    parents: Sequence[bytes]


class _Signed(Wire, frozen=True):
    operation: Annotated[bytes, Meta(max_length=limits.RECOVER_BYTES_MAX)]
    signatures: Annotated[list[Signature], Meta(min_length=1, max_length=3)]


_OPERATION: Final[Codec[Operation]] = Codec(Operation, limits.RECOVER_BYTES_MAX)
_SIGNED: Final[Codec[_Signed]] = Codec(_Signed, limits.RECOVER_BYTES_MAX)
_SIZES: Final[Mapping[type, int]] = {
    Renew: limits.RENEW_BYTES_MAX,
    Recover: limits.RECOVER_BYTES_MAX,
}


class TerminalKeys(Struct, frozen=True):
    """The two public keys of a terminal, 32 bytes each."""

    signing: bytes
    static: bytes

    @property
    def id(self) -> bytes:
        return terminal_id(self.signing, self.static)


class LoggedOperation(Struct, frozen=True):
    """One operation. `signed` are the bytes as received, `id` identifies the operation in them."""

    id: bytes
    person: bytes
    operation: Operation | Unknown
    signatures: tuple[bytes, ...]
    signed: bytes

    @property
    def parents(self) -> Sequence[bytes]:
        """Ids of the operations it follows; none for a genesis."""
        return () if isinstance(self.operation, Genesis) else self.operation.parents

    @property
    def author(self) -> bytes:
        """The terminal that signed; empty for a genesis and for the recovery key."""
        return b"" if isinstance(self.operation, Genesis | Recover) else self.operation.author

    @property
    def introduces(self) -> TerminalKeys | None:
        """The keys of the terminal that it adds, if any."""
        operation = self.operation
        if isinstance(operation, Remove | Rename | Renew | Unknown) or not operation.signing:
            return None
        return TerminalKeys(operation.signing, operation.static)

    @property
    def recovery(self) -> RecoveryKey | None:
        """The new recovery key, if any."""
        return self.operation.recovery if isinstance(self.operation, Genesis | Recover) else None

    @property
    def removals(self) -> Sequence[Removal]:
        if isinstance(self.operation, Remove):
            return (Removal(self.operation.terminal, self.operation.keep),)
        return self.operation.removed if isinstance(self.operation, Recover) else ()

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The public keys of the terminal that it introduces. A person introduces a key only once."""
        introduced = self.introduces
        return (introduced.signing, introduced.static) if introduced else ()


def terminal_id(signing: bytes, static: bytes) -> bytes:
    """The id, 32 bytes, of the terminal with these public keys, 32 bytes each (SPEC §7.1)."""
    return primitives.b2b(signing + static, personal=labels.TERMINAL)


def operation_id(operation: bytes, *, genesis: bool) -> bytes:
    """The id, 32 bytes, of an encoded operation. The id of a genesis is the person id (SPEC §7.1)."""
    return primitives.b2b(operation, personal=labels.PERSON if genesis else labels.OPERATION)


# --- Signing ---


def sign_operation(operation: Operation, *seeds: bytes) -> bytes:
    """Sign an operation with Ed25519 seeds (32 bytes) in the order of SPEC §7.2. LocalMisuse if too long."""
    return _signed(operation, [_signature(operation, seed) for seed in seeds])


def sign_recover(operation: Recover, ed25519: bytes, mldsa: bytes, *terminal: bytes) -> bytes:
    """A Recover, signed with both seeds of the recovery key, and that of the new terminal, 32 bytes each."""
    message = labels.SIGN_OPERATION + operation_id(encode(operation), genesis=False)
    seeds = [_signature(operation, seed) for seed in (ed25519, *terminal)]
    return _signed(operation, [seeds[0], primitives.mldsa_sign(mldsa, message), *seeds[1:]])


def sign_add(operation: Add, seed: bytes, consent: bytes) -> bytes:
    """An Add, signed with its author's seed (32 bytes), and the new terminal's signature (64) after that."""
    return _signed(operation, [_signature(operation, seed), consent])


def _signature(operation: Operation, seed: bytes) -> bytes:
    identity = operation_id(encode(operation), genesis=isinstance(operation, Genesis))
    return primitives.ed25519_sign(seed, labels.SIGN_OPERATION + identity)


def _signed(operation: Operation, signatures: list[bytes]) -> bytes:
    signed = encode(_Signed(encode(operation), signatures))
    if len(signed) > _SIZES.get(type(operation), limits.OPERATION_BYTES_MAX):
        raise LocalMisuse(f"an operation of {len(signed)} bytes")
    return signed


def verify_signatures(logged: LoggedOperation, *signers: bytes) -> None:
    """AuthenticationFailed unless there is one valid signature per signer.

    A signer is an Ed25519 public key (32 bytes), or one of ML-DSA-65 (1,952).
    """
    if len(signers) != len(logged.signatures):
        raise AuthenticationFailed("a signature too many or too few")
    for signer, signature in zip(signers, logged.signatures, strict=True):
        long = len(signer) == primitives.MLDSA_PUBLIC_SIZE
        verify = primitives.mldsa_verify if long else primitives.ed25519_verify
        verify(signer, labels.SIGN_OPERATION + logged.id, signature)


# --- Parsing ---


def parse_operation(signed: bytes) -> LoggedOperation:
    """Parse one signed operation and make every check that needs no other operation.

    Signatures are verified in `load`, since that needs the keys of other operations. Errors: LimitExceeded
    (too long), Malformed (not canonical, an invalid key, parents out of order).
    """
    outer = _SIGNED.decode(signed)
    operation = read_operation(outer.operation)
    if len(signed) > _SIZES.get(type(operation), limits.OPERATION_BYTES_MAX):
        raise LimitExceeded(f"an operation of {len(signed)} bytes")
    genesis = isinstance(operation, Genesis)
    identity = operation_id(outer.operation, genesis=genesis)
    person = identity if isinstance(operation, Genesis) else operation.person
    logged = LoggedOperation(identity, person, operation, tuple(outer.signatures), signed)
    _check_form(logged)
    _check_keys(logged)
    return logged


def read_operation(encoded: bytes) -> Operation | Unknown:
    """An operation without its signatures.

    Malformed for the contents of a known number, and where a later one lacks the first fields of all.
    """
    beginning = Beginning(encoded)
    elements, number = beginning.array(), beginning.integer()
    if elements == 0 or number in _KNOWN:
        return _OPERATION.decode(encoded)
    if elements < _COMMON_FIELDS or number > limits.NUMBER_MAX:
        raise Malformed("no operation of a later version")
    person, author, parents = beginning.id(), beginning.id(), beginning.array()
    if not 1 <= parents <= limits.PARENTS_MAX:
        raise Malformed("no parents, or too many")
    return Unknown(number, person, author, [beginning.id() for _ in range(parents)])


_KNOWN: Final = frozenset(kind.__struct_config__.tag for kind in get_args(Operation))
_COMMON_FIELDS: Final = 4  # number, person, author and parents, as in an Add


def _check_form(logged: LoggedOperation) -> None:
    operation = logged.operation
    if isinstance(operation, Genesis):
        return
    check_ascending(operation.parents)
    check_ascending([removal.terminal for removal in logged.removals])
    for removal in logged.removals:
        check_ascending(removal.keep)
    if isinstance(operation, Rename | Add):
        check_name(operation.name)


def _check_keys(logged: LoggedOperation) -> None:
    operation = logged.operation
    if isinstance(operation, Recover) and len(operation.signing) != len(operation.static):
        raise Malformed("half a terminal")
    introduced = logged.introduces
    if introduced is not None:
        primitives.check_ed25519_public(introduced.signing)
        try:
            primitives.x25519(bytes(32), introduced.static)
        except AuthenticationFailed:
            # No link could ever open with such a key, so it must not enter a log.
            raise Malformed("X25519 public key of small order") from None
    if logged.recovery is not None:
        primitives.check_ed25519_public(logged.recovery.ed25519)
    if len(set(logged.keys)) != len(logged.keys):
        raise Malformed("one key in two roles")


def bits(mask: int) -> Iterator[int]:
    """Positions of the set bits, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Graph:
    """The operations whose ancestors are all known, ordered by depth and then id.

    Sets of operations are integers with one bit per operation, in this order. `past[i]` are the ancestors of
    operation i, `pending` those that lack an ancestor. `introducing` has, by terminal, the operations that
    bring it in, and `introducing_key`, by public key, those that bring that in. `removals` has, by terminal,
    the operations that remove it, each with the ids that it keeps.
    """

    def __init__(self, operations: Mapping[bytes, LoggedOperation]) -> None:
        self.order: list[LoggedOperation] = []
        self.depth: list[int] = []
        self.past: list[int] = []
        self.position: dict[bytes, int] = {}
        self._place(operations)
        self.pending = frozenset(operations) - frozenset(self.position)
        self.all = (1 << len(self.order)) - 1
        self.recoveries = 0
        self.by_author: dict[bytes, int] = {}
        self.removals: dict[bytes, list[tuple[int, Sequence[bytes]]]] = {}
        self.introducing: dict[bytes, int] = {}
        self.introducing_key: dict[bytes, int] = {}
        for index, logged in enumerate(self.order):
            for key in logged.keys:
                self.introducing_key[key] = self.introducing_key.get(key, 0) | 1 << index
            if (keys := logged.introduces) is not None:
                self.introducing[keys.id] = self.introducing.get(keys.id, 0) | 1 << index
            if isinstance(logged.operation, Recover):
                self.recoveries |= 1 << index
            elif logged.author:
                self.by_author[logged.author] = self.by_author.get(logged.author, 0) | 1 << index
            for removal in logged.removals:
                self.removals.setdefault(removal.terminal, []).append((index, removal.keep))

    def _place(self, operations: Mapping[bytes, LoggedOperation]) -> None:
        """Add operations level by level. An operation is one level deeper than its deepest parent."""
        children: dict[bytes, list[bytes]] = {}
        waiting = {identity: len(logged.parents) for identity, logged in operations.items()}
        for identity, logged in operations.items():
            for parent in logged.parents:
                children.setdefault(parent, []).append(identity)
        level = [identity for identity, count in waiting.items() if count == 0]
        depth = 0
        while level:
            following: list[bytes] = []
            for identity in sorted(level):
                logged = operations[identity]
                past = 0
                for parent in logged.parents:
                    past |= self.upto(parent)
                self.position[identity] = len(self.order)
                self.order.append(logged)
                self.depth.append(depth)
                self.past.append(past)
                for child in children.get(identity, ()):
                    waiting[child] -= 1
                    if waiting[child] == 0:
                        following.append(child)
            level, depth = following, depth + 1

    def upto(self, identity: bytes) -> int:
        """An operation and its ancestors; 0 for an empty or unknown id."""
        index = self.position.get(identity)
        return 0 if index is None else self.past[index] | 1 << index

    def introduced(self, terminal: bytes, mask: int) -> TerminalKeys | None:
        """The keys of a terminal that an operation of a set introduces; None if none does."""
        found = bits(self.introducing.get(terminal, 0) & mask)
        return next((self.order[index].introduces for index in found), None)

    def closure(self, mask: int) -> int:
        """A set and the ancestors of its operations."""
        for index in bits(mask):
            mask |= self.past[index]
        return mask

    def tips(self, mask: int) -> int:
        """The operations of a set that are not ancestors of others in it."""
        for index in bits(mask):
            mask &= ~self.past[index]
        return mask

    def ids(self, mask: int) -> tuple[bytes, ...]:
        """The ids of a set, ascending."""
        return tuple(sorted(self.order[index].id for index in bits(mask)))


def load(operations: Iterable[bytes]) -> Graph:
    """The graph of one person's signed operations, after verification of each.

    Errors: LimitExceeded (over LOG_HELD_MAX), Malformed, AuthenticationFailed, Untrusted (a foreign author).
    """
    distinct = set(operations)
    if len(distinct) > limits.LOG_HELD_MAX:
        raise LimitExceeded(f"{len(distinct)} operations where {limits.LOG_HELD_MAX} are allowed")
    # An operation may occur with several valid signatures, so all are verified and any one is kept.
    parsed = [parse_operation(signed) for signed in sorted(distinct)]
    people = {logged.person for logged in parsed}
    if len(people) != 1 or not people <= {logged.id for logged in parsed}:
        raise Malformed("not the log of one person with its genesis")
    graph = Graph({logged.id: logged for logged in parsed})
    for logged in parsed:
        if logged.id in graph.position:
            _verify(graph, logged)
    return graph


# --- Validity ---


def _verify(graph: Graph, logged: LoggedOperation) -> None:
    """Raise unless `logged` is valid after its ancestors."""
    past = graph.past[graph.position[logged.id]]
    introduced = logged.introduces
    newcomer = (introduced.signing,) if introduced else ()
    if isinstance(logged.operation, Genesis):
        verify_signatures(logged, *newcomer, logged.operation.recovery.ed25519)
    elif isinstance(logged.operation, Recover):
        before = graph.position.get(logged.operation.previous)
        recovery = graph.order[before].recovery if before is not None and past >> before & 1 else None
        if recovery is None:
            raise Malformed("a recovery that follows no recovery and no genesis of its past")
        mldsa = logged.operation.mldsa
        if primitives.b2b(mldsa, personal=labels.RECOVERY_KEY) != recovery.mldsa:
            raise AuthenticationFailed("another key than the one before names")
        verify_signatures(logged, recovery.ed25519, mldsa, *newcomer)
    else:
        author = graph.introduced(logged.author, past)
        if author is None:
            raise Untrusted("the author is no terminal of this person")
        verify_signatures(logged, author.signing, *newcomer)
    if any(graph.introducing_key[key] & past for key in logged.keys):
        raise Malformed("a key that this person has used before")
    for removal in logged.removals:
        if graph.introduced(removal.terminal, past) is None:
            raise Untrusted("the removal of a terminal that its author cannot know")
        kept = sum(1 << graph.position[one] for one in removal.keep if one in graph.position)
        known = past & graph.by_author.get(removal.terminal, 0)
        if kept.bit_count() != len(removal.keep) or kept & ~known:
            raise Malformed("a removal that keeps what is no operation of its terminal")
