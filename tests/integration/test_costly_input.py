"""Messages that cost much more to process than to send, and the budgets that bound them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from chat.config import Config
from chat.interface import ContactChanged, EntriesMoved, EntryAdded, IdentityChanged
from chat.network.driver import Driver, Opening
from chat.network.links import DIRECT_MOST, LiveLink, Peer
from chat.service.comparison import PAGES_WAITING, Comparison
from chat.service.person_logs import Intake, PersonLogs
from chat.service.sync import Outbound, Synchronizer
from chat.storage import entries, persons, receipts
from chat.storage.ordering import PIECE
from chat.tasks import Beat
from protocol.entries_and_receipts import (
    KIND_TEXT,
    EntryPlace,
    ParsedEntry,
    conversation_of_two,
    parse_entry,
    text_body,
    write_entry,
)
from protocol.identity.author import add_operation, remove_operation, rename_operation
from protocol.identity.log import Operation, Rename, load, sign_operation, terminal_id
from protocol.identity.reduction import PersonState, Reduction, reduce
from protocol.keys import X25519Pair
from protocol.limits import LOG_OPERATIONS_MAX, RECEIPT_IDS_MAX
from protocol.link.handshake import Initiator
from protocol.link.link import Link
from protocol.link.states import Event, LinkOpen
from protocol.messages import Heads, HeadsHash, LogHeads, LogOperations, Message, Reachable, Receipt, Typing
from protocol.primitives import ed25519_from_seed
from tests.integration.steps import current, dial, entry_of, in_touch, meet, presence, say
from tests.support.engines.engines import Person, in_virtual_time, people, recover, talk
from tests.support.fakes.network import MemoryTransport, Network
from tests.support.protocol.pairings import Terminal, id_of

SPENT = 16
"""Messages in a row: more than any budget holds at once."""


class BensLog:
    """Ben's log, to which Ben's first terminal adds. `junior`: the static key of a second terminal."""

    def __init__(self, ben: Person, operations: Sequence[bytes]) -> None:
        self._own, self._random = ben.engine._use_cases.keyring.own, ben.engine._use_cases.runtime.random
        self.operations = list(operations)
        self._seed, self.junior = self._random(32), X25519Pair.generate(self._random)
        self.junior_id = terminal_id(ed25519_from_seed(self._seed), self.junior.public)

    @property
    def state(self) -> PersonState:
        return reduce(self.operations)

    def add(self, new: Terminal | None = None) -> LogOperations:
        """Add a terminal, the junior one by default."""
        keys = (new.seed, new.static) if new else (self._seed, self.junior.public)
        added = add_operation(self.state, self._own.terminal, ed25519_from_seed(keys[0]), keys[1], "laptop")
        return self._write(added, keys[0])

    def rename_as_junior(self, upon: PersonState, name: str) -> bytes:
        """What the junior terminal signs. It is not kept here."""
        return sign_operation(rename_operation(upon, self.junior_id, name), self._seed)

    def rename(self, name: str) -> LogOperations:
        return self._write(rename_operation(self.state, self._own.terminal, name))

    def remove(self, terminal: bytes = b"") -> LogOperations:
        """Remove a terminal, the junior one by default."""
        now = Reduction(load(self.operations))
        return self._write(remove_operation(now, self._own.terminal, terminal or self.junior_id, []))

    def _write(self, operation: Operation, *seeds: bytes) -> LogOperations:
        self.operations.append(sign_operation(operation, self._own.signing_seed, *seeds))
        return LogOperations(self.operations[-1:])


async def log_of(ben: Person) -> BensLog:
    parts = ben.engine._use_cases
    return BensLog(ben, await parts.store.read(persons.operations_of, parts.keyring.own.person))


class _Deaf:
    """The handler of a link on which nothing is answered. `heard`: the other side has said something."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        """Ignore them."""
        self.heard.set()


async def link_of_junior(log: BensLog, ben: Person, ada: Person, network: Network) -> Driver:
    """A link of Ben's second terminal, which has what the first one knows, with Ada."""
    return await link_of_copy(ben, ada, network, "10.0.0.9", log.junior)


