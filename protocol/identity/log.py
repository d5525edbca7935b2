"""Person logs: operations, their ids and signatures, and the graph of verified operations (SPEC §7.1, §7.2).

The validity of an operation depends only on its ancestors. `reduction.py` decides which operations count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Final, get_args

from msgspec import Meta, Struct

from protocol import labels, limits, primitives
from protocol.codec import Beginning, Codec, Wire, check_ascending, check_empty_or_id, encode
from protocol.errors import AuthenticationFailed, LimitExceeded, LocalMisuse, Malformed, Untrusted
from protocol.identity.names import check_name
from protocol.messages import B32, B64, U32, Ids, Name, Optional32, TerminalName


class Removal(Wire, frozen=True):
    """A removed terminal, and its last operation that counts (empty: none)."""

    terminal: B32
    last: Optional32


class Genesis(Wire, frozen=True, tag=0):
    """The first operation: recovery key (Ed25519) and first terminal (Ed25519, X25519)."""

    random: B32
    recovery: B32
    signing: B32
    static: B32


class Add(Wire, frozen=True, tag=1):
    """A terminal adds another one, which also signs. `name` tells the person's terminals apart."""

    person: B32
    author: B32
    sequence: U32
    parents: Ids
    signing: B32
    static: B32
    name: TerminalName


class Remove(Wire, frozen=True, tag=2):
    """A terminal removes itself or a junior."""

    person: B32
    author: B32
    sequence: U32
    parents: Ids
    terminal: B32
    last: Optional32


class Rename(Wire, frozen=True, tag=3):
    """The person's new name."""

    person: B32
    author: B32
    sequence: U32
    parents: Ids
    name: Name


class Recover(Wire, frozen=True, tag=4):
    """The recovery key names its successor, removes terminals and may add one (both keys or none).

    `previous` is the genesis or the Recover that named the key, `sequence` the count of recoveries.
    """

    person: B32
    previous: B32
    sequence: U32
    parents: Ids
    recovery: B32
    removed: Annotated[list[Removal], Meta(max_length=limits.RECOVER_REMOVED_MAX)]
    signing: Optional32
    static: Optional32


Operation = Genesis | Add | Remove | Rename | Recover


class Unknown(Struct, frozen=True):
    """An operation that a later version defines. It changes nothing here. What follows `parents` is opaque.

    One signature, of its author, covers all of it.
    """

    number: int
    person: bytes
    author: bytes
    sequence: int
    parents: Sequence[bytes]


class _Signed(Wire, frozen=True):
    operation: Annotated[bytes, Meta(max_length=limits.OPERATION_BYTES_MAX)]
    signatures: Annotated[list[B64], Meta(min_length=1, max_length=3)]


