"""Steps that several tests of engines take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chat.config import Config
from chat.interface import ContactChanged, EntryView, PairingStage
from chat.network.driver import Driver
from chat.network.links import LiveLink
from chat.storage import keys
from protocol.messages import Message
from tests.support.engines.engines import DEFAULTS, Person, apart, pair, talk, two_contacts
from tests.support.engines.written import entry_of as entry_of
from tests.support.fakes.network import Network
from tests.support.fakes.relay import MemoryRelay


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def in_touch(
    folder: Path, config: Config = DEFAULTS, seed: int = 1
) -> AsyncIterator[tuple[Network, Person, Person]]:
    """Ada and Ben, who have paired nearby; Ada's "before" has been delivered, so that a link is open."""
    async with two_contacts(folder, config, seed) as (network, ada, ben):
        await talk(ada, ben, "before")
        yield network, ada, ben


@asynccontextmanager
async def in_touch_by_relay(
    folder: Path, config: Config = DEFAULTS, seed: int = 1, later: float = 0.0
) -> AsyncIterator[tuple[Network, MemoryRelay, Person, Person]]:
    """The two of `apart` with a link through the relay, on which Ada's "before" has been delivered."""
    async with apart(folder, config, seed, later) as (network, relay, ada, ben):
        await talk(ada, ben, "before")
        yield network, relay, ada, ben


async def say(one: Person, other: Person, text: str) -> EntryView:
    """Send a text without waiting for anything."""
    return await one.engine.send(await one.contact(other), text)


async def number_of(one: Person, other: Person) -> str:
    """The only safety number that one person sees with another."""
    (number,) = (await one.engine.verification(await one.contact(other))).numbers
    return number


async def seed_in(person: Person) -> bytes:
    """The recovery seed in a profile that still has it."""
    seed = (await person.engine._use_cases.store.read(keys.read_own)).recovery_seed
    assert seed is not None
    return seed


def presence(person: Person, *, present: bool) -> asyncio.Future[ContactChanged]:
    """The moment when a contact is shown as present, or as gone."""
    return person.wait(ContactChanged, lambda event: event.contact.present is present)


def note_sent(driver: Driver, note: Callable[[Message], None]) -> None:
    """Let `note` see each message just before it is sealed."""
    send_one, send_all = driver.send, driver.send_all

    def noted(messages: Iterable[Message]) -> Iterator[Message]:
        for message in messages:
            note(message)
            yield message

    async def one(message: Message) -> None:
        note(message)
        await send_one(message)

    async def several(messages: Iterable[Message]) -> None:
        await send_all(noted(messages))

    driver.send, driver.send_all = one, several  # type: ignore[method-assign]


def current(one: Person, other: Person) -> LiveLink:
    """The link on which one person sends to the other."""
    link = one.engine._use_cases.links.current(other.peer)
    assert link is not None
    return link


async def dial(one: Person, other: Person) -> None:
    """Begin one more link."""
    await one.engine._use_cases.dialer.dial(other.peer, 1.0)


async def compare(one: Person, other: Person, begun: Awaitable[object]) -> None:
    """Pair as `begun` begins it: both see the same words and confirm them."""
    words = one.stage(PairingStage.WORDS), other.stage(PairingStage.WORDS)
    done = one.stage(PairingStage.DONE), other.stage(PairingStage.DONE)
    await begun
    mine, theirs = [event.pairing for event in await asyncio.gather(*words)]
    assert mine.words == theirs.words
    await one.engine.answer_pairing(mine.id, True)
    await other.engine.answer_pairing(theirs.id, True)
    await asyncio.gather(*done)


async def meet(one: Person, other: Person) -> None:
    """Pair nearby two who may have become invisible by a pairing before."""
    for person in (one, other):
        await person.engine.set_visible(True)
    await pair(one, other)


async def join(inviter: Person, joiner: Person, text: str) -> None:
    """Pair by an invitation that was made before, which the inviter confirms."""
    asked = inviter.stage(PairingStage.JOINER)
    done = inviter.stage(PairingStage.DONE), joiner.stage(PairingStage.DONE)
    await joiner.engine.join(text)
    await inviter.engine.answer_pairing((await asked).pairing.id, True)
    await asyncio.gather(*done)


async def becomes(person: Person, holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until what a person's terminal stores makes something so: it is looked at after each write."""
    store, wrote, writes = person.engine._use_cases.store, asyncio.Event(), 0
    written = store.written.set

    def count() -> None:
        nonlocal writes
        writes += 1
        wrote.set()
        written()

    store.written.set = count  # type: ignore[method-assign]
    try:
        while True:
            before = writes
            if await holds():
                return
            while writes == before:
                wrote.clear()
                await wrote.wait()
    finally:
        store.written.set = written  # type: ignore[method-assign]


async def same_history(one: Person, other: Person) -> None:
    """Wait until two terminals of one person hold the same."""

    async def same() -> bool:
        roots = [await each.engine.history_root() for each in (one, other)]
        return (roots[0].entries, roots[0].root) == (roots[1].entries, roots[1].root)

    async with asyncio.TaskGroup() as looking:
        tasks = [looking.create_task(becomes(each, same)) for each in (one, other)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


def late(owner: object, name: str, seconds: float) -> None:
    """Let a method of an engine's part begin late, as on a slow disk."""
    original = getattr(owner, name)

    async def slowly(*arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(seconds)
        return await original(*arguments, **options)

    setattr(owner, name, slowly)


def kept_back(
    monkeypatch: pytest.MonkeyPatch, person: Person, what: Any
) -> tuple[asyncio.Event, asyncio.Event]:
    """Let what a person's worker computes by this function wait for the second event.

    The first one is set when the result is there. Until then other work goes on.
    """
    worker, there, wanted = person.engine._use_cases.runtime.worker, asyncio.Event(), asyncio.Event()
    run = worker.run

    async def slowly(work: Any, *arguments: Any, **options: Any) -> Any:
        result = await run(work, *arguments, **options)
        if work is what:
            there.set()
            await wanted.wait()
        return result

    monkeypatch.setattr(worker, "run", slowly)
    return there, wanted