async def link_of_copy(
    ben: Person, ada: Person, network: Network, host: str, static: X25519Pair | None = None
) -> Driver:
    """A link with Ada from another host, by what Ben's terminal knows, its static pair by default."""
    ring, peer = ben.engine._use_cases.keyring, ada.peer
    own, psks = static or ring.identity.static, ring.dial_psks(peer)
    start = Initiator.contact(own, peer.static, ring.own.person, peer.person, psks)

    deaf = _Deaf()

    async def adopt(_driver: Driver, _opened: LinkOpen) -> _Deaf:
        return deaf

    opening = Opening(adopt)
    connection = await MemoryTransport(network, host).connect(ada.host, 4747, 3.0)
    driver = Driver(connection, Link(start, ada.clock.monotonic()), ada.clock, Beat(), opening)
    ada.engine._use_cases.runtime.tasks.spawn(driver.run())
    assert isinstance(await opening.result, LinkOpen)
    await deaf.heard.wait()  # Ada has taken the link, and begins to speak
    return driver


def kept(person: Person) -> list[LiveLink]:
    """The links that go on."""
    links = person.engine._use_cases.links
    return [link for link in links.all() if links.keeps(link)]


def operations_read(
    monkeypatch: pytest.MonkeyPatch, person: Person, messages: Sequence[LogOperations]
) -> asyncio.Event:
    """The moment when all these messages were read, of which each may still wait for its turn."""
    logs, store = person.engine._use_cases.sync._logs, PersonLogs.store
    left, reached = list(messages), asyncio.Event()

    async def noted(self: PersonLogs, link: LiveLink, message: LogOperations, *given: Any) -> None:
        if self is logs and message in left:
            left.remove(message)
            if not left:
                reached.set()
        await store(self, link, message, *given)

    monkeypatch.setattr(PersonLogs, "store", noted)
    return reached


def bens_state(ada: Person, ben: Person) -> PersonState:
    """Ben's log as Ada has it."""
    return ada.engine._use_cases.keyring.log(ben.engine._use_cases.keyring.own.person)


