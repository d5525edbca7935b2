"""The laws: what holds after every step, asked of the databases themselves, and what holds at the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlcipher3 import dbapi2

from chat.interface import EntryAdded, EntryChanged, EntryState, EntryView, Event
from chat.service.history import _page
from protocol.entries_and_receipts import conversation_of_two
from tests.sim.disk import Reader
from tests.sim.prepare import NONCES
from tests.support.engines.engines import Person

CONFIRMED = EntryState.DELIVERED, EntryState.READ
GRACE = 130.0
"""Seconds that an end may be late: after a failure of the disk it is tried again a minute later."""


class Broken(Exception):
    """A law does not hold. `law` names it."""

    def __init__(self, law: str, how: str) -> None:
        super().__init__(f"{law}: {how}")
        self.law, self.how = law, how


@dataclass
class Sent:
    """A text that a person gave to its engine, or that `edits` another one.

    `acknowledged`: the call returned, with the entry's `id`.
    """

    author: int
    to: int
    text: str
    edits: str = ""
    acknowledged: bool = False
    id: str = ""


@dataclass
class Seen:
    """What one terminal has shown, held and done. It goes back with an old copy.

    `held` are ids by conversation, `told` those that its person has read, `for_all` those that it deleted for
    everyone. `pairings` are the roots by person.
    """

    announced: set[str] = field(default_factory=set)
    held: dict[int, set[str]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    confirmed: dict[str, EntryState] = field(default_factory=dict)
    verified: set[int] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    for_all: set[str] = field(default_factory=set)
    pairings: dict[bytes, set[bytes]] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    """When entries end at the latest, in seconds of virtual time, as far as was shown."""

    def copy(self) -> Seen:
        held = {other: set(ids) for other, ids in self.held.items()}
        return Seen(
            set(self.announced),
            held,
            set(self.deleted),
            dict(self.confirmed),
            set(self.verified),
            set(self.told),
            set(self.for_all),
            {person: set(roots) for person, roots in self.pairings.items()},
            dict(self.ends),
        )


@dataclass
class Side:
    """One terminal for the laws. `ever` are the ids that it ever held, `read` those that its person read."""

    number: int
    name: str
    seen: Seen = field(default_factory=Seen)
    ever: set[str] = field(default_factory=set)
    at_start: set[str] = field(default_factory=set)
    started: float = 0.0
    paired_again: set[int] = field(default_factory=set)
    """With whom, so that what was compared before may count no more."""
    estranged: set[int] = field(default_factory=set)
    """With whom it has paired since the copy that came back was made: they have to pair again."""
    gone: bool = False
    """Whether it is cut off for good."""
    read: set[str] = field(default_factory=set)
    person: bytes = b""
    engine: Person | None = None
    """Only while its engine runs."""
    database: Callable[[], Any] = lambda: None
    """The open connection to its database, or None."""

    @property
    def runs(self) -> bool:
        return self.engine is not None and not self.engine.engine._use_cases.store._closed


class Laws:
    """Watches all terminals of a run."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.broken: Broken | None = None
        self.sides = [Side(number, name) for number, name in enumerate(names)]
        self.sent: dict[str, Sent] = {}

    def _break(self, law: str, how: str) -> None:
        self.broken = self.broken or Broken(law, how)

    # What happens.

    def watch(self, person: Person, number: int) -> None:
        person.watch(partial(self._event, number))

    def copy_is_back(self, number: int, seen: Seen) -> None:
        side = self.sides[number]
        since = {
            person for person, roots in side.seen.pairings.items() if roots - seen.pairings.get(person, set())
        }
        side.estranged |= {other.number for other in self.sides if other.person in since}
        side.seen = seen.copy()

    def _event(self, number: int, event: Event) -> None:
        side = self.sides[number]
        if isinstance(event, EntryAdded):
            if event.entry.id in side.seen.announced:
                self._break("once", f"{side.name} shows an entry a second time")
            side.seen.announced.add(event.entry.id)
            if event.entry.id not in self.ids(side):
                self._break("committed", f"{side.name} shows what it has not committed")
        if isinstance(event, EntryChanged) and event.state in CONFIRMED:
            other = next(one for one in self.sides if one.person.hex() == event.contact)
            self._confirmed(side, other, event.id, event.state)

    def _confirmed(self, side: Side, other: Side, entry: str, state: EntryState) -> None:
        if entry not in other.ever and entry not in self.ids(other):
            self._break("delivered", f"{side.name} shows {state} of what {other.name} never held")
        if state is EntryState.READ and entry not in other.read:
            self._break("read", f"{side.name} shows read of what {other.name} did not read")

    # What is there.

    def ids(self, side: Side) -> set[str]:
        """Entries that are committed, now or when it was last asked; the pairings are noted with them."""
        if (database := side.database()) is not None:
            with suppress(dbapi2.Error):  # it is just being made
                side.ever |= {entry.hex() for (entry,) in database.execute("SELECT id FROM entries")}
                for person, root in database.execute("SELECT DISTINCT contact, root FROM shares"):
                    side.seen.pairings.setdefault(person, set()).add(root)
        return side.ever

    def views(self, side: Side, other: Side) -> list[EntryView]:
        assert side.engine is not None
        parts = side.engine.engine._use_cases
        if other.person not in parts.book.rows:
            return []
        conversation = conversation_of_two(side.person, other.person)
        database: Any = Reader(side.database())
        rows, known = _page(database, conversation, 10_000, None, False)
        return [parts.views.entry(other.person, row, known.get(row.id, ())) for row in rows]

    # The laws.

    def check(self) -> None:
        """All that holds at any time."""
        if NONCES.twice:
            self._break("nonce", f"{NONCES.twice} pairs of key and nonce came twice")
        shown: dict[tuple[int, int], list[str]] = {}
        for side in self.sides:
            if not side.runs:
                continue
            self.ids(side)
            for other in self.sides:
                if other is not side and other.person:
                    views = self.views(side, other)
                    self._check_conversation(side, other, views)
                    shown[side.number, other.number] = [view.id for view in views]
            self._check_verified(side)
            self._check_expired(side)
        for (one, two), ids in shown.items():
            theirs = shown.get((two, one), [])
            # An entry whose ancestor is still missing may stand elsewhere until that comes.
            if one < two and set(ids) == set(theirs) and ids != theirs:
                self._break("order", f"{self.sides[one].name} and {self.sides[two].name} show two orders")
        if self.broken is not None:
            raise self.broken

    def _check_conversation(self, side: Side, other: Side, views: list[EntryView]) -> None:
        ids = [view.id for view in views]
        if len(ids) != len(set(ids)):
            self._break("once", f"{side.name} shows an entry twice")
        if lost := side.seen.held.get(other.number, set()) - set(ids):
            self._break("kept", f"{side.name} has lost {len(lost)} entries that it held")
        side.seen.held[other.number] = set(ids)
        texts = [view.text for view in views if view.kind == "text"]
        if len(texts) != len(set(texts)):
            self._break("once", f"{side.name} shows a text twice")
        for view in views:
            self._check_entry(side, other, view)
        for sent in self.sent.values():
            between = (sent.author, sent.to) == (side.number, other.number)
            if between and sent.id in side.seen.announced and sent.id not in ids:
                self._break("kept", f"{side.name} has lost an entry that it wrote")

    def _check_entry(self, side: Side, other: Side, view: EntryView) -> None:
        if view.kind == "text":
            self._ends(side, view)
            sent = self.sent.get(view.text)
            author, to = (side, other) if view.own else (other, side)
            if sent is None or (sent.author, sent.to) != (author.number, to.number):
                self._break("sent", f"{side.name} shows what nobody sent")
        if view.id in side.seen.deleted and (view.kind == "text" or view.text):
            self._break("deleted", f"{side.name} shows again what it deleted")
        if view.deleted_by:
            side.seen.deleted.add(view.id)
        if not view.own:
            return
        if view.state in CONFIRMED:
            self._confirmed(side, other, view.id, view.state)
            if side.seen.confirmed.get(view.id) is EntryState.READ and view.state is EntryState.DELIVERED:
                self._break("confirmed", f"{side.name} shows delivered of what was read")
            side.seen.confirmed[view.id] = view.state
        elif view.id in side.seen.confirmed:
            self._break(
                "confirmed", f"{side.name} shows {view.state} of what was {side.seen.confirmed[view.id]}"
            )

    def _check_expired(self, side: Side) -> None:
        assert side.engine is not None
        now = side.engine.clock.monotonic()
        over = {entry for entry, end in side.seen.ends.items() if max(end, side.started) + GRACE < now}
        if over and (database := side.database()) is not None:
            with suppress(dbapi2.Error):
                held = "SELECT e.id FROM bodies AS b JOIN entries AS e ON e.number = b.entry"
                if left := over & {entry.hex() for (entry,) in database.execute(held)}:
                    self._break("expired", f"{side.name} holds {len(left)} entries that have ended")

    def ending(self) -> bool:
        """Whether an entry has ended that may not be destroyed yet."""
        return any(
            end < side.engine.clock.monotonic() < max(end, side.started) + GRACE
            for side in self.sides
            if side.engine is not None
            for end in side.seen.ends.values()
        )

    def _ends(self, side: Side, view: EntryView) -> None:
        """What waits for its receipt ends with it, and is asked about from then on."""
        if view.expires is None or side.engine is None or (view.own and view.state not in CONFIRMED):
            return
        clock = side.engine.clock
        left = view.expires.timestamp() - clock.wall() / 1_000
        end = clock.monotonic() + left
        side.seen.ends[view.id] = min(end, side.seen.ends.get(view.id, end))

    def _check_verified(self, side: Side) -> None:
        assert side.engine is not None
        shown = {view.person for view in side.engine.engine._use_cases.views.contacts() if view.verified}
        for number in side.seen.verified - side.paired_again:
            if self.sides[number].person.hex() not in shown:
                self._break("verified", f"{side.name} does not show what it verified")

    # The end.

    def missing(self) -> str:
        """What has not arrived yet, empty when all has."""
        there = [side for side in self.sides if not side.gone]
        for side in there:
            if not side.runs:
                return f"{side.name} is down"
        for side in there:
            for other in there:
                if side is other:
                    continue
                mine, theirs = self.views(side, other), self.views(other, side)
                waits = [v for v in mine if self._has_to_arrive(v) and v.state not in CONFIRMED]
                if waits:
                    return f"{len(waits)} entries of {side.name} for {other.name} are {waits[0].state}"
                told = other.seen.told - other.seen.deleted
                read = [v for v in mine if v.own and v.kind == "text" and v.id in told]
                if any(view.state is not EntryState.READ for view in read):
                    return f"{side.name} does not learn what {other.name} read"
                if side.seen.for_all & {view.id for view in theirs if view.kind == "text"}:
                    return f"{other.name} has not deleted what {side.name} deleted for everyone"
                words = {view.id: view.text for view in theirs if view.kind == "text"}
                if any(words.get(v.id, v.text) != v.text for v in mine if v.kind == "text"):
                    return f"{side.name} and {other.name} show other words of one entry"
                held = {view.id for view in theirs}
                lacks = [v for v in mine if v.id not in held and (self._has_to_arrive(v) or not v.own)]
                if lacks:
                    return f"{len(lacks)} entries that {side.name} holds are not at {other.name}"
        return ""

    def silent(self) -> str:
        """What came to a terminal since its start and was not announced to its clients."""
        for side in self.sides:
            for other in self.sides:
                if side is other or not side.runs:
                    continue
                ids = {view.id for view in self.views(side, other)}
                if unknown := ids - side.at_start - side.seen.announced:
                    return f"{side.name} has {len(unknown)} entries that no event announced"
        return ""

    @staticmethod
    def _has_to_arrive(view: EntryView) -> bool:
        """Whether it is an own text, also one that was stored though its call failed."""
        return view.own and view.kind == "text"
