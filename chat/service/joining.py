"""Becomes a device of a person who has another one: finds it, and compares words (SPEC §7.8.1).

There is no engine yet, and nothing is stored before the person is certain.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from chat.config import Config
from chat.errors import NOT_PARLOUR, OTHER_VERSION, PROBLEM, REFUSED, WRONG_KEYS, Phrase, phrase
from chat.interface import LinkingStage, LinkingView, NotPermitted, Unreachable, UsageError
from chat.network.driver import Driver, Handler, Opening
from chat.ports import Announcement, Ports
from chat.service import handover
from chat.service.linking import CUT, TIMED_OUT, LinkingSession
from chat.storage import profile, retention
from chat.storage.database import Database
from chat.storage.profile import Vault
from chat.tasks import Beat, Tasks, Worker
from protocol.addresses import is_local
from protocol.identity.author import create_terminal
from protocol.identity.safety import digits
from protocol.link.framing import Pattern
from protocol.link.handshake import Initiator
from protocol.link.link import Link
from protocol.link.states import LinkOpen, NotParlour, VersionRefused
from protocol.pairing.comparison import WordsReady
from protocol.pairing.linking import BeingAdded, LinkingEvent, LinkingFailed, ProfileDue
from protocol.primitives import Random
from protocol.profile_header import Cost

Address = tuple[str, int]
Answer = Callable[[LinkingView], Awaitable[bool]]

NOT_LOCAL: Final = phrase("Parlour connects only to addresses of the local network: check the address.")
NOBODY: Final = phrase(
    "No device of yours was found. Run 'parlour terminal add' on it, in the same network, or give its"
    " address."
)
NOT_ADDING: Final = phrase("The other device adds no device now: run 'parlour terminal add' on it.")
SAID_NO: Final = phrase("You said that the words differ. Nothing was stored.")
MAYBE_ADDED: Final = phrase(
    "The connection ended at the last step. Your other device may count this one as added: if 'parlour"
    " terminal list' shows it there, remove it. Then start again on both devices."
)
PROBLEMS: Final = {"authentication": WRONG_KEYS, "refused": REFUSED, "cut": CUT}
TRY_AGAIN: Final = 2.0
"""Seconds after which the devices that announce themselves are tried again."""


class Joining:
    """One attempt to become a device of a person. `name` tells its devices apart.

    `answer` asks whether the words are the same on both; it is cancelled when the linking fails.
    """

    def __init__(self, ports: Ports, config: Config, name: str, answer: Answer) -> None:
        self._ports, self._config, self._name, self._answer = ports, config, name, answer
        self._keys = create_terminal(ports.random)
        self._worker = Worker()
        self._found: dict[str, Announcement] = {}
        self._came = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._due: asyncio.Future[ProfileDue] = loop.create_future()
        self._shown: asyncio.Future[LinkingView] = loop.create_future()
        self._session: LinkingSession | None = None
        self._tasks = Tasks(self._failed)

    @property
    def random(self) -> Random:
        return self._ports.random

    @asynccontextmanager
    async def profile(self, address: Address | None) -> AsyncIterator[ProfileDue]:
        """What the profile is to be made of. When the block ends without an error, it is stored durably.

        Raises UsageError (an address that is not local), Unreachable, NotPermitted (a no), ParlourError.
        """
        if address is not None and not is_local(address[0]):
            raise UsageError(NOT_LOCAL)
        try:
            async with asyncio.timeout(self._config.visible_for):
                await self._reach(address)
            async with asyncio.timeout(self._config.pairing_for):
                due = await self._agreed()
            yield due
            if self._session is not None and isinstance(self._session.machine, BeingAdded):
                await self._session.step(self._session.machine.stored)
        except TimeoutError:
            raise Unreachable(NOBODY if self._session is None else self._failure(TIMED_OUT)) from None
        finally:
            if self._session is not None:
                await self._session.step(self._session.machine.refuse)
            await self._tasks.stop()
            for waiting in (self._due, self._shown):  # nobody waits any more
                waiting.cancel()
                if not waiting.cancelled():
                    waiting.exception()

    # Finding the other device.

    async def _reach(self, address: Address | None) -> None:
        """Open the link. Raises Unreachable where the device at an address adds none."""
        if address is not None:
            problem = await self._try(address)
            if problem is not None:
                raise Unreachable(problem)
            return
        await self._ports.discovery.start(self)
        try:
            while not await self._try_found():
                self._came.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(TRY_AGAIN):
                        await self._came.wait()
        finally:
            await self._ports.discovery.close()

    async def _try_found(self) -> bool:
        places = [
            (host, found.port)
            for found in list(self._found.values())
            if found.name
            for host in found.addresses
        ]
        for place in dict.fromkeys(places):
            if await self._try(place) is None:
                return True
        return False

    async def _try(self, place: Address) -> Phrase | None:
        """Begin a linking at an address; the problem if that fails."""
        try:
            connection = await self._ports.transport.connect(*place, self._config.dial_timeout)
        except OSError:
            return NOBODY
        opening = Opening(self._opened)
        clock = self._ports.clock
        link = Link(Initiator.pairing(Pattern.LINKING, random=self._ports.random), clock.monotonic())
        self._tasks.spawn(Driver(connection, link, clock, Beat(), opening).run())
        result = await opening.result
        if isinstance(result, LinkOpen):
            return None
        return {VersionRefused: OTHER_VERSION, NotParlour: NOT_PARLOUR}.get(type(result), NOT_ADDING)

    # ports.DiscoveryEvents.

    def found(self, announcement: Announcement) -> None:
        self._found[announcement.instance] = announcement
        self._came.set()

    def lost(self, instance: str) -> None:
        self._found.pop(instance, None)

    def network_changed(self) -> None:
        self._came.set()

    # The link.

    async def _opened(self, driver: Driver, opened: LinkOpen) -> Handler | None:
        assert opened.pairing is not None, "a link of this pattern has its facts"
        machine = BeingAdded(opened.pairing, self._keys, self._name, self._ports.random)
        self._session = LinkingSession(driver, machine, self._worker, self._act)
        await self._session.step(machine.start)
        return self._session

    async def _act(self, event: LinkingEvent) -> None:
        match event:
            case WordsReady(words=words, name=name, five=five):
                if not self._shown.done():
                    view = LinkingView("", LinkingStage.WORDS, name, words, digits=digits(five))
                    self._shown.set_result(view)
            case ProfileDue():
                if not self._due.done():
                    self._due.set_result(event)
            case LinkingFailed(error_class=error_class):
                self._failed(Unreachable(self._failure(PROBLEMS.get(error_class, PROBLEM))))

    def _failure(self, problem: Phrase) -> Phrase:
        machine = None if self._session is None else self._session.machine
        consented = isinstance(machine, BeingAdded) and machine.has_consented
        return MAYBE_ADDED if consented else problem

    def _failed(self, failure: BaseException) -> None:
        for waiting in (self._due, self._shown):
            if not waiting.done():
                waiting.set_exception(failure)

    async def _agreed(self) -> ProfileDue:
        """What came after both said yes. Raises NotPermitted, ParlourError."""
        session, view = self._session, await self._shown
        assert session is not None, "words come on a link"
        asked: asyncio.Future[bool] = asyncio.ensure_future(self._answer(view))
        self._due.add_done_callback(lambda _: asked.cancel())  # it failed meanwhile
        try:
            same = await asked
        except asyncio.CancelledError:
            if not self._due.done():
                raise
            return self._due.result()
        if not same:
            await session.step(session.machine.refuse)
            raise NotPermitted(SAID_NO)
        await session.confirm()
        return await self._due


async def make_profile(
    joining: Joining, address: Address | None, folder: Path, passphrase: str, cost: Cost, keep: int = 0
) -> Vault:
    """Link this terminal and make its profile, which keeps texts of so many days, all with 0.

    Raises as `Joining.profile` and `profile.create`.
    """
    async with joining.profile(address) as due:

        def fill(database: Database) -> None:
            handover.fill(database, due)
            if keep:  # before the history comes, of which the rest stays where it is
                retention.keep(database, keep)

        make = partial(profile.create, folder, passphrase, fill, random=joining.random, cost=cost)
        return await asyncio.to_thread(make)
