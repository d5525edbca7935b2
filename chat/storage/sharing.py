"""Follows what the terminals of one person have written for each other in their notes (SPEC §11.10).

Contacts, settings and relays have the value of the last write that counts, in the order of the notes. What a
contact was, and what a retired pairing had, is destroyed in the entries that said it, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chat.storage import contacts, entries, erasing, keys, persons, registers, settings
from chat.storage.aside import Aside
from chat.storage.contacts import NOTES, PAIRED, ComparisonRow, ContactRow
from chat.storage.database import Database, Row
from chat.storage.erasing import Outcome
from chat.storage.keys import PairingRow, ShareRow
from chat.storage.settings import RelayRow
from protocol.identity.exchange import Extension
from protocol.limits import LINKED_IDS_MAX, LINKED_RELAYS_MAX, STATE_SUPERSEDED_MAX
from protocol.messages import (
    ContactValue,
    PairingValue,
    PetnameValue,
    SharedComparison,
    SharedRelay,
    SharedRoot,
    SharedSetting,
    SharedShare,
    StandingValue,
    StateWrite,
    SwitchValue,
)
from protocol.notes import SWITCHES, Register, notes_of, read_value, subject, write

AWAITED_MAX: Final = 256
"""Persons of whom a log is awaited at a time. Terminals of this person fill it, a stolen one too; more would
be looked for at each state that comes, and asked for on each link."""

AT_ONCE: Final = 1_024
"""Deletions that one piece of work looks at; most of them may be of entries that are deleted already."""

VOUCHED_AT_ONCE: Final = 64
"""Entries in one transaction that say again with which contacts this terminal has paired."""

RETIRED_AT_ONCE: Final = 32
"""Pairings that one entry retires. More are retired by further entries."""


class Followed(Struct, frozen=True):
    """What of the stored rows changed. `gone`: ids of the entries whose body was destroyed.

    `persons`: those whose row or pairings are others now, or who are contacts now. `awaited`: whether others
    than before are contacts of whom no log is held. `new_settings`, `new_relays`: whether these are others.
    `deleted`: ids of entries that are shown as deleted on all terminals from now on. `more`: whether others,
    or edits of these, are to be deleted by further pieces of work.
    """

    persons: frozenset[bytes] = frozenset()
    removed: tuple[ContactRow, ...] = ()
    gone: tuple[bytes, ...] = ()
    awaited: bool = False
    new_settings: bool = False
    new_relays: bool = False
    deleted: tuple[bytes, ...] = ()
    more: bool = False


def ensure(db: Database, own: bytes) -> bytes:
    """The id of the notes of this person, whose conversation is created if needed."""
    conversation = notes_of(own)
    contacts.ensure_conversation(db, conversation, NOTES, None)
    return conversation


def renew(db: Database) -> None:
    """Others of this person are live, or this terminal has another id: what each said of contacts is due."""
    db.run(
        "INSERT OR IGNORE INTO registers_due (register, subject)"
        f" SELECT DISTINCT register, subject FROM registers WHERE register IN ({_OF_STANDING})"
    )


def is_due(db: Database) -> bool:
    """Whether `follow` has something to do."""
    return bool(db.value("SELECT EXISTS (SELECT 1 FROM registers_due)"))


_OF_STANDING: Final = f"{int(Register.CONTACT)}, {int(Register.STANDING)}, {int(Register.PAIRING)}"

_DUE: Final = "SELECT register, subject FROM registers_due WHERE register {} ORDER BY register, subject"


def follow(db: Database, first: Iterable[bytes] = ()) -> Followed:
    """Bring contacts, settings and relays in line with the registers that are due, and delete a piece.

    `first`: ids of the entries that are deleted before all others, at most as many as one state names.
    """
    deletion = int(Register.DELETED)
    due = db.rows(_DUE.format("!= ?"), deletion)
    due += [(deletion, entry) for entry in first]
    due += db.rows(f"{_DUE.format('= ?')} LIMIT ?", deletion, AT_ONCE)
    if not due:
        return Followed()
    follower = _Follower(db)
    for register, of in due:
        if register == deletion and not follower.has_room():
            break
        if follower.apply(register, of):
            db.run("DELETE FROM registers_due WHERE register = ? AND subject = ?", register, of)
    return follower.followed(more=any(register == deletion for register, _ in due))


_TURNED: Final[Mapping[int, Callable[[Database, bytes, bool], None]]] = {
    Register.BLOCKED: contacts.set_blocked,
    Register.PINNED: contacts.set_pinned,
    Register.MUTED: contacts.set_muted,
}


class _Follower:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._own = _own_terminal(db)
        self._persons, self._removed, self._gone = set[bytes](), list[ContactRow](), list[bytes]()
        self._awaited = self._new_settings = self._new_relays = False
        rows = [*contacts.all(db), *contacts.pending(db)]
        self._rows: dict[bytes, ContactRow] = {subject(row.person): row for row in rows}
        self._reorder = set[bytes]()
        self._erased, self._deleted = 0, list[bytes]()

    def has_room(self) -> bool:
        """Whether this piece of work may destroy the bodies of further entries."""
        return self._erased < erasing.PIECE

    def apply(self, register: int, of: bytes) -> bool:
        """Whether the register is in line with what is stored, and due no more."""
        match register:
            case Register.CONTACT:
                self._contact(of)
            case Register.PETNAME | Register.STANDING | Register.BLOCKED | Register.PINNED | Register.MUTED:
                if (row := self._rows.get(of)) is not None:
                    self._field(register, row)
                else:
                    self._forget(of)
            case Register.PAIRING:
                return self._pairing(of)
            case Register.RETIRED:
                return self._retired(of)
            case Register.SETTING:
                self._setting(of)
            case Register.RELAY:
                self._new_relays = True
            case Register.DELETED:
                self._delete(of)
            case _:
                pass  # of a later version, which reads the entries again
        return True

    def followed(self, *, more: bool) -> Followed:
        """Follow what concerns several registers; what changed."""
        for person in self._reorder:
            _order_pairings(self._db, person)
        new_relays = self._new_relays and _follow_relays(self._db)
        return Followed(
            frozenset(self._persons),
            tuple(self._removed),
            tuple(self._gone),
            self._awaited,
            self._new_settings,
            new_relays,
            tuple(self._deleted),
            more,
        )

    # Contacts.

    def _contact(self, of: bytes) -> None:
        db, row, said = self._db, self._rows.get(of), registers.writes(self._db, Register.CONTACT, of)
        last = said[-1].value if said else None
        value = read_value(Register.CONTACT, last) if last is not None else None
        self._awaited = True
        if isinstance(value, ContactValue):
            if row is not None:
                self._vouch(row.person, _authors_since_removal(said))
            if row is not None and (row.state, row.since) != (PAIRED, value.since):
                contacts.set_paired(db, row.person, value.since)
                self._rows[of] = replace(row, state=PAIRED, since=value.since)
                self._persons.add(row.person)
            return
        if last is None and not registers.is_undone(db, Register.CONTACT, of):
            return
        if row is not None and row.state == PAIRED:
            contacts.remove(db, row.person)
            del self._rows[of]
            self._persons.discard(row.person)
            self._removed.append(row)
        self._forget(of)

    def _vouch(self, person: bytes, terminals: Iterable[bytes]) -> None:
        """Others have paired with a contact. What this terminal did is known; a copy may write more."""
        before = contacts.get(self._db, person)
        for terminal in terminals:
            if terminal != self._own:
                contacts.vouch_here(self._db, person, terminal, compared=False)
        if contacts.get(self._db, person) != before:
            self._persons.add(person)

    def _forget(self, of: bytes) -> None:
        """Destroy what entries said of a contact that is removed: their bodies may come after the removal."""
        said = registers.writes(self._db, Register.CONTACT, of)
        if said and said[-1].value is not None and read_value(Register.CONTACT, said[-1].value) is None:
            of_it = (
                "SELECT DISTINCT r.entry FROM registers AS r WHERE r.contact = ? AND r.entry != ?"
                " AND NOT EXISTS (SELECT 1 FROM registers WHERE entry = r.entry AND register = 6)"
            )
            self._destroy(self._db.rows(of_it, of, said[-1].entry))

    def _destroy(self, numbers: Iterable[Row]) -> None:
        """Destroy the bodies of entries of which nothing is in force any more."""
        for (number,) in numbers:
            identity = self._db.value("SELECT id FROM entries WHERE number = ?", number)
            self._db.run("DELETE FROM registers WHERE entry = ?", number)
            if entries.destroy(self._db, identity):
                self._gone.append(identity)

    def _field(self, register: int, row: ContactRow) -> None:
        db, person, of = self._db, row.person, subject(row.person)
        said = registers.in_force(db, register, of)
        if register == Register.STANDING:
            said = _standing_in_force(db, of)
        if said is None and not registers.is_undone(db, register, of):
            return
        value = read_value(register, said) if said is not None else None
        if register == Register.PETNAME:
            contacts.set_petname(db, person, value.name if isinstance(value, PetnameValue) else "")
        elif register in SWITCHES:
            _TURNED[register](db, person, isinstance(value, SwitchValue) and value.on)
        elif isinstance(value, StandingValue):
            _set_standing(db, person, value)
        else:
            contacts.set_verified(db, person, False)
        if (now := contacts.get(db, person)) is not None and now != row:
            self._rows[of] = now
            self._persons.add(person)

    # Pairings.

    def _pairing(self, root: bytes) -> bool:
        db = self._db
        if registers.is_retired(db, root):
            return self._retired(root)
        said = _pairing_in_force(db, root)
        if said is None:
            return not registers.is_undone(db, Register.PAIRING, root) or self._erase(root)
        row = self._rows.get(subject(said.person))
        if row is None:
            self._forget(subject(said.person))
            return True
        if said.pairing.root not in keys.roots_of(db, row.person):
            keys.add_pairing(db, held_pairing(row.person, said.pairing))
            self._persons.add(row.person)
        self._reorder.add(row.person)
        self._vouch(row.person, {one.author for one in registers.writes(db, Register.PAIRING, root)})
        return True

    def _retired(self, root: bytes) -> bool:
        """Retire a pairing, unless it is the only one with the contact: what follows it is on its way."""
        if not registers.is_retired(self._db, root):
            return True
        if not self._erase(root):
            return False
        self._destroy(self._db.rows("SELECT entry FROM registers WHERE register = 5 AND subject = ?", root))
        return True

    def _erase(self, root: bytes) -> bool:
        """Forget the shares of a pairing, unless it is the only one with a contact; whether none is left."""
        for row in list(self._rows.values()):
            roots = keys.roots_of(self._db, row.person)
            if found := [one for one in roots if subject(one) == root]:
                if len(roots) == 1:
                    return False
                keys.forget_pairing(self._db, row.person, found[0])
                self._persons.add(row.person)
        return True

    # Entries.

    def _delete(self, entry: bytes) -> None:
        if not registers.is_written(self._db, Register.DELETED, entry):
            return
        outcome = erasing.erase(self._db, entry)
        if outcome is not Outcome.NOTHING:
            self._deleted.append(entry)
        if outcome is Outcome.DESTROYED:
            self._erased += 1
            self._gone.append(entry)

    # Settings.

    def _setting(self, of: bytes) -> None:
        said = registers.in_force(self._db, Register.SETTING, of)
        value = read_value(Register.SETTING, said) if said is not None else None
        if isinstance(value, SharedSetting):
            settings.take_over(self._db, value.name, value.value)
        elif said is None and registers.is_undone(self._db, Register.SETTING, of):
            settings.take_back(self._db, of)
        else:
            return
        self._new_settings = True


def _set_standing(db: Database, person: bytes, value: StandingValue) -> None:
    """What another terminal knows of a contact's identity counts for the log as it is held here."""
    persons.pin(db, person, value.confirmed, confirmed=True)
    state = persons.pinned(db, person)
    same = state.newest == value.newest
    if same or not value.verified:  # a verification never outlives a recovery, and does not come before it
        contacts.set_verified(db, person, value.verified and not state.contested)
    if same:
        contacts.set_held(db, person, value.held or state.contested)
    if not state.contested:
        _follow_comparisons(db, person, state.newest)
    for one in value.comparison:
        row = ComparisonRow(person, one.by_words, one.time, one.newest, tuple(one.terminals))
        contacts.add_comparison(db, row)


