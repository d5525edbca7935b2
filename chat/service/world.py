"""What all use cases of one engine share.

Rules: made once by the engine; holds no logic.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass, field

from chat.config import Config
from chat.interface import SettingsView
from chat.network.directory import Identity
from chat.network.links import Links
from chat.ports import Clock, Ports, Random
from chat.service import loading
from chat.service.hub import Hub
from chat.service.keyring import Keyring
from chat.service.store import Store
from chat.service.visibility import Visibility
from chat.storage.contacts import ContactRow
from chat.storage.own import OwnRow
from chat.storage.relays import RelayRow
from chat.storage.vault import Vault
from chat.tasks import Tasks
from protocol.keys import X25519Pair


@dataclass(slots=True)
class World:
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
    hub: Hub
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
    ) -> World:
        """Open the database of a vault and read what is kept in memory."""
        loop = asyncio.get_running_loop()
        database = await loop.run_in_executor(executor, vault.database)
        store, visibility = Store(database, executor), Visibility()
        profile = await store.read(loading.profile, ports.clock.wall() // 1000)
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
            hub=Hub(),
            tasks=tasks,
            settings=SettingsView(profile.settings.read_receipts, profile.settings.typing),
            contacts=profile.contacts,
            unread=profile.unread,
            relays=profile.relays,
        )
