"""What a slow disk lets happen in between: contacts removed, links ended, links replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from chat.interface import EntryState, PairingStage
from chat.network.relay.client import AT_ONCE
from chat.network.relay.connection import Lost, RelayLine
from chat.service.sync import Inbound, Synchronizer
from protocol.entries import KIND_TEXT, EntryPlace, conversation_of_two, text_body, write_entry
from protocol.identity.author import rename_operation
from protocol.identity.exchange import Extension, extend
from protocol.identity.log import sign_operation
from protocol.messages import Heads, LogOperations, Message, Reachable
from protocol.primitives import system_random
from protocol.relay.rendezvous import DAY_SECONDS
from tests.support.engines.engines import Person, in_virtual_time, invite, people, talk, two_contacts
from tests.support.fakes.network import MemoryTransport, Network
from tests.support.fakes.relay import MemoryRelay


@asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[Network, Person, Person, list[dict[str, Any]]]]:
    """Two contacts who have talked, and every fault that nobody handles from then on."""
    faults: list[dict[str, Any]] = []
    async with two_contacts(folder) as (network, ada, ben):
        await talk(ada, ben, "before")
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        yield network, ada, ben, faults


TOGETHER = (0.0, 0.0)
LATE_ANSWER = (0.0, 0.5)
LATE_WORK = (0.3, 0.0)
"""Seconds before the disk begins, and after it is done."""


def slow(monkeypatch: pytest.MonkeyPatch, person: Person, name: str, *delays: tuple[float, float]) -> None:
    """Let the disk's answers come half a second late; with `delays` these first ones as they say."""
    store = person.engine._use_cases.store
    original, left = getattr(store, name), list(delays)

    async def slowly(*arguments: Any, **options: Any) -> Any:
        before, after = left.pop(0) if left else LATE_ANSWER
        await asyncio.sleep(before)
        result = await original(*arguments, **options)
        await asyncio.sleep(after)
        return result

    monkeypatch.setattr(store, name, slowly)


async def say(person: Person, *messages: Message) -> None:
    """All in one portion of bytes."""
    (link,) = person.engine._use_cases.links.all()
    for message in messages:
        link.driver.link.send(message, person.clock.monotonic())
    await link.driver.flush()


def an_entry(person: Person, other: Person) -> Message:
    parts = person.engine._use_cases
    conversation = conversation_of_two(parts.keyring.own.person, other.engine._use_cases.keyring.own.person)
    place = EntryPlace(
        conversation, parts.keyring.own.terminal, b"12345678", None, [], parts.keyring.own_log.heads
    )
    body = text_body("hello")
    made = write_entry(
        place, person.clock.wall(), KIND_TEXT, body, parts.keyring.own.self_key, parts.runtime.random
    )
    return made.message()


def renamed(person: Person) -> LogOperations:
    parts = person.engine._use_cases
    operation = rename_operation(parts.keyring.own_log, parts.keyring.own.terminal, "Benjamin")
    return LogOperations([sign_operation(operation, parts.keyring.own.signing_seed)])


@in_virtual_time
async def test_a_contact_removed_while_its_log_grows_stays_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(tmp_path) as (_, ada, ben, faults):
        contact = await ada.contact(ben)
        slow(monkeypatch, ada, "read")
        await say(ben, renamed(ben))
        await asyncio.sleep(0.8)  # the operation is stored, and read again
        await ada.engine.remove(contact)
        await asyncio.sleep(5)
        assert not ada.engine._use_cases.keyring.contacts
        assert not ada.engine._use_cases.links.all()
        assert not faults


@pytest.mark.parametrize(
    ("stored", "removed"),
    [(LATE_ANSWER, LATE_ANSWER), (LATE_ANSWER, TOGETHER), (LATE_WORK, LATE_ANSWER)],
    ids=["both late", "removed first", "removed before it is stored"],
)
@in_virtual_time
async def test_a_contact_removed_while_its_log_is_stored_leaves_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: tuple[float, float], removed: tuple[float, float]
) -> None:
    async with two(tmp_path) as (_, ada, ben, faults):
        contact = await ada.contact(ben)
        slow(monkeypatch, ada, "write", stored, removed)
        await say(ben, renamed(ben))
        await asyncio.sleep(0.1)
        await ada.engine.remove(contact)
        await asyncio.sleep(5)
        assert not ada.engine._use_cases.keyring.contacts
        assert await ada.engine.contacts() == ()
        assert not faults