def _follow_comparisons(db: Database, person: bytes, newest: bytes) -> None:
    """Which terminals have compared with a contact of this newest recovery, by what they wrote.

    Only the terminal that compared writes that a contact is verified.
    """
    said = registers.writes(db, Register.STANDING, subject(person))
    comparing, others = set[bytes](), set[bytes]()
    counting = _by_live(db, [one.entry for one in said])
    for one in said:
        value = read_value(Register.STANDING, one.value) if one.value is not None else None
        if not isinstance(value, StandingValue):
            continue
        others.add(one.author)
        if not value.verified and one.entry in counting:
            comparing.clear()
        elif not value.verified:
            comparing.discard(one.author)
        elif value.newest == newest:
            comparing.add(one.author)
    own = _own_terminal(db)
    for terminal in others - comparing - {own}:
        contacts.uncompare(db, person, terminal)
    for terminal in comparing - {own}:
        contacts.vouch_here(db, person, terminal, compared=True)


def _own_terminal(db: Database) -> bytes:
    own: bytes | None = db.value("SELECT terminal FROM own")
    return own or b""


def _authors_since_removal(said: Iterable[registers.Write]) -> set[bytes]:
    """The authors of the writes that a person is a contact, after the last one that removed it."""
    found = set[bytes]()
    for one in said:
        if one.value is None:
            continue
        if isinstance(read_value(Register.CONTACT, one.value), ContactValue):
            found.add(one.author)
        else:
            found.clear()
    return found


