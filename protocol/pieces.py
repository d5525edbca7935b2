"""What the two ends of a link owe each other of files: asks, pieces, and their ends (SPEC §12.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise

from msgspec import Struct

from protocol.errors import LimitExceeded, Malformed, Unexpected
from protocol.limits import ASKS_MAX
from protocol.messages import AskPieces, Piece, PieceRange, PiecesEnd


class Turn(Struct, frozen=True):
    """Pieces of the file of an entry that are due now: so many from the `first` on."""

    entry: bytes
    first: int
    count: int


def check_ask(message: AskPieces) -> None:
    """Malformed unless the ranges are ascending and none overlaps the one before (V-AK-01)."""
    if any(one.first + one.count > other.first for one, other in pairwise(message.ranges)):
        raise Malformed("ranges of pieces are not ascending")


class Supply:
    """What the other end of a link asks of this one: files take turns, the asks of each in their order.

    The other end alone fills it: at most ASKS_MAX asks, of which no piece is kept.
    """

    def __init__(self) -> None:
        self._asks = dict[bytes, deque[deque[PieceRange]]]()

    def __len__(self) -> int:
        """How many asks have no answer yet."""
        return sum(map(len, self._asks.values()))

    def take(self, message: AskPieces, count: int) -> None:
        """The other end asks of a file of `count` pieces, 0 where it may have none: of others nothing is due.

        Errors: Malformed, LimitExceeded (too many without an answer).
        """
        check_ask(message)
        if len(self) >= ASKS_MAX:
            raise LimitExceeded("more asks for pieces than may wait")
        there = deque(
            PieceRange(one.first, min(one.count, count - one.first))
            for one in message.ranges
            if one.first < count
        )
        self._asks.setdefault(message.entry, deque()).append(there)

    def drop(self, entry: bytes) -> None:
        """Nothing of the file of an entry is due any more; its asks are answered as if nothing were held."""
        for ask in self._asks.get(entry, ()):
            ask.clear()

    def next(self, most: int) -> Turn | PiecesEnd | None:
        """What is due now: at most so many pieces, or the end of an ask; None where nothing is."""
        if not self._asks:
            return None
        entry = next(iter(self._asks))
        asks = self._asks.pop(entry)
        ask = asks[0]
        due: Turn | PiecesEnd
        if ask:
            one = ask.popleft()
            taken = min(most, one.count)
            if taken < one.count:
                ask.appendleft(PieceRange(one.first + taken, one.count - taken))
            due = Turn(entry, one.first, taken)
        else:
            asks.popleft()
            due = PiecesEnd(entry)
        if asks:
            self._asks[entry] = asks  # behind the other files
        return due


class Demand:
    """What this end of a link has asked of the other one.

    `entries`: of which it has asked since the link is open. A piece that comes too late changes nothing.
    """

    def __init__(self) -> None:
        self.entries = set[bytes]()
        self._asks = dict[bytes, deque[set[int]]]()

    @property
    def open(self) -> int:
        """How many asks have no answer yet."""
        return sum(map(len, self._asks.values()))

    def waits(self, entry: bytes) -> int:
        """How many asks of the file of an entry have no answer yet."""
        return len(self._asks.get(entry, ()))

    def awaited(self, entry: bytes) -> set[int]:
        """Numbers of the pieces of an entry that may still come."""
        return set[int]().union(*self._asks.get(entry, ()))

    def ask(self, entry: bytes, ranges: Iterable[PieceRange]) -> AskPieces:
        """The message that asks for these ranges, which are ascending."""
        message = AskPieces(entry, list(ranges))
        wanted = {number for one in message.ranges for number in range(one.first, one.first + one.count)}
        self.entries.add(entry)
        self._asks.setdefault(entry, deque()).append(wanted)
        return message

    def takes(self, piece: Piece) -> bool:
        """Whether a piece is wanted. Unexpected where its file was never asked for on this link (V-PE-01)."""
        if piece.entry not in self.entries:
            raise Unexpected("a piece of a file that was not asked for")
        for wanted in self._asks.get(piece.entry, ()):
            if piece.number in wanted:
                wanted.discard(piece.number)
                return True
        return False

    def ended(self, message: PiecesEnd) -> set[int]:
        """The numbers of the oldest ask of an entry that did not come. Unexpected without one (V-EP-01)."""
        asks = self._asks.get(message.entry)
        if not asks:
            raise Unexpected("the end of what was not asked for")
        left = asks.popleft()
        if not asks:
            del self._asks[message.entry]
        return left
