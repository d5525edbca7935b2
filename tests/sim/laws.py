"""The laws: what holds after every step, asked of the databases themselves, and what holds at the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

from sqlcipher3 import dbapi2

from chat.interface import EntryAdded, EntryChanged, EntryState, EntryView, Event, Notice
from chat.network.links import Peer
from chat.service.history import _page
from chat.storage import persons
from protocol.entries_and_receipts import KIND_CUT, conversation_of_two, self_tag
from protocol.identity.log import Recover, parse_operation
from protocol.identity.reduction import NO_PINS, PersonState, Pins, reduce
from protocol.messages import ENTRY_HEADER, Close, LogOperations, Message
from tests.sim.disk import Reader
from tests.sim.prepare import NONCES
from tests.support.engines.engines import Person

if TYPE_CHECKING:
    from tests.sim.thieves import Thief

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
    """A text that a person gave to its engine at a terminal (`author`), or that `edits` another one.

    `to` is a person. `acknowledged`: the call returned, with the entry's `id`. `not_for`: the terminals (ids)
    that the author's one knew to be removed when it was given the text.
    """

    author: int
    to: int
    text: str
    edits: str = ""
    acknowledged: bool = False
    id: str = ""
    not_for: frozenset[bytes] = frozenset()


@dataclass
class Seen:
    """What one terminal has shown, held and done. It goes back with an old copy.

    `held` are ids by conversation, `told` those that its person has read, `for_all` those that it deleted for
    everyone, `on_all` on all own terminals. `pairings` are the roots by person, `removed` the removed
    terminals by person.
    """

    announced: set[str] = field(default_factory=set)
    held: dict[int, set[str]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    confirmed: dict[str, EntryState] = field(default_factory=dict)
    verified: set[int] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    for_all: set[str] = field(default_factory=set)
    on_all: set[str] = field(default_factory=set)
    pairings: dict[bytes, set[bytes]] = field(default_factory=dict)
    removed: dict[bytes, set[bytes]] = field(default_factory=dict)
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
            set(self.on_all),
            {person: set(roots) for person, roots in self.pairings.items()},
            {person: set(terminals) for person, terminals in self.removed.items()},
            dict(self.ends),
        )


@dataclass
class Side:
    """One terminal for the laws. `ever` are the ids that it ever held, `read` those that its person read
    there.

    `owner` is the number of its person, `person` that one's id, empty before its profile is made. `terminal`
    is the id of the keys that it has now. `stolen`: it is a copy that a thief runs. `thief`: that thief is an
    adversary (thieves.py), so that no law is asked of what it shows.
    """

    number: int
    name: str
    owner: int
    seen: Seen = field(default_factory=Seen)
    ever: set[str] = field(default_factory=set)
    at_start: set[str] = field(default_factory=set)
    started: float = 0.0
    paired_again: set[int] = field(default_factory=set)
    """With whom, so that what was compared before may count no more. Also who has recovered."""
    undone: set[int] = field(default_factory=set)
    """Whom its person, who has several terminals, has verified no more: the order of both decides."""
    estranged: set[int] = field(default_factory=set)
    """With whom it has paired since the copy that came back was made: they have to pair again."""
    went_back: bool = False
    """Whether an old copy took its place."""
    gone: bool = False
    """Whether it is cut off for good."""
    read: set[str] = field(default_factory=set)
    person: bytes = b""
    terminal: bytes = b""
    stolen: bool = False
    thief: bool = False
    engine: Person | None = None
    """Only while its engine runs."""
    database: Callable[[], Any] = lambda: None
    """The open connection to its database, or None."""

    @property
    def runs(self) -> bool:
        return self.engine is not None and not self.engine.engine._use_cases.store._closed


class Laws:
    """Watches all terminals of a run."""

    def __init__(self, persons: int) -> None:
        self.broken: Broken | None = None
        self.persons = [b""] * persons
        self.sides: list[Side] = []
        self.sent: dict[str, Sent] = {}
        self.recovered: set[int] = set()
        """Persons who used their recovery words."""
        self.unsigned: set[str] = set()
        """Entries in the name of a device that did not write them, by their ids."""
        self._notes: set[str] = set()
        """Those of them that are notes."""
        self.thief: Thief | None = None
        self._reductions: dict[frozenset[bytes], PersonState] = {}

    def _break(self, law: str, how: str) -> None:
        self.broken = self.broken or Broken(law, how)

    # What happens.

    def watch(self, person: Person, number: int) -> None:
        person.watch(partial(self._event, number))

    def is_recovered(self, person: int) -> None:
        """A person, or a thief of its words, has recovered: what was compared before may count no more."""
        self.recovered.add(person)
        for side in self.sides:
            side.paired_again.add(person)

    def made_up(self, entry: bytes, *, notes: bool) -> None:
        """A thief or a contact has an entry, by id, in the name of a device that did not write it."""
        self.unsigned.add(entry.hex())
        if notes:
            self._notes.add(entry.hex())

    def copy_is_back(self, number: int, seen: Seen) -> None:
        side = self.sides[number]
        side.went_back = True
        since = {
            person for person, roots in side.seen.pairings.items() if roots - seen.pairings.get(person, set())
        }
        side.estranged |= {number for number, person in enumerate(self.persons) if person in since}
        side.seen = seen.copy()

    def _event(self, number: int, event: Event) -> None:
        side = self.sides[number]
        if side.thief:
            return
        if isinstance(event, EntryAdded):
            if event.entry.id in side.seen.announced:
                self._break("once", f"{side.name} shows an entry a second time")
            side.seen.announced.add(event.entry.id)
            if event.entry.id not in self.ids(side):
                self._break("committed", f"{side.name} shows what it has not committed")
        if isinstance(event, EntryChanged) and event.state in CONFIRMED:
            other = self.persons.index(bytes.fromhex(event.contact))
            self._confirmed(side, other, event.id, event.state)
        found = isinstance(event, Notice) and "runs twice" in str(event.text)
        if found and not any(one.stolen for one in self.sides):
            self._break("twice", f"{side.name} finds two programs where there is one")

    def of(self, person: int) -> list[Side]:
        """All terminals of a person, the stolen one too."""
        return [side for side in self.sides if side.owner == person]

    def _confirmed(self, side: Side, other: int, entry: str, state: EntryState) -> None:
        theirs = self.of(other)
        if not any(entry in one.ever or entry in self.ids(one) for one in theirs):
            self._break("delivered", f"{side.name} shows {state} of what {theirs[0].name} never held")
        if state is EntryState.READ and not any(entry in one.read for one in theirs):
            self._break("read", f"{side.name} shows read of what {theirs[0].name} did not read")

    # What is there.

    def ids(self, side: Side) -> set[str]:
        """Entries that are committed, now or when it was last asked; the pairings are noted with them."""
        if (database := side.database()) is not None:
            with suppress(dbapi2.Error):  # it is just being made
                side.ever |= {entry.hex() for (entry,) in database.execute("SELECT id FROM entries")}
                for person, root in database.execute("SELECT contact, root FROM pairings"):
                    side.seen.pairings.setdefault(person, set()).add(root)
        return side.ever

    def views(self, side: Side, other: int) -> list[EntryView]:
        """What a terminal shows of the conversation with a person."""
        assert side.engine is not None
        parts, person = side.engine.engine._use_cases, self.persons[other]
        if person not in parts.book.rows:
            return []
        conversation = conversation_of_two(side.person, person)
        database: Any = Reader(side.database())
        rows, known = _page(database, conversation, 10_000, None, False)
        return [parts.views.entry(person, row, known.get(row.id, ())) for row in rows]

    def others(self, side: Side) -> list[int]:
        """The other persons who have a profile."""
        return [number for number, person in enumerate(self.persons) if person and number != side.owner]

    # The laws.

    def check(self) -> None:
        """All that holds at any time."""
        if NONCES.twice:
            self._break("nonce", f"{NONCES.twice} pairs of key and nonce came twice")
        shown: dict[frozenset[int], list[tuple[Side, list[str]]]] = {}
        for side in self.sides:
            if not side.runs:
                continue
            held = self.ids(side)
            if side.thief:
                continue
            if held & self._notes:
                self._break("own", f"{side.name} holds a note that its author did not sign")
            for other in self.others(side):
                views = self.views(side, other)
                self._check_conversation(side, other, views)
                # An entry whose ancestor is still missing may stand elsewhere until that comes, and a claim
                # moves nothing: its author's own order is another one.
                if all(view.kind != "missing" and not view.claimed for view in views):
                    ids = [view.id for view in views]
                    shown.setdefault(frozenset((side.owner, other)), []).append((side, ids))
            self._check_verified(side)
            self._check_expired(side)
            self._check_removed(side)
        if self.thief is not None:
            self.thief.check()
        for talk in shown.values():
            for (one, ids), (two, theirs) in combinations(talk, 2):
                if set(ids) == set(theirs) and ids != theirs:
                    self._break("order", f"{one.name} and {two.name} show two orders")
        if self.broken is not None:
            raise self.broken

    def _check_conversation(self, side: Side, other: int, views: list[EntryView]) -> None:
        ids = [view.id for view in views]
        if len(ids) != len(set(ids)):
            self._break("once", f"{side.name} shows an entry twice")
        if lost := side.seen.held.get(other, set()) - set(ids):
            self._break("kept", f"{side.name} has lost {len(lost)} entries that it held")
        side.seen.held[other] = set(ids)
        texts = [view.text for view in views if view.kind == "text"]
        if len(texts) != len(set(texts)):
            self._break("once", f"{side.name} shows a text twice")
        for view in views:
            self._check_entry(side, other, view)
        for sent in self.sent.values():
            between = (sent.author, sent.to) == (side.number, other)
            if between and sent.id in side.seen.announced and sent.id not in ids:
                self._break("kept", f"{side.name} has lost an entry that it wrote")

    def _is_signed(self, side: Side, view: EntryView) -> bool:
        """Whether the own device that is shown as its author wrote an entry.

        The signatures that come with entries (SPEC §11.1) are to be asked for here.
        """
        assert side.engine is not None
        author = self._author(side, bytes.fromhex(view.id))
        return author in side.engine.engine._use_cases.keyring.own_terminals and view.id not in self.unsigned

    def _check_entry(self, side: Side, other: int, view: EntryView) -> None:
        if view.own and not view.claimed and not self._is_signed(side, view):
            self._break("own", f"{side.name} shows as own what no own device wrote")
        if view.id in self.unsigned:
            return  # the contact's claim
        if view.kind == "text":
            self._ends(side, view)
            sent = self.sent.get(view.text)
            # Claims are of this person where the contact or another terminal is right, as all here are.
            talk = (side.owner, other) if view.own or view.claimed else (other, side.owner)
            if sent is None or (self.sides[sent.author].owner, sent.to) != talk:
                self._break("sent", f"{side.name} shows what nobody sent")
            # A thief hands on what it likes.
            elif side.terminal in sent.not_for and not (
                side.number == sent.author or self.sides[sent.author].thief
            ):
                self._break("stolen", f"{side.name} shows what was written after its removal")
        if view.id in side.seen.deleted and (view.kind == "text" or view.text):
            self._break("deleted", f"{side.name} shows again what it deleted")
        # What a thief deleted comes back where its cut leaves the delete out.
        if view.deleted_by and self.thief is None:
            side.seen.deleted.add(view.id)
        if not view.own:
            return
        if view.state in CONFIRMED:
            self._confirmed(side, other, view.id, view.state)
            if side.seen.confirmed.get(view.id) is EntryState.READ and view.state is EntryState.DELIVERED:
                self._break("confirmed", f"{side.name} shows delivered of what was read")
            side.seen.confirmed[view.id] = view.state
        # The receipt of a device that a thief added goes with that one.
        elif view.id in side.seen.confirmed and self.thief is None:
            self._break(
                "confirmed", f"{side.name} shows {view.state} of what was {side.seen.confirmed[view.id]}"
            )

    def _check_removed(self, side: Side) -> None:
        """A removal that a terminal has held stays."""
        for person, log in self.logs(side).items():
            known = side.seen.removed.setdefault(person, set())
            if back := known & log.live.keys():
                self._break("removed", f"{side.name} takes {len(back)} removed terminals for live again")
            # What leaked words remove is live again where the person's own recovery takes their place.
            if self.thief is None or self.thief.made.isdisjoint(log.path):
                known.update(log.removed)

    @staticmethod
    def logs(side: Side) -> dict[bytes, PersonState]:
        """The logs that a terminal holds, by person: its own, and those of contacts."""
        assert side.engine is not None
        keyring = side.engine.engine._use_cases.keyring
        contacts = {person: contact.state for person, contact in keyring.contacts.items()}
        return {side.person: keyring.own_log, **contacts}

    def sealed(self, host: str, peer: Peer, message: Message) -> None:
        """A terminal encrypts a message on a link with one that it knows not to be live.

        A removed terminal gets the operations that say so, and nothing else.
        """
        side = next((one for one in self.sides if one.engine is not None and one.engine.host == host), None)
        if side is None or side.thief or isinstance(message, Close | LogOperations):
            return
        log = self.logs(side).get(peer.person)
        if log is not None and any(one.static == peer.static for one in log.gone.values()):
            self._break("sealed", f"{side.name} seals {type(message).__name__} to a removed terminal")

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
        if side.engine.engine._use_cases.keyring.is_removed:
            return  # it vouches for nobody any more
        shown = {view.person for view in side.engine.engine._use_cases.views.contacts() if view.verified}
        for number in side.seen.verified - side.paired_again - side.undone:
            if self.persons[number].hex() not in shown:
                self._break("verified", f"{side.name} does not show what it verified")

    # The end.

    def truths(self) -> dict[int, PersonState]:
        """What the operations of each person come to that live terminals hold.

        What only a removed terminal holds comes to nobody any more, which decides again which ones are live.
        """
        there = [side for side in self.sides if side.runs and not side.stolen]
        held = {side.number: self.operations(side) for side in there}
        states: dict[int, PersonState] = {}
        for _ in self.sides:
            for number in self._known():
                if (state := self._reduced(number, there, held)) is not None:
                    states[number] = state
            before, there = (
                there,
                [side for side in there if side.terminal in states[side.owner].live],
            )
            if before == there:
                break
        return states

    def _known(self) -> list[int]:
        return [number for number, person in enumerate(self.persons) if person]

    def operations(self, side: Side) -> dict[int, list[bytes]]:
        database: Any = Reader(side.database())
        return {number: persons.operations_of(database, self.persons[number]) for number in self._known()}

    def _reduced(
        self, person: int, sides: list[Side], held: dict[int, dict[int, list[bytes]]]
    ) -> PersonState | None:
        found = [one for side in sides for one in held[side.number][person]]
        return self.reduced(found) if found else None

    def reduced(self, operations: list[bytes]) -> PersonState:
        """What a log comes to for one who has pinned nothing that a thief signed."""
        key = frozenset(operations)
        if key not in self._reductions:
            self._reductions[key] = reduce(sorted(key), self._confirmed_by_all(key))
        return self._reductions[key]

    def _confirmed_by_all(self, operations: frozenset[bytes]) -> Pins:
        """Where a thief has recovered, too, the recoveries of the person are those that all confirm."""
        if self.thief is None:
            return NO_PINS
        parsed = map(parse_operation, operations)
        own = {one.id for one in parsed if isinstance(one.operation, Recover)} - self.thief.made
        return Pins(confirmed=frozenset(own))

    def live(self, person: int) -> list[Side]:
        """The terminals of a person that are live, and not cut off for good."""
        return self._live_of(person, self.truths())

    def _live_of(self, person: int, truths: dict[int, PersonState]) -> list[Side]:
        live = truths[person].live if person in truths else ()
        there = [one for one in self.of(person) if not (one.gone or one.stolen) and one.terminal in live]
        # Who removed itself and ended before it told anybody knows it alone, and sends nothing any more.
        return [
            one for one in there if one.engine is None or not one.engine.engine._use_cases.keyring.is_removed
        ]

    def deaf(self, person: int) -> list[Side]:
        """The live terminals of contacts that know no live terminal of a person, which has recovered.

        A contact links with no terminal that it does not know (SPEC §7.8), and no other one tells of it.
        """
        truths = self.truths()
        there = {side.terminal for side in self._live_of(person, truths)}
        if person not in self.recovered & truths.keys():
            return []
        newest, theirs = truths[person].newest, self.persons[person]
        return [
            side
            for other in truths
            if other != person
            for side in self._live_of(other, truths)
            if side.runs and (log := self.logs(side).get(theirs)) is not None
            if log.newest != newest and there.isdisjoint(log.live)
        ]

    def cut_off(self, person: int) -> list[Side]:
        """The live terminals of contacts that hold no common secret with a person of whom there was a copy.

        A pairing that was made after the copy is held by one of both alone, and the contact has erased those
        before it (SPEC §7.6).
        """
        there = [side for side in self.live(person) if side.runs]
        if not there or not any(side.stolen or side.went_back for side in self.of(person)):
            return []
        theirs = {pair for side in there for pair in self._secrets(side)}
        sides = [side for other in self._others(person) for side in self.live(other)]
        return [side for side in sides if side.runs and theirs.isdisjoint(self._secrets(side))]

    def _others(self, person: int) -> list[int]:
        return [number for number in self._known() if number != person]

    @staticmethod
    def _secrets(side: Side) -> set[frozenset[bytes]]:
        """The two shares of each contact secret that a terminal holds."""
        assert side.engine is not None
        keyring = side.engine.engine._use_cases.keyring
        pairs = [pair for person in keyring.contacts for pair in keyring.pairs(person)]
        return {frozenset((own.share, one.share)) for p in pairs for own in p.own for one in p.theirs}

    def missing(self, *, quarantined: bool = True) -> str:
        """What has not arrived yet, empty when all has. `quarantined`: what a cut leaves out, too."""
        there = [side for side in self.sides if not (side.gone or side.stolen) and side.person]
        for side in there:
            if not side.runs:
                return f"{side.name} is down"
        truths = self.truths()
        live = {number: self._live_of(number, truths) for number in truths}
        apart = {
            frozenset((person, side.owner)) for person in sorted(self.recovered) for side in self.deaf(person)
        }
        self._check_logs(truths, live)
        for one, two in combinations(live, 2):
            if frozenset((one, two)) in apart:
                continue
            for pair in ((one, two), (two, one)):
                if missing := self._missing_between(*pair, live, quarantined=quarantined):
                    return missing
        logs = (self._missing_of_log(number, truth, live, apart) for number, truth in truths.items())
        shared = map(self._differently_marked, live.values())
        return next((missing for missing in (*logs, *shared) if missing), "")

    @staticmethod
    def _differently_marked(sides: list[Side]) -> str:
        """Which conversation one live terminal of a person lists or announces otherwise than another one."""
        marked = dict[bytes, tuple[Side, tuple[bool, bool]]]()
        for side in sides:
            assert side.engine is not None
            parts = side.engine.engine._use_cases
            marks = {person: (row.pinned, row.muted) for person, row in parts.book.rows.items()}
            marks[side.person] = (parts.notes_pin.on, False)
            for person, these in marks.items():
                one, those = marked.setdefault(person, (side, these))
                if these != those:
                    return f"{side.name} and {one.name} pin or mute otherwise"
        return ""

    def _missing_of_log(
        self, person: int, truth: PersonState, live: dict[int, list[Side]], apart: set[frozenset[int]]
    ) -> str:
        """What a live terminal of anybody lacks of a person's log."""
        for side in [side for sides in live.values() for side in sides]:
            log = self.logs(side).get(self.persons[person])
            if log is None or not live[person] or frozenset((person, side.owner)) in apart:
                continue
            if log.heads != truth.heads:
                return f"{side.name} holds other operations of {self.of(person)[0].name}"
        return ""

    def _check_logs(self, truths: dict[int, PersonState], live: dict[int, list[Side]]) -> None:
        """Who holds the same operations of a person takes the same terminals for live, in one order."""
        for side in [side for sides in live.values() for side in sides]:
            for number, truth in truths.items():
                log = self.logs(side).get(self.persons[number])
                if log is None or log.heads != truth.heads:
                    continue
                if (*log.live,) != (*truth.live,) or {*log.removed} != {*truth.removed}:
                    self._break("log", f"{side.name} reads the log of {self.of(number)[0].name} otherwise")

    def _missing_between(
        self, person: int, other: int, live: dict[int, list[Side]], *, quarantined: bool
    ) -> str:
        """What is missing of that which a person's terminals show of the conversation with another one."""
        pages = {side.number: self.views(side, other) for side in live[person]}
        pages |= {side.number: self.views(side, person) for side in live[other]}
        if not quarantined:
            pages = {number: [v for v in views if not v.quarantined] for number, views in pages.items()}
        for side in live[person]:
            mine = pages[side.number]
            waits = [v for v in mine if self._has_to_arrive(v) and v.state not in CONFIRMED]
            if waits and live[other]:
                return (
                    f"{len(waits)} entries of {side.name} for {self.sides[other].name} are {waits[0].state}"
                )
            for one in live[other]:
                told = one.seen.told - one.seen.deleted
                read = [v for v in mine if v.own and v.kind == "text" and v.id in told]
                if any(view.state is not EntryState.READ for view in read):
                    return f"{side.name} does not learn what {one.name} read"
            for one in (*live[person], *live[other]):
                if one is not side and (missing := self._missing_at(side, mine, one, pages[one.number])):
                    return missing
        return ""

    @staticmethod
    def _author(side: Side, entry: bytes) -> bytes:
        author: bytes = Reader(side.database()).value(
            "SELECT t.terminal FROM entries AS e JOIN terminals AS t ON t.number = e.author WHERE e.id = ?",
            entry,
        )
        return author

    def is_uncut(self, side: Side, entry: bytes) -> bool:
        """Whether no cut says which entries of its author count that is live no more, edits too.

        Then each terminal counts what it held when it learned of the removal (SPEC §11.2).
        """
        author = self._author(side, entry)
        live = any(author in log.live for log in self.logs(side).values())
        return not live and not Reader(side.database()).rows("SELECT 1 FROM cuts WHERE terminal = ?", author)

    def _is_of_lost_keys(self, side: Side, entry: bytes) -> bool:
        """Whether its author is in a log alone, or no live terminal of its person holds its self key.

        An old copy took the keys, and the self key that was drawn since then. Who lacks the key cannot tell
        the entry from an invented one (SPEC §11.2, *Claims*).
        """
        author = self._author(side, entry)
        header = ENTRY_HEADER.decode(
            Reader(side.database()).value("SELECT header FROM entries WHERE id = ?", entry)
        )
        rings = [one.engine.engine._use_cases.keyring for one in self.sides if one.engine and not one.stolen]
        live = {one.terminal for person in self._known() for one in self.live(person)}
        own = [ring for ring in rings if author in ring.own_terminals and ring.own.terminal in live]
        keys = [key for ring in own for key in ring.self_keys]
        if not any(self_tag(header, key) == header.self_tag for key in keys):
            return True
        there = {ring.own.terminal for ring in rings}
        return author not in there and any(author in log.live for log in self.logs(side).values())

    def _differ_for_good(self, side: Side, one: Side, view: EntryView) -> bool:
        """Whether two terminals may show other words of an entry for ever, since an edit may count at one.

        So it is where one passes over a cut, as of a terminal that wrote it before it became an old copy.
        """
        edits = "SELECT e.id FROM amendments AS a JOIN entries AS e ON e.number = a.entry WHERE a.target = ?"
        cuts = "SELECT id FROM entries WHERE kind = ?"
        entry = bytes.fromhex(view.id)
        for here in (side, one):
            for (cut,) in Reader(here.database()).rows(cuts, KIND_CUT):
                if self._is_of_lost_keys(here, cut):
                    return True
        return any(
            self.is_uncut(here, edit) or self._is_of_lost_keys(here, edit)
            for here in (side, one)
            for (edit,) in [(entry,), *Reader(here.database()).rows(edits, entry)]
        )

    def _missing_at(self, side: Side, mine: list[EntryView], one: Side, theirs: list[EntryView]) -> str:
        """What another terminal lacks of what a terminal shows."""
        texts_there = {view.id for view in theirs if view.kind == "text"}
        if side.seen.for_all & texts_there:
            return f"{one.name} has not deleted what {side.name} deleted for everyone"
        if side.owner == one.owner and side.seen.on_all & texts_there:
            return f"{one.name} has not deleted what {side.name} deleted on all own terminals"
        words = {view.id: view.text for view in theirs if view.kind == "text" and not view.quarantined}
        texts = [v for v in mine if v.kind == "text" and not v.quarantined]
        other = [v for v in texts if words.get(v.id, v.text) != v.text]
        if any(not self._differ_for_good(side, one, view) for view in other):
            return f"{side.name} and {one.name} show other words of one entry"
        held = {view.id for view in theirs}
        lacks = [v for v in mine if v.id not in held and (self._has_to_arrive(v) or not v.own)]
        lacks = [view for view in lacks if not view.claimed]  # which no terminal passes on but the contact's
        # A claim without its words is passed over, and words that a cut leaves out come as claims.
        lacks = [view for view in lacks if view.kind == "text" or not view.quarantined]
        lacks = [view for view in lacks if not self._is_of_lost_keys(side, bytes.fromhex(view.id))]
        if side.owner != one.owner:  # what is uncovered counts as not held towards a contact (SPEC §11.2)
            doubted = "SELECT e.id FROM uncovered AS u JOIN entries AS e ON e.number = u.entry"
            uncovered = {entry.hex() for (entry,) in Reader(side.database()).rows(doubted)}
            lacks = [view for view in lacks if view.id not in uncovered]
        if lacks:
            return f"{len(lacks)} entries that {side.name} holds are not at {one.name}"
        if side.owner == one.owner and self._unread(one) & (side.seen.told - side.seen.deleted):
            return f"{one.name} has not read what {side.name} has"
        return ""

    @staticmethod
    def _unread(side: Side) -> set[str]:
        sql = "SELECT e.id FROM unread AS u JOIN entries AS e ON e.number = u.entry"
        return {entry.hex() for (entry,) in Reader(side.database()).rows(sql)}

    def silent(self) -> str:
        """What came to a terminal since its start and was not announced to its clients."""
        for side in self.sides:
            for other in self.others(side) if side.runs and not side.thief else ():
                ids = {view.id for view in self.views(side, other)}
                if unknown := ids - side.at_start - side.seen.announced:
                    return f"{side.name} has {len(unknown)} entries that no event announced"
        return ""

    @staticmethod
    def _has_to_arrive(view: EntryView) -> bool:
        """Whether it is an own text, also one that was stored though its call failed."""
        return view.own and view.kind == "text" and not view.quarantined
