"""Registers of the notes: the same values on every device, however their entries come (SPEC §11.10)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.storage import contacts, entries, keys, ordering, persons, registers, sharing
from chat.storage.contacts import PAIRED, ContactRow
from chat.storage.database import Database
from chat.storage.keys import PairingRow, ShareRow
from protocol.entries_and_receipts import KIND_STATE, EntryPlace, ParsedEntry, write_entry
from protocol.history import order
from protocol.identity.author import create_person, create_terminal, recover_operation, sign_recovery
from protocol.identity.exchange import extend
from protocol.identity.log import TerminalKeys, load
from protocol.identity.reduction import Reduction
from protocol.messages import (
    ContactValue,
    Entry,
    PairingValue,
    PetnameValue,
    SharedRoot,
    SharedShare,
    StandingValue,
    StateWrite,
    SwitchValue,
)
from protocol.notes import SWITCHES, Register, in_force, notes_of, state_body, subject, write
from tests.support.storage.samples import ME, THEM, blob, new_database

NOTES = notes_of(ME.person)
DEVICES = (ME.terminal, blob("laptop"), blob("phone"))
PAIRING = SharedRoot(blob("a root"), ME.person, False, [SharedShare(THEM, blob("theirs"))])
RENEWED = replace(PAIRING, theirs=[*PAIRING.theirs, SharedShare(blob("a Renew"), blob("renewed"))])


class Device:
    """Writes states upon what it holds, under a clock of its own."""

    def __init__(self, terminal: bytes, draw: random.Random, clock: int = 0) -> None:
        self.terminal, self.held, self._draw, self._clock = terminal, list[ParsedEntry](), draw, clock
        self._mine = list[ParsedEntry]()

    def write(self, *writes: StateWrite) -> ParsedEntry:
        named = {one for entry in self.held for one in (*entry.header.parents, entry.header.previous)}
        last = self._mine[-1] if self._mine else None
        place = EntryPlace(
            conversation=NOTES,
            author=self.terminal,
            incarnation=b"incarnat",
            previous=None if last is None else (last.header.sequence, last.id),
            parents=[entry.id for entry in self.held if entry.id not in named],
            membership=[blob("head")],
        )
        time = 1_000_000 + self._clock + self._draw.randrange(100)
        entry = write_entry(place, time, KIND_STATE, state_body(writes), blob("key"), self._draw.randbytes)
        self._mine.append(entry)
        self.held.append(entry)
        return entry

    def hears(self, other: Device) -> None:
        known = {entry.id for entry in self.held}
        self.held += [entry for entry in other.held if entry.id not in known]


def history(seed: int) -> list[ParsedEntry]:
    """What three devices wrote that heard of each other now and then."""
    draw = random.Random(seed)
    devices = [
        Device(terminal, draw, clock)
        for terminal, clock in zip(DEVICES, (0, 31_536_000_000, -900_000), strict=True)
    ]
    for step in range(24):
        device = draw.choice(devices)
        if draw.random() < 0.3:
            device.hears(draw.choice(devices))
        elif draw.random() < 0.4:
            device.write(write(Register.PETNAME, THEM, PetnameValue(f"name {step}")))
        else:
            switch = draw.choice(sorted(SWITCHES))
            device.write(write(switch, THEM, SwitchValue(draw.random() < 0.5)))
    for device in devices:
        devices[0].hears(device)
    return devices[0].held


def begin(database: Database) -> None:
    with database.transaction():
        sharing.ensure(database, ME.person)
        contacts.add(database, ContactRow(THEM, "Ben", "", PAIRED, False, False, False, 1))


def take(database: Database, *came: ParsedEntry) -> sharing.Followed:
    with database.transaction():
        entries.insert_all(database, came, ME.terminal, ours=DEVICES)
        return sharing.follow(database)


def row(database: Database) -> ContactRow:
    found = contacts.get(database, THEM)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(12))
def test_every_order_of_arrival_gives_the_values_of_the_protocol(tmp_path: Path, seed: int) -> None:
    came, draw = history(seed), random.Random(seed)
    states = {entry.id: entry.state for entry in came if entry.state is not None}
    expected = in_force(states, order({entry.id: entry.header for entry in came}, clocked=False))
    rows = set[ContactRow]()
    for attempt in range(4):
        (tmp_path / f"{attempt}").mkdir()
        database = new_database(tmp_path / f"{attempt}")
        begin(database)
        left = list(came)
        draw.shuffle(left)
        while left:
            some, left = left[: (size := draw.randrange(1, 5))], left[size:]
            take(database, *some)
        while entries.is_unsettled(database):
            with database.transaction():
                ordering.settle_next(database, 0)
                sharing.follow(database)
        for (register, of), value in expected.items():
            assert registers.in_force(database, register, of) == value
        rows.add(row(database))
        database.close()
    assert len(rows) == 1
    (held,) = rows
    for switch, on in (
        (Register.BLOCKED, held.blocked),
        (Register.PINNED, held.pinned),
        (Register.MUTED, held.muted),
    ):
        said = expected.get((switch, subject(THEM)), write(switch, THEM, SwitchValue(False)).value)
        assert said == write(switch, THEM, SwitchValue(on)).value
    assert (
        expected[Register.PETNAME, subject(THEM)]
        == write(Register.PETNAME, THEM, PetnameValue(held.petname)).value
    )


def test_a_lost_body_changes_nothing_and_undoes_nothing(database: Database) -> None:
    begin(database)
    device = Device(DEVICES[1], random.Random(1))
    first = device.write(write(Register.CONTACT, THEM, ContactValue(THEM, 5)))
    name = device.write(write(Register.PETNAME, THEM, PetnameValue("Benny")))
    take(database, first, name)
    assert (row(database).petname, row(database).since) == ("Benny", 5)
    later = device.write(write(Register.PETNAME, THEM, PetnameValue("Benjamin")))
    alone = replace(later, salt=b"", body=b"", state=None)
    with database.transaction():
        database.run("DELETE FROM bodies")
        database.run("INSERT OR IGNORE INTO registers_due SELECT register, subject FROM registers")
    take(database, alone)
    assert (row(database).petname, row(database).since) == ("Benny", 5)
    take(database, later)
    assert row(database).petname == "Benjamin"


def add_root(database: Database, name: str) -> None:
    with database.transaction():
        row = PairingRow(THEM, blob(name), ME.person, (ShareRow(THEM, blob(f"share under {name}")),))
        keys.add_pairing(database, row)


def test_a_retired_pairing_stays_so_whatever_comes_later_and_never_is_the_last(database: Database) -> None:
    begin(database)
    device, other = Device(DEVICES[1], random.Random(1)), Device(DEVICES[2], random.Random(2))
    paired = device.write(write(Register.PAIRING, PAIRING.root, PairingValue(THEM, PAIRING, [])))
    other.hears(device)
    retired = device.write(write(Register.RETIRED, PAIRING.root))
    again = other.write(write(Register.PAIRING, PAIRING.root, PairingValue(THEM, RENEWED, [])))
    take(database, paired)
    take(database, retired)
    assert keys.roots_of(database, THEM) == [PAIRING.root], "what supersedes it is not here yet"
    assert sharing.is_due(database)
    add_root(database, "the next root")
    assert take(database).gone == (paired.id,)
    assert keys.roots_of(database, THEM) == [blob("the next root")]
    assert take(database, again).gone == (again.id,)
    assert keys.roots_of(database, THEM) == [blob("the next root")]
    assert not database.rows("SELECT 1 FROM bodies WHERE instr(body, ?)", PAIRING.root)
    assert not sharing.is_due(database)


def test_shares_of_a_pairing_that_is_held_do_not_come_by_its_register(database: Database) -> None:
    """The contact itself sends each device the best one, and what came first of an operation stays."""
    begin(database)
    device = Device(DEVICES[1], random.Random(1))
    for pairing in (PAIRING, RENEWED, replace(PAIRING, retired=True)):
        take(database, device.write(write(Register.PAIRING, pairing.root, PairingValue(THEM, pairing, []))))
    assert keys.pairings_of(database, THEM) == (sharing.held_pairing(THEM, PAIRING),)


def test_a_pairing_comes_with_all_that_the_writer_held_of_it(database: Database) -> None:
    """Else its links would open under the first share alone, which the contact's removed device knows."""
    begin(database)
    said = replace(RENEWED, first=blob("an own Renew"), retired=True)
    value = PairingValue(THEM, said, [])
    take(database, Device(DEVICES[1], random.Random(1)).write(write(Register.PAIRING, said.root, value)))
    (held,) = keys.pairings_of(database, THEM)
    assert (held.root, held.first, held.retired) == (said.root, said.first, True)
    assert [(one.operation, one.share) for one in held.theirs] == [
        (one.operation, one.share) for one in said.theirs
    ]
    assert sharing.shared_pairing(held) == said
    assert sharing.pairing(database, THEM, said.root).value == write(Register.PAIRING, said.root, value).value


