"""Entries of removed terminals: those from before count, others are quarantined, none ends a link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from chat.interface import (
    ContactChanged,
    EntriesConflict,
    EntriesMarked,
    EntryAdded,
    EntryFilled,
    EntryState,
    EntryView,
    IdentityChanged,
)
from chat.network.links import Peer
from chat.service.sync import WAITING_MAX
from chat.storage import entries, persons, quarantine
from chat.storage.database import Database
from protocol.entries_and_receipts import (
    KIND_TEXT,
    KIND_TIMER,
    EntryPlace,
    ParsedEntry,
    conversation_of_two,
    text_body,
    timer_body,
    write_entry,
)
from protocol.identity.author import add_operation, rename_operation
from protocol.identity.log import parse_operation, sign_operation
from protocol.identity.reduction import reduce
from protocol.messages import Entry, LogHeads, LogOperations
from tests.integration.steps import current, dial, entry_of, in_touch
from tests.support.engines.engines import Person, contact, in_virtual_time, talk
from tests.support.protocol.pairings import Terminal, removal

SECOND = Terminal.named("a second terminal of Ben")


@dataclass
class Second:
    """Ben's second terminal, which writes entries that only Ben's first one passes on."""

    ben: Person
    ada: Person
    log: list[bytes]
    written: list[ParsedEntry]

    @classmethod
    async def added(cls, ben: Person, ada: Person) -> Second:
        """One whose adding Ada learns."""
        second, addition = await cls.unheard(ben, ada)
        await second._told(addition)
        return second

    @classmethod
    async def unheard(cls, ben: Person, ada: Person) -> tuple[Second, bytes]:
        """One that only Ben's first terminal knows, and the operation that adds it."""
        parts = ben.engine._use_cases
        operations = await parts.store.read(persons.operations_of, parts.keyring.own.person)
        second = cls(ben, ada, list(operations), [])
        addition = add_operation(
            reduce(operations), parts.keyring.own.terminal, SECOND.signing, SECOND.static, "laptop"
        )
        signed = sign_operation(addition, parts.keyring.own.signing_seed, SECOND.seed)
        second.log.append(signed)
        return second, signed

    async def removed(self) -> None:
        own = self.ben.engine._use_cases.keyring.own
        signed = removal(self.log, own.terminal, own.signing_seed, SECOND.id)
        self.log.append(signed)
        await self._told(signed)

    async def cut(self) -> None:
        """Ben's first terminal stores the removal in its own log, and cuts the second."""
        keyring = self.ben.engine._use_cases.keyring
        await self.ben.engine._use_cases.store.write(planned)
        keyring.own_log = reduce(self.log)
        await self.ben.engine._use_cases.messages.cut_removed()

    async def _told(self, operation: bytes) -> None:
        changed = self.ada.wait(IdentityChanged)
        await current(self.ben, self.ada).driver.send(LogOperations([operation]))
        await changed

    def write(self, text: str, kind: int = KIND_TEXT, body: bytes = b"") -> ParsedEntry:
        """A text, or an entry of another kind with a body."""
        parts = self.ben.engine._use_cases
        own, last = parts.keyring.own, self.written[-1] if self.written else None
        place = EntryPlace(
            conversation=conversation_of_two(own.person, self.ada.engine._use_cases.keyring.own.person),
            author=SECOND.id,
            incarnation=b"12345678",
            previous=None if last is None else (last.header.sequence, last.id),
            parents=[],
            membership=list(reduce(self.log).heads),
        )
        body, random = body or text_body(text), parts.runtime.random
        entry = write_entry(place, self.ben.clock.wall(), kind, body, own.first_self_key, random)
        self.written.append(entry)
        return entry

    async def passed(self, entry: ParsedEntry) -> None:
        """Ben's first terminal passes an entry on, and Ada stores it."""
        added = self.ada.wait(EntryAdded)
        await current(self.ben, self.ada).driver.send(entry.message())
        await added

    async def shown(self) -> dict[str, bool]:
        """The second terminal's texts at Ada's, and whether each is quarantined."""
        texts = {entry.said.text for entry in self.written if entry.said is not None}
        return {
            view.text: view.quarantined for view in await self.ada.history(self.ben) if view.text in texts
        }