@pytest.mark.parametrize("second", ["log", "port"])
@in_virtual_time
async def test_a_contact_removed_between_two_of_its_messages_leaves_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    async with two(tmp_path) as (_, ada, ben, faults):
        contact = await ada.contact(ben)
        slow(monkeypatch, ada, "write")
        await say(ben, an_entry(ben, ada), renamed(ben) if second == "log" else Reachable(5000))
        await asyncio.sleep(0.1)
        await ada.engine.remove(contact)
        await asyncio.sleep(5)
        assert not faults


@in_virtual_time
async def test_a_replaced_link_that_ends_after_its_successor_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(tmp_path) as (network, ada, ben, faults):
        person = bytes.fromhex(await ada.contact(ben))
        await say(ben, Reachable(5000))
        slow(monkeypatch, ada, "write")
        await say(ben, an_entry(ben, ada))
        await asyncio.sleep(0.01)
        await ada.engine._use_cases.dialer.dial(person, 1.0)
        await asyncio.sleep(0.1)
        assert len(ada.engine._use_cases.links._sets[person].links) == 1
        network.cut(ben.host)
        network.pipes[-1].break_now()
        await asyncio.sleep(3)
        assert not faults
        sync = ada.engine._use_cases.sync
        assert isinstance(sync, Synchronizer)
        assert set(sync._workers) == set(ada.engine._use_cases.links.all())


@in_virtual_time
async def test_a_link_whose_opening_fails_is_not_taken_for_a_living_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(tmp_path) as (network, ada, ben, _):
        left = [1]
        original = Synchronizer.opened

        async def failing(self: Synchronizer, link: Any) -> None:
            if self is ada.engine._use_cases.sync and left:
                left.pop()
                raise RuntimeError("planted")
            await original(self, link)

        monkeypatch.setattr(Synchronizer, "opened", failing)
        for pipe in list(network.pipes):
            pipe.break_now()
        await asyncio.sleep(60)
        assert not left
        assert len(ada.engine._use_cases.links.all()) == 1
        await asyncio.wait_for(talk(ada, ben, "after"), 10)


@in_virtual_time
async def test_asking_for_the_whole_history_again_and_again_costs_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(tmp_path) as (_, ada, ben, faults):
        walks = 0
        original = Inbound.lacking

        async def counted(self: Any, link: Any, message: Heads) -> list[bytes]:
            nonlocal walks
            walks += 1
            return await original(self, link, message)

        monkeypatch.setattr(Inbound, "lacking", counted)
        parts = ben.engine._use_cases
        conversation = conversation_of_two(parts.keyring.own.person, ada.engine._use_cases.keyring.own.person)
        await say(ben, *[Heads(conversation, [])] * 100)
        await asyncio.sleep(5)
        assert 0 < walks <= 8
        assert await talk(ada, ben, "still talking")
        assert not faults


@in_virtual_time
async def test_what_was_read_while_receipts_were_off_stays_untold(tmp_path: Path) -> None:
    async with two(tmp_path) as (network, ada, ben, _):
        settings = await ben.engine.settings()
        await ben.engine.change_settings(replace(settings, read_receipts=False))
        entry = await talk(ada, ben, "read in private")
        await ben.engine.mark_read(await ben.contact(ada), (entry,))
        await ben.engine.change_settings(settings)
        for pipe in list(network.pipes):
            pipe.break_now()
        later = await talk(ada, ben, "read openly")
        await asyncio.sleep(5)
        states = {view.id: view.state for view in await ada.history(ben)}
        assert states[entry] is EntryState.DELIVERED
        await ben.engine.mark_read(await ben.contact(ada), (later,))
        await asyncio.sleep(5)
        states = {view.id: view.state for view in await ada.history(ben)}
        assert states[later] is EntryState.READ