@in_virtual_time
async def test_case_89_a_thief_with_a_junior_terminal_does_not_suppress_its_removal(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        log, first = await log_of(ben), current(ben, ada).driver
        await first.send(log.add())
        await talk(ben, ada, "added")
        assert log.junior_id in bens_state(ada, ben).live
        thief, conversation = await link_of_junior(log, ben, ada, network), _conversation(ada, ben)
        costly: list[Message] = [
            Heads(conversation, b"", [], more=False),
            HeadsHash(conversation, bytes(32)),
            LogHeads(ada.peer.person, []),
        ]
        for message in costly * SPENT:
            await thief.send(message)
        await talk(ben, ada, "spent")
        before = ada.clock.monotonic()
        await first.send(log.remove())
        await talk(ben, ada, "removed")
        assert log.junior_id not in bens_state(ada, ben).live
        assert ada.clock.monotonic() < before + 0.5  # nor is it delayed


@in_virtual_time
async def test_case_89_a_thief_that_fills_a_log_ends_no_link_of_the_owners_terminals(tmp_path: Path) -> None:
    """Ada has no room for the names that Ben's second terminal signs, until the first removes the thief."""
    async with in_touch(tmp_path) as (network, ada, ben):
        log, first = await log_of(ben), current(ben, ada).driver
        await first.send(log.add())
        await talk(ben, ada, "added")
        second = await link_of_junior(log, ben, ada, network)
        before, thief = log.state, Terminal.named("thief")
        await first.send(log.add(thief))
        parents, flood = list(log.state.heads), list[bytes]()
        for number in range(LOG_OPERATIONS_MAX):
            rename = Rename(before.person, thief.id, parents, f"thief {number}")
            flood.append(sign_operation(rename, thief.seed))
            parents = [id_of(flood[-1])]
        await first.send(LogOperations(flood))
        await talk(ben, ada, "filled")
        assert bens_state(ada, ben).name == f"thief {LOG_OPERATIONS_MAX - 1}"
        name = log.rename_as_junior(before, "Benjamin")
        await second.send(LogOperations([name]))
        await talk(ben, ada, "no room")
        following = log.rename_as_junior(reduce([*log.operations, name]), "Benny")
        await second.send(LogOperations([following]))
        await asyncio.sleep(60)
        assert second.link.is_open
        await first.send(log.remove(thief.id))
        renamed = ada.wait(ContactChanged, lambda event: bens_state(ada, ben).name == "Benny")
        await second.send(LogOperations([name]))
        await renamed
        assert second.link.is_open


@in_virtual_time
async def test_case_89_operations_beyond_the_budget_are_delayed_and_none_is_dropped(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        log, link = await log_of(ben), current(ben, ada).driver
        costly: list[Message] = [Heads(_conversation(ada, ben), b"", [], more=False), log.add()]
        for message in costly * SPENT:
            await link.send(message)
        for number in range(4):
            await link.send(log.rename(f"Ben {number}"))
        before = ada.clock.monotonic()
        all_of_it = ada.wait(IdentityChanged, lambda _: bens_state(ada, ben).heads == log.state.heads)
        await link.send(log.remove())
        await all_of_it
        assert ada.clock.monotonic() > before + 1.0


@pytest.mark.parametrize("number", [DIRECT_MOST, 5 * DIRECT_MOST])
@in_virtual_time(limit=600)
async def test_case_89_copies_of_a_key_that_fill_the_links_do_not_suppress_the_owners_recovery(
    tmp_path: Path, number: int
) -> None:
    """They fill the links from as many addresses, and spend what budgets there are."""
    async with in_touch(tmp_path) as (network, ada, ben):
        words = (await ben.engine.recovery_words()).words
        gone = presence(ada, present=False)
        await ben.stop()
        await gone
        for copy in range(number):
            thief = await link_of_copy(ben, ada, network, f"10.0.1.{copy}")
            for _ in range(SPENT):
                await thief.send(LogHeads(ada.peer.person, []))
            assert len(kept(ada)) == min(copy + 1, DIRECT_MOST)
        linked = presence(ben, present=True)
        await ben.start()
        await linked
        told, before = ada.wait(IdentityChanged), ada.clock.monotonic()
        await recover(ben, words, ())
        await told
        assert ada.clock.monotonic() < before + 1
        assert (await ada.engine.contacts())[0].held
        assert len(kept(ada)) == DIRECT_MOST
        assert current(ada, ben).address == ben.host


@in_virtual_time(limit=600)
async def test_case_94_links_again_and_again_delay_what_others_signed_by_a_message_per_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thief with Ben's key opens links from four addresses, and sends a costly message on each."""
    async with people(tmp_path, "Ada", "Ben", "Carol") as (network, (ada, ben, carol)):
        for other in (ben, carol):
            await meet(ada, other)
            await talk(other, ada, "hello")
        logs, worked_on, held_back = ada.engine._use_cases.sync._logs, list[bytes](), asyncio.Event()
        receive, busy, links = PersonLogs.received, asyncio.Event(), ada.engine._use_cases.links

        async def noted(self: PersonLogs, peer: Peer, operations: Sequence[bytes], intake: Intake) -> None:
            if self is logs:
                worked_on.append(operations[0])
                busy.set()
                await held_back.wait()
            await receive(self, peer, operations, intake)

        monkeypatch.setattr(PersonLogs, "received", noted)
        bens, carols = await log_of(ben), await log_of(carol)
        costly = bens.add()
        thief = [await link_of_copy(ben, ada, network, f"10.0.1.{n % 4}") for n in range(3 * DIRECT_MOST)]
        for link in thief[-DIRECT_MOST:]:
            await link.send(costly)
        await busy.wait()
        before = links.of(ben.peer.person)
        for _ in range(DIRECT_MOST):
            await (await link_of_copy(ben, ada, network, "10.0.1.1")).send(costly)
        assert not all(map(links.keeps, before))
        by_carol, by_ben = carols.rename("Caroline"), bens.rename("Benjamin")
        both_read = operations_read(monkeypatch, ada, [by_carol, by_ben])
        await current(carol, ada).driver.send(by_carol)
        own = await link_of_copy(ben, ada, network, "10.0.2.1")
        last = links.of(ben.peer.person)[-1]
        await own.send(LogHeads(ben.peer.person, list(bens.state.heads)))  # as a link begins
        await own.send(by_ben)
        for number in range(2 * DIRECT_MOST):
            await link_of_copy(ben, ada, network, f"10.0.3.{number}")
        assert not links.keeps(last)
        carols_told = ada.wait(IdentityChanged, lambda event: "Caroline" in event.cause)
        bens_told = ada.wait(IdentityChanged, lambda event: "Benjamin" in event.cause)
        await both_read.wait()
        held_back.set()
        await asyncio.gather(carols_told, bens_told)
        assert worked_on.index(by_carol.operations[0]) <= 2  # after what was under way, and one in turn
        assert worked_on.index(by_ben.operations[0]) <= 2 + 1 + 4


@pytest.mark.parametrize("costly", [LogHeads, LogOperations])
@in_virtual_time
async def test_case_94_a_link_that_gave_way_leaves_no_more_work_than_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, costly: type[Message]
) -> None:
    """What it has sent comes in one read. It gives way while the first message of these is worked on."""
    async with in_touch(tmp_path) as (network, ada, ben):
        log, links = await log_of(ben), ada.engine._use_cases.links
        messages = list[Message]()
        for number in range(6):
            renamed = log.rename(f"Ben {number}")
            messages.append(renamed if costly is LogOperations else LogHeads(ada.peer.person, []))
        worked_on = "received" if costly is LogOperations else "named"
        original, begun, go_on, calls = getattr(PersonLogs, worked_on), asyncio.Event(), asyncio.Event(), 0

        async def waits(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            begun.set()
            await go_on.wait()
            return await original(*arguments)

        monkeypatch.setattr(PersonLogs, worked_on, waits)
        thief = await link_of_copy(ben, ada, network, "10.0.1.1")
        link = links.of(ben.peer.person)[-1]
        end, ended = Synchronizer.ended, asyncio.Event()

        async def noted(self: Synchronizer, one: LiveLink) -> None:
            await end(self, one)
            if one is link:
                ended.set()

        monkeypatch.setattr(Synchronizer, "ended", noted)
        for message in messages:
            thief.link.send(message, ada.clock.monotonic())
        await thief.flush()
        await begun.wait()
        while links.keeps(link):
            await link_of_copy(ben, ada, network, "10.0.1.1")
        go_on.set()
        await ended.wait()
        assert calls == 1


@pytest.mark.parametrize(
    ("owner", "worked_on", "message", "most"),
    [
        (PersonLogs, "named", lambda _, person: LogHeads(person, []), 8 + 5),
        (Comparison, "heads_if_other", lambda conversation, _: HeadsHash(conversation, bytes(32)), 8 + 1),
        (Comparison, "lacking", lambda conversation, _: Heads(conversation, b"", [], more=False), 8 + 1),
    ],
)
@in_virtual_time
async def test_case_94_heads_again_and_again_are_worked_on_at_a_rate(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    worked_on: str,
    message: Callable[[bytes, bytes], Message],
    most: int,
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        original, calls, link = getattr(owner, worked_on), list[object](), current(ben, ada).driver

        async def noted(*arguments: Any) -> Any:
            calls.append(arguments)
            return await original(*arguments)

        monkeypatch.setattr(owner, worked_on, noted)
        for _ in range(4 * SPENT):
            await link.send(message(_conversation(ada, ben), ada.peer.person))
        await asyncio.sleep(5)
        assert 0 < len(calls) <= most


@pytest.mark.parametrize("message", [Typing, Reachable])
@in_virtual_time
async def test_case_94_hints_again_and_again_cause_events_and_writes_at_a_rate(
    tmp_path: Path, message: type[Message]
) -> None:
    """A peer that begins and stops to type, or names another port, as often as it can."""
    async with in_touch(tmp_path) as (_, ada, ben):
        link, store, conversation = (
            current(ben, ada).driver,
            ada.engine._use_cases.store,
            _conversation(ada, ben),
        )
        asked, seen = store.asked, len(ada.seen)
        for number in range(4 * SPENT):
            await link.send(
                Typing(conversation, number % 2 == 0) if message is Typing else Reachable(number + 1)
            )
        await asyncio.sleep(2)
        assert 0 < (store.asked - asked) + (len(ada.seen) - seen) <= SPENT + 2 * 4
        await talk(ben, ada, "behind the hints")
        assert not (await ada.engine.contacts())[0].typing


@in_virtual_time(limit=600)
async def test_case_94_hints_on_links_again_and_again_cause_writes_at_a_rate_and_delay_no_operation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        log, store, written = await log_of(ben), ada.engine._use_cases.store, list[object]()
        write = store.write

        async def noted(work: Any, *arguments: Any, **named: Any) -> Any:
            written.append(work)
            return await write(work, *arguments, **named)

        store.write = noted  # type: ignore[method-assign]
        copies = [await link_of_copy(ben, ada, network, f"10.0.1.{number}") for number in range(SPENT)]
        for port in range(SPENT * SPENT):
            await copies[port % SPENT].send(Reachable(1 + port))
        changed, before = ada.wait(IdentityChanged), ada.clock.monotonic()
        behind = log.rename("Benjamin")
        all_read = operations_read(monkeypatch, ada, [behind] * DIRECT_MOST)
        for copy in copies[-DIRECT_MOST:]:  # the others gave way
            await copy.send(behind)
        await asyncio.gather(changed, all_read.wait())
        assert ada.clock.monotonic() < before + 1
        assert 0 < written.count(persons.add_address) <= 2 * SPENT


@in_virtual_time
async def test_heads_of_logs_that_are_held_delay_nothing(tmp_path: Path) -> None:
    """Links that open again and again name the same heads."""
    async with in_touch(tmp_path) as (_, ada, ben):
        link, keyring = current(ben, ada).driver, ada.engine._use_cases.keyring
        for log in (keyring.own_log, keyring.contacts[ben.peer.person].state) * SPENT:
            await link.send(LogHeads(log.person, list(log.heads)))
        before = ada.clock.monotonic()
        await talk(ben, ada, "behind the heads")
        assert ada.clock.monotonic() < before + 1


@in_virtual_time
async def test_pages_of_heads_beyond_the_rate_are_delayed_and_nothing_waits_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        original, calls, link = Comparison.lacking, list[Heads](), current(ben, ada)

        async def noted(
            comparison: Comparison, from_link: LiveLink, page: Heads, mine: set[bytes]
        ) -> list[bytes]:
            calls.extend([page] if page.after else [])
            return await original(comparison, from_link, page, mine)

        monkeypatch.setattr(Comparison, "lacking", noted)
        for _ in range(12):
            await link.driver.send(Heads(_conversation(ada, ben), bytes(32), [], more=False))
        before = ada.clock.monotonic()
        await talk(ben, ada, "behind the pages")
        assert ada.clock.monotonic() < before + 1
        assert len(calls) < 12
        await asyncio.sleep(60)
        assert len(calls) == 12
        assert current(ben, ada) is link


@in_virtual_time
async def test_case_94_so_many_pages_of_heads_wait_and_none_for_a_link_that_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        delayed, queued = list[Heads](), list[Outbound]()
        answer_after, carry_found = Comparison._answer_after, Outbound.carry_found

        async def late(comparison: Comparison, delay: float, link: LiveLink, page: Heads, carry: Any) -> None:
            delayed.append(page)
            await answer_after(comparison, delay, link, page, carry)

        def noted(outbound: Outbound, find: Any) -> None:
            queued.append(outbound)
            carry_found(outbound, find)

        monkeypatch.setattr(Comparison, "_answer_after", late)
        monkeypatch.setattr(Outbound, "carry_found", noted)
        link = current(ben, ada)
        for _ in range(2 * PAGES_WAITING):
            await link.driver.send(Heads(_conversation(ada, ben), b"", [], more=False))
        await talk(ben, ada, "behind the pages")
        assert SPENT < len(delayed) <= PAGES_WAITING
        answered, gone = len(queued), presence(ada, present=False)
        assert 0 < answered < len(delayed)
        await ben.stop()
        await gone
        await asyncio.sleep(300)
        assert len(queued) == answered


@in_virtual_time
async def test_case_94_a_peer_that_reads_nothing_fills_no_memory_with_answers_to_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer names the whole history: the next is found when the one before it is sent."""
    async with in_touch(tmp_path) as (_, ada, ben):
        lacking, send, calls = Comparison.lacking, Outbound._send, list[Heads]()
        begun, reads = asyncio.Event(), asyncio.Event()
        empty = Heads(_conversation(ada, ben), b"", [], more=False)

        async def noted(
            comparison: Comparison, from_link: LiveLink, page: Heads, mine: set[bytes]
        ) -> list[bytes]:
            if from_link.person == ben.peer.person and page == empty:
                calls.append(page)
            return await lacking(comparison, from_link, page, mine)

        async def waits(outbound: Outbound, *args: Any, **options: Any) -> None:
            if outbound._link.person == ben.peer.person:
                begun.set()
                await reads.wait()
            await send(outbound, *args, **options)

        await dial(ben, ada)  # a link that has carried nothing yet
        monkeypatch.setattr(Comparison, "lacking", noted)
        monkeypatch.setattr(Outbound, "_send", waits)
        for _ in range(5):
            await current(ben, ada).driver.send(empty)
        heard = ada.wait(EntryAdded, lambda event: event.entry.text == "behind the pages")
        await say(ben, ada, "behind the pages")
        await heard
        await begun.wait()
        assert len(calls) == 1
        reads.set()
        await talk(ada, ben, "which follows the answers")
        assert len(calls) == 5


@in_virtual_time
async def test_case_94_a_receipt_that_names_one_entry_many_times_ends_the_link_before_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        large = bytes.fromhex((await say(ada, ben, "\N{GRINNING FACE}" * 16_000)).id)
        stored, asked = receipts.acknowledge, list[Receipt]()

        def noted(*arguments: Any) -> dict[bytes, bool]:
            asked.append(arguments[4])
            return stored(*arguments)

        monkeypatch.setattr(receipts, "acknowledge", noted)
        gone = presence(ada, present=False)
        await current(ben, ada).driver.send(Receipt(1, [large] * RECEIPT_IDS_MAX))
        await gone
        assert [receipt for receipt in asked if len(receipt.ids) > 1] == []
        await talk(ben, ada, "again")


def chain_after(ben: Person, ada: Person, late: ParsedEntry, length: int) -> list[ParsedEntry]:
    """Entries of Ben's, whose clock stands still, of which the first names an entry that Ada lacks."""
    parts, made = ben.engine._use_cases, list[ParsedEntry]()
    own, heads = parts.keyring.own, parts.keyring.own_log.heads
    for number in range(length):
        last = (late.header.sequence, late.id) if not made else (made[-1].header.sequence, made[-1].id)
        place = EntryPlace(_conversation(ada, ben), own.terminal, b"12345678", last, [], heads)
        body = text_body(f"entry {number}")
        made.append(write_entry(place, 1_000, KIND_TEXT, body, own.first_self_key, parts.runtime.random))
    return made


@pytest.mark.parametrize("stopped", [False, True])
@in_virtual_time
async def test_case_94_a_late_parent_of_a_long_chain_is_ranked_in_pieces_also_after_a_restart(
    tmp_path: Path, stopped: bool
) -> None:
    async with in_touch(tmp_path, Config(ranks_every=1.0)) as (_, ada, ben):
        late = parse_entry(entry_of(ben, ada))
        chain, driver = chain_after(ben, ada, late, 3 * PIECE), current(ben, ada).driver
        for entry in (*chain, late):
            await driver.send(entry.message())
        await talk(ben, ada, "after")
        store = ada.engine._use_cases.store
        assert await store.read(entries.is_unsettled)
        if stopped:
            await ada.stop()
            await ada.start()
        await asyncio.sleep(60)
        assert not await ada.engine._use_cases.store.read(entries.is_unsettled)
        place = {view.id: number for number, view in enumerate(await ada.history(ben))}
        shown = [place[entry.id.hex()] for entry in (late, *chain)]
        assert shown == sorted(shown)
        moved = [event for event in ada.seen if isinstance(event, EntriesMoved)]
        assert moved == [EntriesMoved(await ada.contact(ben))], (
            "told once, when all of them stand where they belong"
        )


def _conversation(ada: Person, ben: Person) -> bytes:
    return conversation_of_two(*(one.engine._use_cases.keyring.own.person for one in (ada, ben)))