def test_a_contact_that_was_removed_leaves_no_write_but_that(database: Database) -> None:
    begin(database)
    device, other = Device(DEVICES[1], random.Random(1)), Device(DEVICES[2], random.Random(2))
    paired = device.write(write(Register.PAIRING, PAIRING.root, PairingValue(THEM, PAIRING, [])))
    named = device.write(write(Register.PETNAME, THEM, PetnameValue("Benny")))
    gone = device.write(write(Register.CONTACT, THEM))
    late = other.write(write(Register.PETNAME, THEM, PetnameValue("Benjamin")))
    assert take(database, paired, named).persons == {THEM}
    followed = take(database, gone)
    assert [one.person for one in followed.removed] == [THEM]
    assert set(followed.gone) == {paired.id, named.id}
    assert contacts.get(database, THEM) is None
    assert keys.roots_of(database, THEM) == []
    take(database, late)
    bodies = [body for (body,) in database.rows("SELECT body FROM bodies")]
    assert [THEM in body for body in bodies] == [False] * len(bodies)
    assert sharing.awaited(database) == set()


def test_of_many_contacts_that_a_device_invents_the_first_and_the_last_are_awaited(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "AWAITED_MAX", 4)
    begin(database)
    device, persons = Device(DEVICES[1], random.Random(1)), [blob(f"person {n}") for n in range(7)]
    for person in persons:
        take(database, device.write(write(Register.CONTACT, person, ContactValue(person, 5))))
    assert sharing.awaited(database) == {*persons[:2], *persons[-2:]}


