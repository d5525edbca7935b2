"""A messenger behind its socket, and the people around an engine under the contract tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from chat.interface import (
    AlertKind,
    ContactChanged,
    EntryAdded,
    Messenger,
    PairingChanged,
    PairingStage,
    ParlourError,
)
from chat.ipc.client import RemoteMessenger
from chat.ipc.server import ControlServer
from chat.storage import keys, persons
from chat.storage.alerts import AlertRow
from chat.storage.ordering import PIECE
from protocol.entries_and_receipts import cut_body, parse_entry
from protocol.identity.author import (
    add_operation,
    recover_operation,
    remove_operation,
    rename_operation,
    sign_recovery,
)
from protocol.identity.log import load, sign_operation
from protocol.identity.reduction import Reduction, reduce
from protocol.keys import X25519Pair
from protocol.messages import CutHead, Entry, LogOperations
from protocol.primitives import ed25519_from_seed
from tests.contract.subject import CLEO, FOLLOWING, Subject
from tests.support.engines import devices
from tests.support.engines.engines import PASSPHRASE, Person, own_log, take_in
from tests.support.engines.written import entry_of
from tests.support.fakes.messenger import FakeMessenger
from tests.support.protocol.pairings import Terminal


@asynccontextmanager
async def served(messenger: Messenger, path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(messenger, path)
    await server.start()
    try:
        yield server
    finally:
        await messenger.close()
        await server.close()


Both = tuple[FakeMessenger, RemoteMessenger]
"""A fake, and a client of it with the socket between them."""


@asynccontextmanager
async def fake_and_client(path: Path) -> AsyncIterator[Both]:
    messenger = FakeMessenger()
    async with served(messenger, path):
        client = await RemoteMessenger.open(path)
        yield messenger, client
        await client.close()


@dataclass
class EnginesAround:
    """Ben, who is Ada's contact, and Cleo, who is not here before she is asked for."""

    folder: Path
    ada: Person
    ben: Person
    cleo: Person = field(init=False)
    _words: asyncio.Future[PairingChanged] | None = None
    _laptop: Person = field(init=False)
    _linking: asyncio.Task[None] | None = None
    _confirming: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.cleo = Person(CLEO, "10.0.0.9", self.folder / CLEO, self.ada.network, self.ada.config, 900)

    async def hear(self, text: str, reply: str) -> str:
        arrived = self.ada.wait(EntryAdded, lambda event: not event.entry.own)
        await self.ben.engine.send(await self.ben.contact(self.ada), text, reply)
        return (await arrived).entry.id

    async def leave(self) -> None:
        await self.ben.stop()

    async def come(self) -> None:
        await self.ben.start()

    async def types(self, on: bool) -> None:
        await self.ben.engine.typing(await self.ben.contact(self.ada), on)

    async def recover(self) -> None:
        parts = self.ben.engine._use_cases
        operations = await parts.store.read(persons.operations_of, parts.keyring.own.person)
        seed = (await parts.store.read(keys.read_own)).recovery_seed
        assert seed is not None
        operation = recover_operation(Reduction(load(operations)), seed, seed, {})
        link = parts.links.current(self.ada.peer)
        assert link is not None
        await link.driver.send(LogOperations([sign_recovery(operation, seed)]))

    async def add_own(self) -> None:
        own, seed = self.ada.engine._use_cases.keyring.own, bytes(32)
        log, static = reduce(await own_log(self.ada)), X25519Pair.generate().public
        operation = add_operation(log, own.terminal, ed25519_from_seed(seed), static, "laptop")
        await take_in(self.ada, sign_operation(operation, own.signing_seed, seed))

    async def alarm(self) -> None:
        await self.ada.engine._use_cases.alerts.add(AlertRow(AlertKind.TWO_COPIES, self.ada.clock.wall()))

    async def rename_me(self) -> None:
        own = self.ada.engine._use_cases.keyring.own
        operation = rename_operation(self.ada.engine._use_cases.keyring.own_log, own.terminal, "Adele")
        link = self.ben.engine._use_cases.links.current(self.ada.peer)
        assert link is not None
        await link.driver.send(LogOperations([sign_operation(operation, own.signing_seed)]))

    async def in_parts(self, text: str) -> None:
        entry = entry_of(self.ben, self.ada, text=text)
        link = self.ben.engine._use_cases.links.current(self.ada.peer)
        assert link is not None
        for one in (Entry(entry.header, b"", b""), entry):
            await link.driver.send(one)

    async def grow_old(self) -> None:
        for person in (self.ada, self.ben):
            person.clock.slept_ms += 2 * 86_400_000

    async def twice(self) -> None:
        link = self.ben.engine._use_cases.links.current(self.ada.peer)
        assert link is not None
        for text in ("one", "other"):
            await link.driver.send(entry_of(self.ben, self.ada, text=text))

    async def late(self, text: str) -> None:
        link = self.ben.engine._use_cases.links.current(self.ada.peer)
        assert link is not None
        sent = [entry_of(self.ben, self.ada, text=text, later=60_000)]
        for _ in range(PIECE + 2):
            last = parse_entry(sent[-1])
            sent.append(
                entry_of(self.ben, self.ada, text=FOLLOWING, previous=(last.header.sequence, last.id))
            )
        for entry in (*sent[1:], sent[0]):
            await link.driver.send(entry)

    async def cut_off(self, text: str) -> None:
        parts, second = self.ben.engine._use_cases, Terminal.named("a second terminal of Ben")
        own, operations = parts.keyring.own, list(await own_log(self.ben))
        link = parts.links.current(self.ada.peer)
        assert link is not None
        added = add_operation(reduce(operations), own.terminal, second.signing, second.static, "laptop")
        operations.append(sign_operation(added, own.signing_seed, second.seed))
        removed = remove_operation(Reduction(load(operations)), own.terminal, second.id, [])
        operations.append(sign_operation(removed, own.signing_seed))
        nothing = cut_body(second.id, [CutHead(bytes(8), 1, bytes(32))])
        for message in (
            LogOperations(operations[-2:-1]),
            entry_of(self.ben, self.ada, author=second.id, text=text),
            LogOperations(operations[-1:]),
            entry_of(self.ben, self.ada, cut=nothing),
        ):
            await link.driver.send(message)

    async def appear(self) -> None:
        await self.cleo.create()
        self._words = self.cleo.stage(PairingStage.WORDS)

    async def begin(self) -> None:
        await self.appear()
        found = await self.cleo.sees(self.ada.name)
        await self.cleo.engine.pair_nearby(found.instance)

    async def use(self, invitation: str) -> None:
        await self.appear()
        await self.cleo.engine.join(invitation)

    async def invite(self) -> str:
        await self.appear()
        asked = self.cleo.stage(PairingStage.JOINER)

        async def confirm() -> None:
            await self.cleo.engine.answer_pairing((await asked).pairing.id, True)

        self._confirming.add(asyncio.create_task(confirm()))
        return (await self.cleo.engine.invite()).text

    async def confirm(self) -> None:
        assert self._words is not None, "the stranger has appeared"
        await self.cleo.engine.answer_pairing((await self._words).pairing.id, True)

    async def link(self) -> None:
        self._laptop = devices.device(self.ada, self.folder / "laptop", "10.0.0.8")
        self._linking = asyncio.create_task(devices.begin(self._laptop))

    async def linked(self) -> None:
        assert self._linking is not None, "the device has begun"
        await self._linking

    async def go(self) -> None:
        if self._words is not None:
            await self.cleo.engine.close()
        if self._linking is not None:
            with suppress(ParlourError):
                await self._linking
                await self._laptop.engine.close()

    async def meet(self) -> None:
        for one in (self.ada, self.ben):
            seen = one.wait(ContactChanged, lambda event: event.contact.present)
            if not any(view.present for view in await one.engine.contacts()):
                await seen

    async def subject(self, client: Messenger) -> Subject:
        return Subject(client, await self.ada.contact(self.ben), PASSPHRASE, self.hear, self)