def renew_standing(db: Database, person: bytes) -> None:
    """A recovery of a contact has come: what another terminal knows of it may count from now on."""
    said = _standing_in_force(db, subject(person))
    value = read_value(Register.STANDING, said) if said is not None else None
    if isinstance(value, StandingValue) and persons.pinned(db, person).newest == value.newest:
        _set_standing(db, person, value)


def _pairing_in_force(db: Database, root: bytes) -> PairingValue | None:
    """The last write of a pairing by a terminal that is live, the last one without any.

    Who was removed may have written other shares under a root of the others, and no link opens under them.
    """
    found = [
        (one.entry, read)
        for one in registers.writes(db, Register.PAIRING, root)
        if one.value is not None and isinstance(read := read_value(Register.PAIRING, one.value), PairingValue)
    ]
    counting = _by_live(db, [entry for entry, _ in found])
    found = [one for one in found if one[0] in counting] or found
    return found[-1][1] if found else None


def held_pairing(person: bytes, said: SharedRoot) -> PairingRow:
    """The pairing with a contact as it is stored, from what own terminals share."""
    theirs = tuple(ShareRow(one.operation, one.share) for one in said.theirs)
    return PairingRow(person, said.root, said.first, theirs, said.retired)


def shared_pairing(row: PairingRow) -> SharedRoot:
    """What own terminals share of a pairing."""
    theirs = [SharedShare(one.operation, one.share) for one in row.theirs]
    return SharedRoot(row.root, row.first, row.retired, theirs)