_OPERATION: Final[Codec[Operation]] = Codec(Operation, limits.OPERATION_BYTES_MAX)
_SIGNED: Final[Codec[_Signed]] = Codec(_Signed, limits.OPERATION_BYTES_MAX)


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
    def sequence(self) -> int:
        """The number among its author's operations, from 1; 0 for a genesis."""
        return 0 if isinstance(self.operation, Genesis) else self.operation.sequence

    @property
    def introduces(self) -> TerminalKeys | None:
        """The keys of the terminal that it adds, if any."""
        operation = self.operation
        if isinstance(operation, Remove | Rename | Unknown) or not operation.signing:
            return None
        return TerminalKeys(operation.signing, operation.static)

    @property
    def recovery(self) -> bytes | None:
        """The new recovery key (Ed25519 public), if any."""
        return self.operation.recovery if isinstance(self.operation, Genesis | Recover) else None

    @property
    def removals(self) -> Sequence[Removal]:
        if isinstance(self.operation, Remove):
            return (Removal(self.operation.terminal, self.operation.last),)
        return self.operation.removed if isinstance(self.operation, Recover) else ()

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Every public key that it introduces. A person introduces a key only once."""
        introduced = self.introduces
        terminal = (introduced.signing, introduced.static) if introduced else ()
        return terminal if self.recovery is None else (self.recovery, *terminal)


def terminal_id(signing: bytes, static: bytes) -> bytes:
    """The id, 32 bytes, of the terminal with these public keys, 32 bytes each (SPEC §7.1)."""
    return primitives.b2b(signing + static, personal=labels.TERMINAL)


def operation_id(operation: bytes, *, genesis: bool) -> bytes:
    """The id, 32 bytes, of an encoded operation. The id of a genesis is the person id (SPEC §7.1)."""
    return primitives.b2b(operation, personal=labels.PERSON if genesis else labels.OPERATION)


# --- Signing ---


def sign_operation(operation: Operation, *seeds: bytes) -> bytes:
    """Sign an operation with Ed25519 seeds (32 bytes) in the order of SPEC §7.2.

    LocalMisuse if the result is longer than OPERATION_BYTES_MAX.
    """
    return _signed(operation, [_signature(operation, seed) for seed in seeds])


def sign_add(operation: Add, seed: bytes, consent: bytes) -> bytes:
    """An Add, signed with its author's seed (32 bytes), and the new terminal's signature (64) after that."""
    return _signed(operation, [_signature(operation, seed), consent])


def _signature(operation: Operation, seed: bytes) -> bytes:
    identity = operation_id(encode(operation), genesis=isinstance(operation, Genesis))
    return primitives.ed25519_sign(seed, labels.SIGN_OPERATION + identity)


def _signed(operation: Operation, signatures: list[bytes]) -> bytes:
    signed = encode(_Signed(encode(operation), signatures))
    if len(signed) > limits.OPERATION_BYTES_MAX:
        raise LocalMisuse(f"an operation of {len(signed)} bytes")
    return signed


def verify_signatures(logged: LoggedOperation, *signers: bytes) -> None:
    """AuthenticationFailed unless there is one valid signature per signer (Ed25519 public, 32 bytes)."""
    if len(signers) != len(logged.signatures):
        raise AuthenticationFailed("a signature too many or too few")
    for signer, signature in zip(signers, logged.signatures, strict=True):
        primitives.ed25519_verify(signer, labels.SIGN_OPERATION + logged.id, signature)


# --- Parsing ---


def parse_operation(signed: bytes) -> LoggedOperation:
    """Parse one signed operation and make every check that needs no other operation.

    Signatures are verified in `load`, since that needs the keys of other operations. Errors: LimitExceeded
    (too long), Malformed (not canonical, an invalid key, parents out of order).
    """
    outer = _SIGNED.decode(signed)
    operation = read_operation(outer.operation)
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
    person, author, sequence, parents = beginning.id(), beginning.id(), beginning.integer(), beginning.array()
    if parents > limits.PARENTS_MAX:
        raise Malformed("too many parents")
    return Unknown(number, person, author, sequence, [beginning.id() for _ in range(parents)])


_KNOWN: Final = frozenset(kind.__struct_config__.tag for kind in get_args(Operation))
_COMMON_FIELDS: Final = 5  # number, person, author, sequence and parents, as in an Add


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
        primitives.check_ed25519_public(logged.recovery)
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
    operation i, `pending` those that lack an ancestor. `introducing_key` has, by public key, the operations
    that introduce it.
    """

    def __init__(self, operations: Mapping[bytes, LoggedOperation]) -> None:
        self.order: list[LoggedOperation] = []
        self.depth: list[int] = []
        self.past: list[int] = []
        self.position: dict[bytes, int] = {}
        self._place(operations)
        self.pending = frozenset(operations) - frozenset(self.position)
        self.all = (1 << len(self.order)) - 1
        self.by_author: dict[bytes, int] = {}
        self.removals: dict[bytes, list[tuple[int, bytes]]] = {}
        self.introducing_key: dict[bytes, int] = {}
        self._introducing: dict[bytes, list[tuple[int, TerminalKeys]]] = {}
        for index, logged in enumerate(self.order):
            for key in logged.keys:
                self.introducing_key[key] = self.introducing_key.get(key, 0) | 1 << index
            if (keys := logged.introduces) is not None:
                self._introducing.setdefault(keys.id, []).append((index, keys))
            if logged.sequence:
                self.by_author[logged.author] = self.by_author.get(logged.author, 0) | 1 << index
            for removal in logged.removals:
                self.removals.setdefault(removal.terminal, []).append((index, removal.last))

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
        found = (keys for index, keys in self._introducing.get(terminal, ()) if mask >> index & 1)
        return next(found, None)

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
        verify_signatures(logged, *newcomer, logged.operation.recovery)
    elif isinstance(logged.operation, Recover):
        before = _recovery_before(graph, past, logged.operation)
        # The successor signs too, or the owner of a stolen seed could be left with a key of nobody.
        verify_signatures(logged, before.recovery or b"", logged.operation.recovery, *newcomer)
    else:
        author = graph.introduced(logged.author, past)
        if author is None:
            raise Untrusted("the author is no terminal of this person")
        verify_signatures(logged, author.signing, *newcomer)
    if logged.author and logged.sequence != 1 + sequence_in(graph, past, logged.author):
        raise Malformed("not the author's next operation")
    if any(graph.introducing_key[key] & past for key in logged.keys):
        raise Malformed("a key that this person has used before")
    for removal in logged.removals:
        if graph.introduced(removal.terminal, past) is None:
            raise Untrusted("the removal of a terminal that its author cannot know")
        last = graph.position.get(removal.last)
        known_last = last is not None and past >> last & 1 and graph.order[last].author == removal.terminal
        if removal.last and not known_last:
            raise Malformed("a removal that names no operation of its terminal")


def _recovery_before(graph: Graph, past: int, recover: Recover) -> LoggedOperation:
    """The genesis or Recover that named the key of a Recover."""
    index = graph.position.get(recover.previous)
    before = graph.order[index] if index is not None and past >> index & 1 else None
    if before is None or not isinstance(before.operation, Genesis | Recover):
        raise Malformed("a recovery that follows no recovery and no genesis of its past")
    recoveries = graph.by_author.get(b"", 0)
    if recover.sequence != before.sequence + 1 or past & recoveries & ~graph.upto(before.id):
        raise Malformed("not the next recovery of those that it knows")
    return before


def sequence_in(graph: Graph, mask: int, author: bytes) -> int:
    """The highest sequence of an author in a set, or 0."""
    own, highest = mask & graph.by_author.get(author, 0), 0
    while own:
        last = own.bit_length() - 1
        highest = max(highest, graph.order[last].sequence)
        own &= ~(
            graph.past[last] | 1 << last
        )  # each has a higher one than those of its author that it follows
    return highest
