"""What all use cases of one engine share.

Rules: made once by the engine; holds no logic.

The database behind the event loop: one worker thread, one piece of work at a time.

Rules: a piece of work takes the Database as its first argument and runs whole; `write` makes it one
transaction, durable when it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from chat.config import Config
from chat.errors import LOCKED
from chat.interface import NotPermitted, SettingsView
from chat.network.links import Identity, Links
from chat.ports import Clock, Ports, Random
from chat.service import keyring as keyring_module
from chat.service.events import EventBus
from chat.service.keyring import Keyring, Visibility
from chat.storage.contacts import ContactRow
from chat.storage.database import Database
from chat.storage.keys import OwnRow
from chat.storage.profile import Vault
from chat.storage.settings import RelayRow
from chat.tasks import Tasks
from protocol.keys import X25519Pair

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """Runs work on the database off the event loop. Raises what the work raises (StorageFailure)."""

    def __init__(self, database: Database, executor: Executor) -> None:
        self._database = database
        self._executor = executor
        self._closed = False
        self.asked = 0
        """How often something was wanted of the database."""
        self._waiting = 0

    def is_wanted(self) -> bool:
        """Whether other work waits behind what runs now, or the database is to be closed."""
        return self._closed or self._waiting > 1

    def is_closing(self) -> bool:
        """Whether the database is to be closed."""
        return self._closed

    async def read(self, work: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(database, …)`. Raises NotPermitted after `close`."""
        return await self._run(partial(work, self._database, *args, **kwargs))

    async def write(
        self, work: Callable[Concatenate[Database, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work(database, …)` in one transaction; when this returns, it is on the disk."""

        def transaction() -> T:
            with self._database.transaction():
                return work(self._database, *args, **kwargs)

        return await self._run(transaction)

    async def change_passphrase(self, vault: Vault, old: str, new: str, random: Random) -> None:
        """Replace the passphrase; takes as long as opening. Raises NotPermitted, and as the vault does."""
        await self._run(partial(vault.change_passphrase, old, new, random=random))

    async def set_port(self, vault: Vault, port: int) -> None:
        """Keep the profile's port in its header."""
        await self._run(partial(vault.set_port, port))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise NotPermitted(LOCKED)
        self.asked += 1
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Close the database after all work before; nothing may follow."""
        self._closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._database.close)


@dataclass(slots=True)
class EngineState:
    """One engine's parts.

    `incarnation`: 8 random bytes drawn at this start (SPEC §11.1). `contacts` mirrors the contacts table by
    person; `typing` has the time (monotonic) until which a contact is typing; `port` is where this terminal
    listens, 0 before it does. `deleted`: entries deleted since this start, which links may hold from before.
    `relays` mirrors the table of the relays that this person named.
    """

    config: Config
    clock: Clock
    random: Random
    own: OwnRow
    incarnation: bytes
    store: Store
    keyring: Keyring
    visibility: Visibility
    hub: EventBus
    tasks: Tasks
    settings: SettingsView
    contacts: dict[bytes, ContactRow] = field(default_factory=dict)
    unread: dict[bytes, int] = field(default_factory=dict)
    typing: dict[bytes, float] = field(default_factory=dict)
    deleted: set[bytes] = field(default_factory=set)
    relays: tuple[RelayRow, ...] = ()
    port: int = 0
    links: Links = field(init=False)

    @classmethod
    async def load(
        cls, vault: Vault, ports: Ports, config: Config, executor: Executor, tasks: Tasks
    ) -> EngineState:
        """Open the database of a vault and read what is kept in memory."""
        loop = asyncio.get_running_loop()
        database = await loop.run_in_executor(executor, vault.database)
        store, visibility = Store(database, executor), Visibility()
        profile = await store.read(keyring_module.profile, ports.clock.wall() // 1000)
        identity = Identity(profile.own.person, X25519Pair(profile.own.static_secret))
        keyring = Keyring(identity, profile.state, visibility, ports.clock.wall)
        keyring.contacts, keyring.invitations = profile.keys, profile.invitations
        keyring.remembered = profile.remembered
        return cls(
            config=config,
            clock=ports.clock,
            random=ports.random,
            own=profile.own,
            incarnation=ports.random(8),
            store=store,
            keyring=keyring,
            visibility=visibility,
            hub=EventBus(),
            tasks=tasks,
            settings=SettingsView(profile.settings.read_receipts, profile.settings.typing),
            contacts=profile.contacts,
            unread=profile.unread,
            relays=profile.relays,
        )