def _standing_in_force(db: Database, of: bytes) -> bytes | None:
    """The last write about a contact's identity by a terminal that is live, the last one without any.

    Who was removed could have taken away what others have compared.
    """
    said = registers.writes(db, Register.STANDING, of)
    counting = _by_live(db, [one.entry for one in said])
    found = [one for one in said if one.entry in counting] or said
    return found[-1].value if found else None


def _by_live(db: Database, numbers: Sequence[int]) -> set[int]:
    """Those of some entries of the notes, by number, whose authors are live."""
    rows = db.rows(
        "SELECT e.number FROM entries AS e JOIN person_terminals AS p ON p.terminal = e.author"
        " WHERE e.number IN (SELECT value FROM json_each(?)) AND p.live"
        " AND p.person IN (SELECT person FROM own)",
        json.dumps(list(numbers)),
    )
    return {number for (number,) in rows}


def _order_pairings(db: Database, person: bytes) -> None:
    """The newest pairing is the last in the order of the notes; those that these do not know are older."""
    roots = keys.roots_of(db, person)[::-1]
    place = {root: _place(db, subject(root)) for root in roots}
    known = [root for root in roots if place[root] is not None]
    ordered = [root for root in roots if place[root] is None] + sorted(
        known, key=lambda one: place[one] or ()
    )
    if ordered != roots:
        keys.order_pairings(db, person, ordered)


