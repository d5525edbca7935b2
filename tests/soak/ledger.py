"""How often each piece of a file went and came, and which cut or kill made one go again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from chat.service.transfers import AHEAD, ASKED, OPEN_MAX, PENDING_MAX

BEFORE, FULL, ROOM = "before all", "full", "room"

CAME_AGAIN = {
    "cut": 1,
    "kill Ada": 1,
    "kill Ben": PENDING_MAX + 1,
    FULL: AHEAD * ASKED + PENDING_MAX,
}
"""Pieces that may come whole again after each: those in the memory of a program that was killed, and those
of one file that came while the disk was full."""

SENT_AGAIN = OPEN_MAX * ASKED
"""Pieces that may be given to a link again after each: those that were under way."""


@dataclass
class Incident:
    """A cut, a kill or a full disk. `sent`, `came`: pieces that were sent, or came whole, again for it.

    `of_one`: those that came, by their file.
    """

    name: str
    sent: int = 0
    came: int = 0
    of_one: Counter[str] = field(default_factory=Counter)

    @property
    def bounded(self) -> int:
        """Pieces that count: while the disk was full each file that was asked for came in vain."""
        return max(self.of_one.values(), default=0) if self.name == FULL else self.came


@dataclass
class Ledger:
    """`stored`: pieces that came again after they had been stored. `causeless`: that nothing explains."""

    incidents: list[Incident] = field(default_factory=lambda: [Incident(BEFORE)])
    sent: int = 0
    came: int = 0
    stored: int = 0
    causeless: int = 0

    def lines(self) -> list[str]:
        """What each incident cost, and the sum."""
        rows = [
            f"{number:3} {one.name:8} {one.sent:4} sent again, {one.came:3} came again"
            for number, one in enumerate(self.incidents[1:], 1)
        ]
        kinds = sorted({one.name for one in self.incidents[1:]})
        for kind in kinds:
            some = [one for one in self.incidents if one.name == kind]
            sent, came = sum(one.sent for one in some), sum(one.came for one in some)
            most = max(one.came for one in some)
            rows.append(f"{len(some)} x {kind}: {sent} sent again, {came} came again, at most {most} for one")
        rows.append(f"{self.sent} pieces sent, {self.came} came whole, {self.stored} again once stored")
        return rows

    def problems(self) -> list[str]:
        """What is more than a cut or a kill explains."""
        found = list[str]()
        if self.stored:
            found.append(f"{self.stored} pieces came again that had been stored")
        if self.causeless:
            found.append(f"{self.causeless} pieces came again for no reason")
        for number, one in enumerate(self.incidents[1:], 1):
            if one.bounded > CAME_AGAIN[one.name]:
                found.append(f"{one.came} pieces came again for number {number}, {one.name}")
            if one.sent > SENT_AGAIN:
                found.append(f"{one.sent} pieces were sent again for number {number}, {one.name}")
        return found


def ledger(notes: Iterable[str]) -> Ledger:
    """Read the notes of both programs and of the run, in their order.

    Lines: "sent PIECE", "came PIECE", "stored PIECE", the name of an incident alone, and ROOM where the disk
    is full no longer. The first incident after a piece went is the one that made it go again, but for what
    went while the disk was full: nothing of that could be stored.
    """
    found, stored = Ledger(), set[str]()
    full: int | None = None
    sent, came = dict[str, int](), dict[str, int]()
    for line in notes:
        what, _, piece = line.strip().partition(" ")
        now = len(found.incidents) - 1
        went = now if full is None else full
        match what:
            case "stored":
                stored.add(piece)
            case "sent":
                found.sent += 1
                if (before := sent.get(piece, now)) < now:
                    found.incidents[before + 1].sent += 1
                sent[piece] = went
            case "came":
                found.came += 1
                found.stored += piece in stored
                if (cause := came.get(piece, now) + 1) < len(found.incidents):
                    found.incidents[cause].came += 1
                    found.incidents[cause].of_one[piece.split()[0]] += 1
                else:
                    found.causeless += piece in came
                came[piece] = went
            case _ if what == ROOM:
                full = None
            case _:
                full = now if what == FULL else full
                found.incidents.append(Incident(line.strip()))
    return found
