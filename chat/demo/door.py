"""The door of a demo: what is behind it is made when it is first asked for, and gone with its folder.

Rules: an interface.Door like any other, so that a client needs no second way in; no engine is loaded before
the first screen is there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chat.demo.network import HERE
from chat.interface import PATIENCE, CannotCreate, DiagnosisView, DoorState, Messenger
from chat.phrases import phrase
from chat.ports import Clock, Random, SystemClock
from chat.process import make_private

if TYPE_CHECKING:
    from chat.demo.making import Demo

PASSPHRASE: Final = "demo"
HAS_A_PERSON: Final = phrase("The demo has its person already: open it with the passphrase that is shown.")
RUNS: Final = phrase("The demo is open already.")


class DemoDoor:
    """interface.Door of one demo in a folder that is thrown away. `language`: `zh`, or English."""

    def __init__(
        self, folder: Path, language: str, *, clock: Clock | None = None, random: Random = os.urandom
    ) -> None:
        make_private()
        self._folder = folder
        self._language = language
        self._machine = clock or SystemClock()
        self._random = random
        self._attempts = 0
        self._demo: Demo | None = None

    async def state(self) -> DoorState:
        """RUNNING until the person has locked it, even before anything is made: no passphrase is needed."""
        locked = self._demo is not None and not self._demo.running
        return DoorState.LOCKED if locked else DoorState.RUNNING

    async def attach(self) -> Messenger:
        if self._demo is None:
            self._demo = await self._make()
        return self._demo.messenger

    async def _make(self) -> Demo:
        """What an attempt left behind that failed is in nobody's way: each has a folder of its own."""
        await asyncio.to_thread(import_module, "chat.demo.making")
        from chat.demo.making import make

        self._attempts += 1
        folder = self._folder / str(self._attempts)
        return await make(folder, PASSPHRASE, self._language, self._machine, self._random)

    async def unlock(
        self,
        passphrase: str,
        offline: bool = False,
        *,
        patience: float = PATIENCE,
        waits: Callable[[], None] | None = None,
    ) -> Messenger:
        if self._demo is None or self._demo.running:
            raise CannotCreate(RUNS)
        return await self._demo.unlock(passphrase)

    async def create(self, name: str, passphrase: str) -> Messenger:
        raise CannotCreate(HAS_A_PERSON)

    async def diagnose(self) -> tuple[DiagnosisView, ...]:
        return (HERE,)
