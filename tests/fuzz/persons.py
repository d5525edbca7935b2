"""Targets of person logs: one operation, and any choice and order of true and of changed ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from protocol.errors import ProtocolError
from protocol.identity.exchange import changes, extend, missing
from protocol.identity.log import parse_operation
from protocol.identity.reduction import PersonState, reduce
from tests.fuzz.target import LENGTH, Target, published
from tests.support.protocol.pairings import SECOND, THIEF, THIRD, Person

LITERAL: Final = 0xFF
"""In a script, the byte before an operation that is written out; any other names one that is true."""


@lru_cache(maxsize=1)
def _true() -> tuple[bytes, ...]:
    """Operations of one person in a causal order, with all that may come about; the last are another's."""
    log = Person()
    named = log.now
    log.add(log.first, SECOND)
    log.rename(log.first, "Anna of the second terminal")
    both = log.now
    log.add(SECOND, THIRD)
    added = log.now
    log.rename(SECOND, "backdated", upon=both.state())
    log.renew(THIRD)
    seen = log.now
    log.rename(log.first, "a copy", upon=seen.state())
    log.remove(log.first, SECOND, upon=seen)
    log.remove(SECOND, log.first, upon=both)
    log.add(SECOND, THIEF, upon=both.state())
    log.remove(THIRD, THIRD, upon=added)
    log.recover({log.first: []}, THIEF, upon=named)
    log.later(SECOND, "of a later version", upon=added.state())
    return *log.operations, *Person("Bob").operations


def _chosen(data: bytes) -> Iterator[bytes]:
    """The operations that a script names or holds."""
    while data:
        if data[0] != LITERAL:
            yield _true()[data[0] % len(_true())]
            data = data[1:]
            continue
        size = 1 + LENGTH + int.from_bytes(data[1 : 1 + LENGTH], "big")
        yield data[1 + LENGTH : size]
        data = data[size:]


def _log(data: bytes) -> PersonState:
    """What the operations of a script come to, taken as from outside."""
    operations = list(_chosen(data))
    state = reduce(operations)
    assert state == reduce([*reversed(operations), *operations])
    taken = extend((), operations)
    assert taken.state.person == state.person
    again = extend(taken.new, operations)
    assert again.new == ()
    assert again.state.live == taken.state.live
    assert set(missing(taken.new, ())) == set(taken.new)
    assert not changes(again.state, taken.state)
    return taken.state


def _scripts() -> dict[str, bytes]:
    genesis, rename, *_ = _true()
    written = [bytes((LITERAL,)) + len(each).to_bytes(LENGTH, "big") + each for each in (genesis, rename)]
    return {
        "everything": bytes(range(len(_true()) - 2)),
        "added": bytes((0, 1, 2)),
        "removed-by-the-senior": bytes(range(8)),
        "recovered": bytes((11, 1, 0)),
        "written-out": b"".join(written) + b"\x02",
    }


def _later() -> dict[str, bytes]:
    """Operations of later versions, from the vectors."""
    return published("persons", "LaterOperation", "parse", "signed")()


TARGETS: Final[Mapping[str, Target]] = {
    "operation": Target(
        parse_operation,
        (ProtocolError,),
        lambda: published("persons", "Operation", "parse", "signed")() | _later(),
        lambda logged: bytes(logged.signed),
    ),
    "person-log": Target(_log, (ProtocolError,), _scripts, slow=True),
}
