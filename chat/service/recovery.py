"""The recovery words of this person, and what is signed with them (SPEC §7.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from chat.errors import phrase
from chat.interface import NotPermitted, RecoveryView, UsageError
from chat.service.keyring import Keyring
from chat.service.maintenance import Cleaner
from chat.service.own_log import NO_DEVICE, OwnLog
from chat.storage import keys
from chat.storage.database import Store
from chat.tasks import Runtime
from protocol.errors import Malformed
from protocol.identity.author import RECOVERY_WORDS, read_recovery_words, recovery_words, unknown_word

ERASED = phrase(
    "This device does not have the recovery words: they are where you wrote them down, or on the device that"
    " made your identity."
)
NOT_ASKED = phrase("Type the words that are asked for.")
WRONG_CHECK = phrase("The words do not fit together: one of them is wrong, or two are in the wrong order.")
WORDS_ASKED: Final = 4
"""Words to type back: a person who copied none of them guesses these at 1 of 4,294,967,296."""


class Recovery:
    """The recovery seed of this person: shown once as words and erased, and used when it is typed in.

    `fetch` gets what the contacts hold, `confirmed` stores that this person has its words.
    """

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        keyring: Keyring,
        log: OwnLog,
        cleaner: Cleaner,
        fetch: Callable[[], Awaitable[None]],
        confirmed: Callable[[], Awaitable[None]],
    ) -> None:
        self._fetch, self._confirmed = fetch, confirmed
        self._random, self._store, self._keyring = runtime.random, store, keyring
        self._log, self._cleaner = log, cleaner
        self._asked: tuple[int, ...] = ()

    async def words(self) -> RecoveryView:
        """The words, and the places of those to type back. Raises NotPermitted once they are erased."""
        words = recovery_words(await self._seed())
        if not self._asked:
            drawn = sorted(range(len(words)), key=lambda _: self._random(8))
            self._asked = tuple(sorted(drawn[:WORDS_ASKED]))
        return RecoveryView(words, self._asked)

    async def confirm(self, typed: Sequence[str]) -> None:
        """Erase the seed: these are the words that were asked for. Raises UsageError, NotPermitted."""
        words = recovery_words(await self._seed())
        asked, self._asked = self._asked, ()
        if not asked or len(typed) != len(asked):
            raise UsageError(NOT_ASKED)
        for place, word in zip(asked, typed, strict=True):
            if word.strip().lower() != words[place]:
                raise UsageError(
                    phrase("Word {number} is another one: look at the words again.", number=place + 1)
                )
        await self._store.write(keys.erase_recovery_seed)
        self._keyring.forget_seed()
        await self._confirmed()
        await self._cleaner.clean()

    async def _seed(self) -> bytes:
        """The seed from the database, which memory does not keep."""
        seed = (await self._store.read(keys.read_own)).recovery_seed
        if seed is None:
            raise NotPermitted(ERASED)
        return seed

    async def check(self, typed: Sequence[str]) -> None:
        """Raises UsageError where these are not the recovery words of this person."""
        await self._log.before(seed_of(typed))

    async def remove(self, terminal: str) -> None:
        """Sign the removal of a device. Raises UsageError, NotPermitted."""
        (removed,) = _ids_of([terminal])
        await self._fetch()  # or the cuts that follow would leave out what it wrote before
        await self._log.remove(removed)

    async def use(self, typed: Sequence[str], removed: Sequence[str]) -> None:
        """Sign a recovery with the seed of the words. Raises UsageError."""
        seed = seed_of(typed)
        terminals = _ids_of(removed)
        if terminals:
            await self._fetch()  # or the cuts that follow would leave out what they wrote before
        await self._log.recover(seed, terminals)
        await self._confirmed()
        self._cleaner.begin()  # former keys of this terminal were deleted if it has new ones


def _ids_of(terminals: Sequence[str]) -> list[bytes]:
    """The ids of terminals in hex. Raises UsageError."""
    try:
        return [bytes.fromhex(terminal) for terminal in terminals]
    except ValueError:
        raise UsageError(NO_DEVICE) from None


def seed_of(typed: Sequence[str]) -> bytes:
    """The recovery seed of typed words. Raises UsageError, which names a wrong word by its place."""
    if (wrong := unknown_word(typed)) is not None:
        raise UsageError(phrase("Word {number} is none of the list: check its spelling.", number=wrong + 1))
    if len(typed) != RECOVERY_WORDS:
        raise UsageError(
            phrase("There are {number} words instead of {all}.", number=len(typed), all=RECOVERY_WORDS)
        )
    try:
        return read_recovery_words(typed)
    except Malformed:
        raise UsageError(WRONG_CHECK) from None