@in_virtual_time
async def test_case_88_an_honest_entry_of_a_terminal_removed_since_ends_no_link(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        second = await Second.added(ben, ada)
        first, held = second.write("before what was held"), second.write("held before")
        await second.passed(held)
        await second.removed()
        later = second.write("perhaps after")
        since = len(ada.seen)
        for entry in (later, first, later):
            if entry is later and "perhaps after" in await ada.texts(ben):
                await current(ben, ada).driver.send(entry.message())
            else:
                await second.passed(entry)
        await talk(ben, ada, "still on the same link")
        changed = [event.contact for event in ada.seen[since:] if isinstance(event, ContactChanged)]
        assert all(view.present for view in changed)
        assert await second.shown() == {
            "before what was held": False,
            "held before": False,
            "perhaps after": True,
        }
        details = await ada.engine.details(await ada.contact(ben), later.id.hex())
        assert details.quarantined
        assert details.terminal == SECOND.id.hex()


@in_virtual_time
async def test_case_88_quarantine_ends_for_what_stands_before_an_entry_that_counts(tmp_path: Path) -> None:
    """Whatever the order of arrival: the gap is filled from its older end."""
    async with in_touch(tmp_path) as (_, ada, ben):
        second = await Second.added(ben, ada)
        oldest, older, held = (second.write(text) for text in ("oldest", "older", "held"))
        await second.passed(held)
        await second.removed()
        await second.passed(oldest)
        assert await second.shown() == {"oldest": True, "held": False}
        await second.passed(older)
        assert await second.shown() == {"oldest": False, "older": False, "held": False}


@in_virtual_time
async def test_case_88_what_is_quarantined_is_stored_and_not_asked_for_again(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        second = await Second.added(ben, ada)
        await second.removed()
        entry = second.write("perhaps after")
        await second.passed(entry)
        arrived = [event.entry for event in ada.seen if isinstance(event, EntryAdded)]
        assert [view.quarantined for view in arrived if view.text == "perhaps after"] == [True]
        since = len(ada.seen)
        for number in range(2):
            await dial(ada, ben)
            await talk(ada, ben, f"on another link {number}")
        texts = [event.entry.text for event in ada.seen[since:] if isinstance(event, EntryAdded)]
        assert texts == ["on another link 0", "on another link 1"]
        assert [hit.quarantined for hit in await ada.engine.search("perhaps")] == [True]


# --- Cuts ---


async def history(person: Person, other: Person, kind: str = "cut") -> list[EntryView]:
    return [view for view in await person.history(other) if view.kind == kind]


async def synced(second: Second, *held: ParsedEntry) -> None:
    """Ben's first terminal gets entries of the second, as siblings will pass them on."""
    parts = second.ben.engine._use_cases
    await parts.store.write(entries.insert_all, held, parts.keyring.own.terminal)


@in_virtual_time(limit=600)
async def test_case_88_a_body_that_comes_after_its_header_has_the_marks_of_its_entry(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        second = await Second.added(ben, ada)
        await second.passed(second.write("honest"))
        await second.removed()
        later, other = second.write("later").message(), entry_of(ben, ada, text="two")
        await current(ben, ada).driver.send(entry_of(ben, ada, text="one"))
        for entry in (later, other):
            filled = ada.wait(EntryFilled)
            await current(ben, ada).driver.send(Entry(entry.header, b"", b""))
            await current(ben, ada).driver.send(entry)
            view = (await filled).entry
            assert view == await ada.engine.entry(view.contact, view.id)
            assert (view.quarantined, view.conflicting) == (entry is later, entry is other)
        assert len([event for event in ada.seen if isinstance(event, EntriesConflict)]) == 1


@in_virtual_time
async def test_case_88_an_honest_entry_that_was_never_held_counts_up_to_the_cut(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        second = await Second.added(ben, ada)
        first, honest, later = (second.write(text) for text in ("first", "honest", "perhaps after"))
        await synced(second, first, honest)
        await second.removed()
        await second.passed(later)
        await second.passed(first)
        assert await second.shown() == {"first": True, "perhaps after": True}
        marked = ada.wait(EntriesMarked)
        await second.cut()
        assert (await marked).contact == ben.peer.person.hex()
        await second.passed(honest)
        assert await second.shown() == {"first": False, "honest": False, "perhaps after": True}
        assert len(await history(ben, ada)) == len(await history(ada, ben)) == 1
        (unread,) = {view.unread for view in await ada.engine.contacts()}
        assert unread == len(
            [view for view in await ada.history(ben) if view.kind == "text" and not view.own]
        )


@in_virtual_time
async def test_case_88_what_was_held_and_is_later_than_the_cut_is_quarantined(tmp_path: Path) -> None:
    """A thief wrote to Ada with the second terminal before she heard of the removal."""
    async with in_touch(tmp_path) as (_, ada, ben):
        second = await Second.added(ben, ada)
        honest, stolen = second.write("honest"), second.write("stolen")
        await synced(second, honest)
        for entry in (honest, stolen):
            await second.passed(entry)
        await second.removed()
        assert await second.shown() == {"honest": False, "stolen": False}
        marked = ada.wait(EntriesMarked)
        await second.cut()
        assert (await marked).contact == ben.peer.person.hex()
        assert await second.shown() == {"honest": False, "stolen": True}


@in_virtual_time
async def test_case_88_a_cut_is_written_once_and_survives_a_crash_before_it(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        second = await Second.added(ben, ada)
        await synced(second, second.write("honest"))
        await second.removed()
        parts = ben.engine._use_cases
        await parts.store.write(planned)
        await parts.store.write(stored_operations, parts.keyring.own.person, second.log)
        await ben.stop()  # before the cut was written
        cut = ada.wait(EntryAdded, lambda event: event.entry.kind == "cut")
        await ben.start()
        await cut
        await ben.stop()
        await ben.start()
        await talk(ben, ada, "after two starts")
        await second.cut()
        assert len(await history(ben, ada)) == 1
        assert [view.state for view in await history(ben, ada)] == [EntryState.DELIVERED]


def planned(database: Database) -> None:
    """The cuts of the second terminal are due."""
    quarantine.plan(database, [SECOND.id], stolen=True, handed_over=False)


def stored_operations(database: Database, person: bytes, operations: list[bytes]) -> None:
    for operation in operations:
        persons.add_operation(database, person, parse_operation(operation).id, operation)


# --- Unknown authors ---


@in_virtual_time
async def test_an_entry_of_a_terminal_whose_adding_has_not_come_ends_no_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the operation, which this side asks for, and is stored and acknowledged then."""
    async with in_touch(tmp_path) as (_, ada, ben):
        second, addition = await Second.unheard(ben, ada)
        entries_sent = [second.write(f"ahead {number}") for number in range(WAITING_MAX + 4)]
        link, logs, asked = current(ben, ada), ben.engine._use_cases.sync._logs, list[Sequence[bytes]]()
        are_current = logs.are_current

        def asks(peer: Peer, message: LogHeads) -> bool:
            asked.append(message.heads)
            return are_current(peer, message)

        monkeypatch.setattr(logs, "are_current", asks)
        for entry in entries_sent:
            await link.driver.send(entry.message())
        await talk(ben, ada, "on the same link")
        assert current(ben, ada) is link
        assert await second.shown() == {}
        assert len(asked) == 1
        last = ada.wait(EntryAdded, lambda event: event.entry.text == f"ahead {WAITING_MAX - 1}")
        await second._told(addition)
        await last
        await talk(ben, ada, "still on it")
        assert current(ben, ada) is link
        assert len(await second.shown()) == WAITING_MAX
        assert len(asked) == 1


@in_virtual_time
async def test_an_entry_of_nobodys_terminal_is_never_stored(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        second, _ = await Second.unheard(ben, ada)
        link = current(ben, ada)
        await link.driver.send(second.write("of nobody").message())
        rename = rename_operation(
            reduce(second.log[:-1]), ben.engine._use_cases.keyring.own.terminal, "Benno"
        )
        await second._told(sign_operation(rename, ben.engine._use_cases.keyring.own.signing_seed))
        await talk(ben, ada, "after other operations")
        assert await second.shown() == {}
        assert ada.engine._use_cases.sync._workers[current(ada, ben)].waiting


@in_virtual_time
async def test_the_timer_of_a_quarantined_entry_is_not_obeyed(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        second = await Second.added(ben, ada)
        await second.passed(second.write("held before"))
        await second.passed(second.write("", KIND_TIMER, timer_body(600)))
        assert (await contact(ada)).timer == 600
        await second.removed()
        await second.passed(second.write("", KIND_TIMER, timer_body(1)))
        setting = (await ada.history(ben))[-1]
        assert (setting.kind, setting.seconds, setting.quarantined) == ("timer", 1, True)
        assert (await contact(ada)).timer == 600
        sent = await ada.engine.send(await ada.contact(ben), "with the timer from before")
        assert sent.expires
        assert (sent.expires - sent.time).total_seconds() == 600
        await ada.stop()
        await ada.start()
        assert (await contact(ada)).timer == 600