@in_virtual_time
async def test_a_log_that_comes_again_and_again_is_verified_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(tmp_path) as (_, ada, ben, faults):
        verified = 0

        def counted(*arguments: Any) -> Extension:
            nonlocal verified
            verified += 1
            return extend(*arguments)

        monkeypatch.setattr("chat.service.person_logs.extend", counted)
        await say(ben, *[renamed(ben)] * 100)
        await asyncio.sleep(5)
        assert 0 < verified <= 8
        assert [view.name for view in await ada.engine.contacts()] == ["Benjamin"]
        assert await talk(ada, ben, "still talking")
        assert not faults


@in_virtual_time
async def test_invitations_made_at_one_moment_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        slow(monkeypatch, ada, "write")
        for _number in range(3):
            await ada.engine.invite()
        made = await asyncio.gather(*(ada.engine.invite() for _ in range(3)))
        assert len(ada.engine._use_cases.keyring.invitations) == 4
        asked = ada.stage(PairingStage.JOINER)
        await ben.engine.join(made[-1].text)
        await asked


@in_virtual_time
async def test_of_two_addresses_that_answer_only_one_keeps_its_connection(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        found = await ada.sees("Ben")
        announced = ada.engine._use_cases.announcer._found
        announced[found.instance] = replace(announced[found.instance], addresses=(ben.host, ben.host))
        await ada.engine.pair_nearby(found.instance)
        await asyncio.sleep(0.1)
        assert len([pipe for pipe in network.pipes if pipe.here == ada.host and not pipe.closed]) == 1


@in_virtual_time
async def test_attack_17_one_invitation_shows_one_joiner_at_a_time(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        invitation = await ada.engine.invite()
        await asyncio.gather(*(ben.engine.join(invitation.text) for _ in range(6)))
        await asyncio.sleep(1)
        (waiting,) = ada.engine._use_cases.pairings._active
        done = ada.stage(PairingStage.DONE), ben.stage(PairingStage.DONE)
        await ada.engine.answer_pairing(waiting, True)
        await asyncio.gather(*done)


class Snatcher:
    """Calls a terminal whenever it waits, and says nothing."""

    def __init__(self, mallory: Person, victim: Person, relay: MemoryRelay) -> None:
        self._relay, self._clock = relay, mallory.clock
        self._transport = MemoryTransport(mallory.network, mallory.host)
        self._transport.name_relays({relay.address})
        keyring, person = mallory.engine._use_cases.keyring, victim.engine._use_cases.keyring.own.person
        day = relay.clock.wall() // 1_000 // DAY_SECONDS
        (self._token,) = keyring.dial_tokens(person, relay.pair.public, day)
        self.snatched = 0

    async def run(self) -> None:
        while True:
            line = await RelayLine.open(self._transport, self._relay.address, self._clock, system_random)
            try:
                for _ in range(16):
                    if (reached := await line.dial(self._token)) is not None:
                        self.snatched += 1
                        reached.circuit.close()
                        break
            except Lost:
                pass
            line.close()


@asynccontextmanager
async def three(folder: Path) -> AsyncIterator[tuple[Person, Person, list[Snatcher]]]:
    """Ada and Ben, who reach a relay alone, and Mallory, a contact of both, who calls them without end."""
    async with people(folder, "Ada", "Ben", "Mallory") as (network, persons):
        for one, other in combinations(persons, 2):
            await invite(one, other)
        relay, (ada, ben, mallory) = MemoryRelay(network).start(), persons
        snatchers = [Snatcher(mallory, victim, relay) for victim in (ada, ben)]
        await mallory.stop()
        for one, other in combinations(persons, 2):
            network.part(one.host, other.host)
        running = [asyncio.ensure_future(snatcher.run()) for snatcher in snatchers]
        for person in (ada, ben):
            await person.engine.add_relay(str(relay.address))
        try:
            yield ada, ben, snatchers
        finally:
            for task in running:
                task.cancel()


@in_virtual_time
async def test_whoever_calls_all_the_time_keeps_nobody_else_away(tmp_path: Path) -> None:
    async with three(tmp_path) as (ada, ben, snatchers):
        await asyncio.sleep(20)
        await asyncio.wait_for(talk(ada, ben, "in spite of it"), 20)
        await asyncio.wait_for(talk(ben, ada, "and back"), 5)
        assert all(snatcher.snatched >= AT_ONCE for snatcher in snatchers)
