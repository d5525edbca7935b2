"""The database behind the event loop: one worker thread, one piece of work at a time.

Rules: a piece of work takes the Database as its first argument and runs whole; `write` makes it one
transaction, durable when it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from chat.errors import LOCKED
from chat.interface import NotPermitted
from chat.ports import Random
from chat.storage.database import Database
from chat.storage.vault import Vault

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