def _place(db: Database, root: bytes) -> tuple[int, bytes] | None:
    found = db.row(
        "SELECT e.rank, e.id FROM registers AS r JOIN entries AS e ON e.number = r.entry"
        f" WHERE r.register = 5 AND r.subject = ? AND {registers.COUNTS} ORDER BY e.rank, e.id LIMIT 1",
        root,
    )
    return None if found is None else (found[0], found[1])


def _follow_relays(db: Database) -> bool:
    """Bring the relays in line with what is in force, as far as there is room; whether that changed any."""
    held, before = {subject(row.address.encode()): row for row in settings.all_relays(db)}, False
    rows = db.rows(
        "SELECT r.subject FROM registers AS r JOIN entries AS e ON e.number = r.entry"
        " WHERE r.register = 8 GROUP BY r.subject ORDER BY min(e.rank), r.subject"
    )
    for (of,) in rows:
        said, row = registers.in_force(db, Register.RELAY, of), held.get(of)
        value = read_value(Register.RELAY, said) if said is not None else None
        if not isinstance(value, SharedRelay):
            if row is not None and (said is not None or registers.is_undone(db, Register.RELAY, of)):
                settings.remove_relay(db, row.address)
                del held[of]
                before = True
            continue
        now = RelayRow(value.address, value.invited, value.since)
        if row != now and (row is not None or len(held) < LINKED_RELAYS_MAX):
            settings.add_relay(db, now)
            held[of], before = now, True
    return before


# --- Contacts whose log has not come ---


def awaited(db: Database, aside: Aside | None = None) -> set[bytes]:
    """The persons whom another terminal has as contacts, and of whom this one has no log.

    Of more than AWAITED_MAX the first and the last ones: what a stolen device invents comes between these.
    """
    known = {subject(row.person) for row in [*contacts.all(db), *contacts.pending(db)]}
    rows = db.rows("SELECT subject FROM registers WHERE register = 1 GROUP BY subject ORDER BY min(entry)")
    unknown = [of for (of,) in rows if of not in known]

    def persons_of(subjects: Iterable[bytes]) -> Iterator[bytes]:
        for of in subjects:
            said = registers.in_force(db, Register.CONTACT, of, aside)
            value = read_value(Register.CONTACT, said) if said else None
            if isinstance(value, ContactValue):
                yield value.person

    half = AWAITED_MAX // 2
    first = set(islice(persons_of(unknown), half))
    return first if len(first) < half else first.union(islice(persons_of(reversed(unknown)), half))


def take_in(db: Database, person: bytes, found: Extension) -> Followed:
    """A log of a person who is awaited came: with it the person is a contact, as the registers say."""
    said = registers.in_force(db, Register.CONTACT, subject(person))
    value = read_value(Register.CONTACT, said) if said else None
    if contacts.get(db, person) is not None or not isinstance(value, ContactValue):
        return Followed()
    name = found.state.name
    persons.store(db, person, found)
    contacts.add(db, ContactRow(person, name, "", PAIRED, False, False, False, value.since))
    db.run(
        "INSERT OR IGNORE INTO registers_due (register, subject)"
        " SELECT register, subject FROM registers WHERE contact = ?",
        subject(person),
    )
    followed = follow(db)
    return replace(followed, persons=followed.persons | {person}, awaited=True)


