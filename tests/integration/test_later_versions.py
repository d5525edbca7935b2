"""An engine and one of a later version, which says more: nothing is lost between them, and no link ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from chat.interface import EntryAdded, EntryChanged, EntryState
from chat.network.links import LinkNeeded, LiveLink
from chat.service.sync import UNKNOWN_A_SECOND, UNKNOWN_AT_ONCE
from chat.storage import entries, persons, receipts
from chat.storage.database import Database
from chat.storage.entries import EntryRow
from protocol.codec import Wire, encode
from protocol.entries_and_receipts import EntryPlace, ParsedEntry, conversation_of_two, write_entry
from protocol.identity.log import parse_operation
from tests.integration.steps import current, dial, in_touch, presence, say
from tests.support.engines.engines import DEFAULTS, Person, in_virtual_time, talk
from tests.support.engines.terminals import add_terminal
from tests.vectors.persons_log import LATER
from tests.vectors.persons_signed import signed_bytes

FEATURES = (7, 40_000)
KIND = 200
BODY = b"\x93\xc0\x01opaque"


class Reaction(Wire, frozen=True, tag=60_000):
    """A message of a later version."""

    entry: bytes
    reaction: str | None


class Later:
    """An engine of a later version: this one, and what it cannot say."""

    def __init__(self, person: Person, other: Person) -> None:
        self.person, self.other = person, other

    @property
    def _parts(self) -> Any:
        return self.person.engine._use_cases

    @property
    def conversation(self) -> bytes:
        return conversation_of_two(self._parts.keyring.own.person, self.other.peer.person)

    async def says(self, *, fields: int = 1) -> None:
        """A message of an unknown number."""
        message: Any = Reaction(bytes(32), None if fields == 1 else "!" * fields)
        await current(self.person, self.other).driver.send(message)

    async def writes(self) -> str:
        """An entry of an unknown kind, in the history and on its way; its id."""
        entry = await self._parts.store.write(self._append)
        self._parts.sync.send(self.other.peer.person, entry)
        return str(entry.id.hex())

    def _append(self, database: Database) -> ParsedEntry:
        own, log = self._parts.keyring.own, self._parts.keyring.own_log
        last = entries.last_by(database, self.conversation, own.terminal)
        place = EntryPlace(
            self.conversation,
            own.terminal,
            b"12345678",
            (last.sequence, last.id) if last is not None else None,
            entries.tips(database, self.conversation),
            log.heads,
        )
        now, random = self.person.clock.wall(), self._parts.runtime.random
        entry = write_entry(place, now, KIND, BODY, own.first_self_key, random)
        entries.insert_all(database, [entry], own.terminal, contact=self.other.peer.person)
        return entry

    async def signs(self) -> bytes:
        """An operation of an unknown number, which contacts get on the next link; its id."""
        own, log = self._parts.keyring.own, self._parts.keyring.own_log
        place = own.person, own.terminal, list(log.heads)
        signed = signed_bytes(encode([LATER, *place, "more"]), own.signing_seed)
        identity = parse_operation(signed).id
        await self._parts.store.write(persons.add_operation, own.person, identity, signed)
        await self.person.stop()
        await self.person.start()
        return identity


@asynccontextmanager
async def with_a_later_one(folder: Path, *, dials: bool) -> AsyncIterator[tuple[Person, Later]]:
    """Ada, and Ben of a later version. `dials`: the link is the one that Ben began."""
    async with in_touch(folder) as (_, ada, ben):
        await ben.stop()
        ben.config = replace(DEFAULTS, features=FEATURES)
        here = presence(ada, present=True)
        await ben.start()
        await here
        one, other = (ben, ada) if dials else (ada, ben)
        await dial(one, other)
        await asyncio.sleep(30)
        assert current(ben, ada).began is dials
        yield ada, Later(ben, ada)


async def held(person: Person, entry: str) -> tuple[bytes, bytes, bytes]:
    """Header, salt and body, as stored."""
    row: EntryRow | None = await person.engine._use_cases.store.read(entries.get, bytes.fromhex(entry))
    assert row is not None
    return row.header, row.salt, row.body


async def kinds(person: Person, other: Person) -> list[str]:
    return [view.kind for view in await person.history(other)]


@pytest.mark.parametrize("dials", [True, False], ids=["the later one dials", "the later one is dialled"])
@in_virtual_time
async def test_case_97_an_engine_of_a_later_version_says_more_and_no_link_ends(
    tmp_path: Path, dials: bool
) -> None:
    async with with_a_later_one(tmp_path, dials=dials) as (ada, later):
        ben, link = later.person, current(ada, later.person)
        assert link.driver.link.peer_features == FEATURES
        assert current(ben, ada).driver.link.peer_features == ()
        delivered = ben.wait(EntryChanged, lambda event: event.state is EntryState.DELIVERED)
        await later.says()
        entry = await later.writes()
        assert (await delivered).id == entry
        await later.says(fields=100_000)
        await talk(ben, ada, "after it")
        await talk(ada, ben, "and back")
        assert current(ada, ben) is link
        assert await kinds(ada, ben) == ["text", "unknown", "text", "text"]
        added = [event.entry for event in ada.seen if isinstance(event, EntryAdded)]
        assert [(one.id, one.text) for one in added if one.kind == "unknown"] == [(entry, "")]
        assert await held(ada, entry) == await held(ben, entry)
        assert [view.id for view in await ada.engine.search("opaque")] == []
        (contact,) = await ada.engine.contacts()
        assert contact.unread == 1, "the text"


@in_virtual_time
async def test_case_97_an_unknown_entry_survives_a_restart_and_its_content_can_be_deleted(
    tmp_path: Path,
) -> None:
    async with with_a_later_one(tmp_path, dials=True) as (ada, later):
        ben = later.person
        added = ada.wait(EntryAdded)
        entry = await later.writes()
        await added
        before = await held(ada, entry)
        await ada.stop()
        await ada.start()
        assert await held(ada, entry) == before
        assert await kinds(ada, ben) == ["text", "unknown"]
        friend = await ada.contact(ben)
        await ada.engine.mark_all_read(friend)
        of = await ada.engine._use_cases.store.read(receipts.of, [bytes.fromhex(entry)])
        assert [one.kind for one in of[bytes.fromhex(entry)]] == [receipts.STORED], "nobody has read it"
        assert (await ada.engine.delete(friend, entry)).kind == "deleted"
        assert (await held(ada, entry))[1:] == (b"", b"")


@in_virtual_time(limit=600)
async def test_case_97_an_unknown_entry_is_passed_on_to_a_second_terminal_as_it_was(tmp_path: Path) -> None:
    """Ben's second terminal holds nothing, and Ada, who does not know the kind, is who has it."""
    async with with_a_later_one(tmp_path, dials=True) as (ada, later):
        added = ada.wait(EntryAdded)
        entry = await later.writes()
        await added
        second = await add_terminal(later.person, "10.0.0.9")
        try:
            await second.wait(EntryAdded, lambda event: event.entry.kind == "unknown")
            assert await held(second, entry) == await held(ada, entry)
            assert await kinds(second, ada) == ["text", "unknown"]
        finally:
            await second.engine.close()