def test_a_removed_contact_of_another_device_is_no_more_awaited(database: Database) -> None:
    begin(database)
    device, person = Device(DEVICES[1], random.Random(1)), blob("somebody")
    take(database, device.write(write(Register.CONTACT, person, ContactValue(person, 5))))
    assert sharing.awaited(database) == {person}
    take(database, device.write(write(Register.CONTACT, person)))
    assert sharing.awaited(database) == set()
    (entry,) = database.rows("SELECT header, salt, body FROM entries JOIN bodies ON entry = number")
    assert person not in Entry(*entry).body


def test_of_two_pairings_that_do_not_know_each_other_none_supersedes_the_other(database: Database) -> None:
    """The contact may hold one of them alone, and the person would be cut off."""
    begin(database)
    add_root(database, "the first")
    one, other = (replace(PAIRING, root=blob(name)) for name in ("the desk's", "the laptop's"))
    first = [subject(blob("the first"))]
    for terminal, root in zip(DEVICES[1:], (one, other), strict=True):
        device = Device(terminal, random.Random(1))
        take(database, device.write(write(Register.PAIRING, root.root, PairingValue(THEM, root, first))))
    assert len(keys.roots_of(database, THEM)) == 3
    for root in (one, other):
        assert sharing.superseded(database, THEM, root.root) == [blob("the first")]
    assert sharing.superseded(database, THEM, blob("the first")) == []
    assert keys.roots_of(database, THEM)[-1] == blob("the first"), "what the notes do not know is older"


def test_a_verification_counts_for_the_recovery_that_was_compared(database: Database) -> None:
    begin(database)
    draw = random.Random(1)
    ben, new = create_person("Ben", draw.randbytes), create_terminal(draw.randbytes)
    before = extend((), ben.operations)
    keys, seed = TerminalKeys(new.signing, new.static), ben.recovery_seed
    made = recover_operation(Reduction(load(ben.operations)), seed, seed, {}, keys)
    signed = sign_recovery(made, seed, new.signing_seed)
    after = extend(ben.operations, [signed])
    with database.transaction():
        contacts.add(database, ContactRow(ben.person, "Ben", "", PAIRED, False, False, False, 1))
        persons.store(database, ben.person, before)

    def says(terminal: bytes, newest: bytes) -> tuple[bool, bool]:
        value = StandingValue(True, False, newest, [], [])
        device = Device(terminal, random.Random(2))
        device.held += came
        came.append(device.write(write(Register.STANDING, ben.person, value)))
        take(database, came[-1])
        found = contacts.get(database, ben.person)
        assert found is not None
        return found.verified, found.held

    came = list[ParsedEntry]()
    assert says(DEVICES[1], before.state.newest) == (True, False)
    with database.transaction():
        persons.store(database, ben.person, after)
        contacts.set_verified(database, ben.person, False)
        contacts.set_held(database, ben.person, True)
    assert says(DEVICES[2], before.state.newest) == (False, True), "it was compared before the recovery"
    assert says(ME.terminal, after.state.newest) == (True, False)