# --- Writes ---


def of_contact(db: Database, person: bytes) -> list[list[StateWrite]]:
    """The writes, by entry, of all that the terminals of a person share about a contact."""
    row = contacts.get(db, person)
    assert row is not None, "only a contact that is there is shared"
    facts = [
        write(Register.CONTACT, person, ContactValue(person, row.since)),
        write(Register.PETNAME, person, PetnameValue(row.petname)),
        write(Register.BLOCKED, person, SwitchValue(row.blocked)),
        standing(db, row),
        write(Register.PINNED, person, SwitchValue(row.pinned)),
        write(Register.MUTED, person, SwitchValue(row.muted)),
    ]
    roots = keys.roots_of(db, person)[::-1]
    return [facts, *([pairing(db, person, root)] for root in roots)]


def standing(db: Database, row: ContactRow) -> StateWrite:
    """What is known of a contact's identity, by its row as it is stored."""
    compared, pins = contacts.comparison(db, row.person), persons.pins_of(db, row.person)
    comparison = (
        []
        if compared is None
        else [
            SharedComparison(
                compared.by_words, compared.time, compared.newest, sorted(compared.terminals)[:LINKED_IDS_MAX]
            )
        ]
    )
    newest = persons.pinned(db, row.person).newest
    confirmed = sorted(pins.confirmed)[:LINKED_IDS_MAX]
    value = StandingValue(row.verified, row.held, newest, confirmed, comparison)
    return write(Register.STANDING, row.person, value)


def pairing(db: Database, person: bytes, root: bytes) -> StateWrite:
    """A pairing with its shares, and what it supersedes: what was stored before it began."""
    shared = next(shared_pairing(row) for row in keys.pairings_of(db, person) if row.root == root)
    before = keys.superseded(db, person, root)
    superseded = sorted(subject(one) for one in before[:STATE_SUPERSEDED_MAX])
    return write(Register.PAIRING, root, PairingValue(person, shared, superseded))


def vouching(db: Database, terminal: bytes) -> list[list[StateWrite]]:
    """The writes, by entry, with which this terminal (id) says again what it did under a former id.

    What it has written under this id, other terminals know.
    """
    known, found = registers.written_about(db, terminal), list[list[StateWrite]]()
    for row in contacts.vouched_by(db, terminal):
        contact = contacts.get(db, row.person)
        if contact is None or subject(row.person) in known:
            continue
        found.append([pairing(db, row.person, keys.roots_of(db, row.person)[0])])
        if row.compared and contact.verified:
            found.append([standing(db, contact)])
        if len(found) >= VOUCHED_AT_ONCE:
            break
    return found


def removal(roots: Iterable[bytes], person: bytes) -> list[list[StateWrite]]:
    """The writes, by entry, that remove a contact and retire the pairings with it."""
    return [[write(Register.CONTACT, person)], *retiring(roots)]


def retiring(roots: Iterable[bytes]) -> list[list[StateWrite]]:
    """The writes, by entry, that retire pairings."""
    gone = [write(Register.RETIRED, root) for root in dict.fromkeys(roots)]
    return [gone[at : at + RETIRED_AT_ONCE] for at in range(0, len(gone), RETIRED_AT_ONCE)]


def superseded(db: Database, person: bytes, root: bytes) -> list[bytes]:
    """The roots held with a contact that the pairing of this root supersedes.

    A pairing that another terminal made meanwhile is not among them: the contact may know that one alone.
    """
    roots = keys.roots_of(db, person)
    said = _pairing_in_force(db, subject(root))
    if said is not None:
        return [one for one in roots if one != root and subject(one) in said.supersedes]
    if registers.writes(db, Register.PAIRING, subject(root)):
        return []  # what it says is missing
    earlier = keys.superseded(db, person, root)
    return [one for one in earlier if not registers.writes(db, Register.PAIRING, subject(one))]
