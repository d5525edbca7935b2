"""What a slow disk lets happen in between: contacts removed, links ended, links replaced."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from chat.interface import EntryState, PairingStage, Unreachable
from chat.network.relay.client import AT_ONCE
from chat.network.relay.connection import Lost, RelayLine
from chat.service.comparison import Comparison
from chat.service.sync import Synchronizer
from protocol.entries_and_receipts import conversation_of_two
from protocol.identity.author import rename_operation
from protocol.identity.exchange import extend
from protocol.identity.log import sign_operation
from protocol.messages import Heads, LogOperations, Message, Reachable
from protocol.primitives import system_random
from protocol.relay.rendezvous import DAY_SECONDS
from tests.integration.steps import current, dial, entry_of, in_touch
from tests.support.engines.engines import Person, in_virtual_time, invite, people, talk
from tests.support.fakes.network import MemoryTransport, Network
from tests.support.fakes.relay import MemoryRelay


@asynccontextmanager
async def two(folder: Path) -> AsyncIterator[tuple[Network, Person, Person, list[dict[str, Any]]]]:
    """Two who are in touch, and every fault that nobody handles from then on."""
    faults: list[dict[str, Any]] = []
    async with in_touch(folder) as (network, ada, ben):
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


async def tell(one: Person, other: Person, *messages: Message) -> None:
    """Say it all in one portion of bytes."""
    driver = current(one, other).driver
    for message in messages:
        driver.link.send(message, one.clock.monotonic())
    await driver.flush()


def renamed(person: Person, _other: Person) -> LogOperations:
    parts = person.engine._use_cases
    operation = rename_operation(parts.keyring.own_log, parts.keyring.own.terminal, "Benjamin")
    return LogOperations([sign_operation(operation, parts.keyring.own.signing_seed)])


def whole_history(one: Person, other: Person) -> Heads:
    """A question for it."""
    persons = [person.engine._use_cases.keyring.own.person for person in (one, other)]
    return Heads(conversation_of_two(*persons), b"", [], more=False)


def port(_one: Person, _other: Person) -> Reachable:
    return Reachable(5000)


Said = Callable[[Person, Person], Message]


@pytest.mark.parametrize(
    ("said", "slowed", "delays", "wait"),
    [
        ([renamed], "read", [], 0.8),  # the operation is stored, and read again
        ([renamed], "write", [LATE_ANSWER, LATE_ANSWER], 0.1),
        ([renamed], "write", [LATE_ANSWER, TOGETHER], 0.1),  # removed first
        ([renamed], "write", [LATE_WORK, LATE_ANSWER], 0.1),  # removed before it is stored
        ([entry_of, renamed], "write", [], 0.1),
        ([entry_of, port], "write", [], 0.1),
    ],
)
@in_virtual_time
async def test_a_contact_removed_while_its_messages_are_stored_stays_removed_and_leaves_no_fault(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: list[Said],
    slowed: str,
    delays: list[tuple[float, float]],
    wait: float,
) -> None:
    async with two(tmp_path) as (_, ada, ben, faults):
        contact = await ada.contact(ben)
        slow(monkeypatch, ada, slowed, *delays)
        await tell(ben, ada, *(message(ben, ada) for message in said))
        await asyncio.sleep(wait)
        await ada.engine.remove(contact)
        await asyncio.sleep(5)
        assert not ada.engine._use_cases.keyring.contacts
        assert not ada.engine._use_cases.links.all()
        assert await ada.engine.contacts() == ()
        assert not faults


@in_virtual_time
async def test_a_replaced_link_that_ends_after_its_successor_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(tmp_path) as (network, ada, ben, faults):
        await tell(ben, ada, port(ben, ada))
        slow(monkeypatch, ada, "write")
        await tell(ben, ada, entry_of(ben, ada))
        await asyncio.sleep(0.01)
        await dial(ada, ben)
        await asyncio.sleep(0.1)
        assert len(ada.engine._use_cases.links._sets[ben.peer.person][ben.peer.static].links) == 1
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


@pytest.mark.parametrize(
    ("worked_on", "original", "message"),
    [
        ("chat.service.comparison.Comparison.lacking", Comparison.lacking, whole_history),
        ("chat.service.person_logs.extend", extend, renamed),
    ],
)
@in_virtual_time
async def test_what_is_said_a_hundred_times_is_worked_on_a_few_times(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    worked_on: str,
    original: Callable[..., Any],
    message: Said,
) -> None:
    async with two(tmp_path) as (_, ada, ben, faults):
        calls = 0

        def counted(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            return original(*arguments, **options)

        monkeypatch.setattr(worked_on, counted)
        await tell(ben, ada, *[message(ben, ada)] * 100)
        await asyncio.sleep(5)
        assert 0 < calls <= 8
        name = "Benjamin" if message is renamed else "Ben"
        assert [view.name for view in await ada.engine.contacts()] == [name]
        assert await talk(ada, ben, "still talking")
        assert not faults


@in_virtual_time
async def test_what_was_read_while_receipts_were_off_stays_untold(tmp_path: Path) -> None:
    async with two(tmp_path) as (network, ada, ben, _):
        settings = await ben.engine.settings()
        await ben.engine.change_settings(replace(settings, read_receipts=False))
        private = await talk(ada, ben, "read in private")
        await ben.engine.mark_read(await ben.contact(ada), (private,))
        await ben.engine.change_settings(settings)
        for pipe in list(network.pipes):
            pipe.break_now()
        told = await talk(ada, ben, "read openly")
        await ben.engine.mark_read(await ben.contact(ada), (told,))
        await asyncio.sleep(5)
        states = {view.id: view.state for view in await ada.history(ben)}
        assert (states[private], states[told]) == (EntryState.DELIVERED, EntryState.READ)


@in_virtual_time
async def test_invitations_made_at_one_moment_can_be_used_and_end_the_oldest_beyond_four(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        slow(monkeypatch, ada, "write")
        made = [await ada.engine.invite() for _ in range(3)]
        made += await asyncio.gather(*(ada.engine.invite() for _ in range(3)))
        assert len(ada.engine._use_cases.keyring.invitations) == 4
        for ended in made[:2]:
            with pytest.raises(Unreachable):
                await ben.engine.join(ended.text)
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
        keyring = mallory.engine._use_cases.keyring
        day = relay.clock.wall() // 1_000 // DAY_SECONDS
        (self._token,) = keyring.dial_tokens(victim.peer, relay.pair.public, day)
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
async def test_a_peer_that_calls_all_the_time_keeps_nobody_else_away(tmp_path: Path) -> None:
    async with three(tmp_path) as (ada, ben, snatchers):
        await asyncio.sleep(20)
        await asyncio.wait_for(talk(ada, ben, "in spite of it"), 20)
        await asyncio.wait_for(talk(ben, ada, "and back"), 5)
        assert all(snatcher.snatched >= AT_ONCE for snatcher in snatchers)