@in_virtual_time
async def test_case_97_an_unknown_operation_is_kept_and_later_ones_build_on_it(tmp_path: Path) -> None:
    async with with_a_later_one(tmp_path, dials=True) as (ada, later):
        ben, before = later.person, await ada.engine.contacts()
        operation = await later.signs()
        await asyncio.sleep(10)
        stored = await ada.engine._use_cases.store.read(persons.operations_of, ben.peer.person)
        assert operation in {parse_operation(signed).id for signed in stored}
        assert [replace(view, seen=None) for view in await ada.engine.contacts()] == [
            replace(view, seen=None) for view in before
        ]
        state = ada.engine._use_cases.keyring.contacts[ben.peer.person].state
        assert state.heads == (operation,)
        following = await later.signs()
        await asyncio.sleep(10)
        await talk(ada, ben, "to")
        await talk(ben, ada, "and fro")
        await ada.stop()
        await ada.start()
        state = ada.engine._use_cases.keyring.contacts[ben.peer.person].state
        assert state.heads == (following,)
        assert await ada.engine._use_cases.store.read(persons.operations_of, ben.peer.person) != stored


@in_virtual_time
async def test_case_97_many_messages_of_a_later_version_delay_the_reading_of_their_link(
    tmp_path: Path,
) -> None:
    async with with_a_later_one(tmp_path, dials=True) as (ada, later):
        ben, link, clock = later.person, current(ada, later.person), asyncio.get_running_loop()
        for messages, seconds in ((int(UNKNOWN_AT_ONCE), 0.0), (64, 64 / UNKNOWN_A_SECOND)):
            start = clock.time()
            for _ in range(messages):
                await link.events.passed_over(link)
            assert clock.time() - start == pytest.approx(seconds)
        for _ in range(int(UNKNOWN_AT_ONCE)):
            await later.says()
        await talk(ben, ada, "in the end")
        await talk(ada, ben, "and back")


@in_virtual_time
async def test_case_97_a_link_whose_reading_is_delayed_is_not_taken_for_a_silent_one(tmp_path: Path) -> None:
    """This side does not hear what it does not read, and needs no other link for it."""
    async with with_a_later_one(tmp_path, dials=True) as (ada, later):
        ben, link, needed = later.person, current(ada, later.person), list[LinkNeeded]()
        ada.engine._use_cases.bus.on(LinkNeeded, needed.append)
        for _ in range(int(UNKNOWN_AT_ONCE)):
            await link.events.passed_over(link)
        said = int(4 * UNKNOWN_A_SECOND)
        since = asyncio.get_running_loop().time()
        driver, message = current(ben, ada).driver, cast(Any, Reaction(bytes(32), None))
        for _ in range(said):  # in one read
            driver.link.send(message, ben.clock.monotonic())
        reads, passed_over = asyncio.Event(), link.events.passed_over

        async def noted(one: LiveLink) -> None:
            reads.set()
            await passed_over(one)

        link.events.passed_over = noted  # type: ignore[method-assign, assignment]
        await driver.flush()
        await reads.wait()
        sent = await say(ada, ben, "which Ben answers at once")
        await ada.wait(EntryChanged, lambda event: (event.id, event.state) == (sent.id, EntryState.DELIVERED))
        assert asyncio.get_running_loop().time() - since > DEFAULTS.absent_after
        assert needed == []
        assert current(ada, ben) is link
        assert len(ada.engine._use_cases.links.of(ben.peer.person)) == 1
        (contact,) = await ada.engine.contacts()
        assert contact.present
