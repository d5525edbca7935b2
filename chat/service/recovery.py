"""The recovery words of this person, and what is signed with them (SPEC §7.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from chat.errors import phrase
from chat.interface import (
    AddedView,
    NotPermitted,
    NotTypedBack,
    RecoveryView,
    RemovalView,
    UsageError,
    WordsReplaced,
)
from chat.service.keyring import Keyring
from chat.service.maintenance import Cleaner
from chat.service.own_log import OwnLog
from chat.service.signing import NO_DEVICE, Foreseen, Words
from chat.service.views import utc
from chat.storage import contacts, keys, persons
from chat.storage.database import Store
from chat.tasks import Runtime
from protocol.errors import Malformed
from protocol.identity.author import RECOVERY_WORDS, read_recovery_words, recovery_words, unknown_word
from protocol.identity.reduction import Terminal
from protocol.primitives import KEY_SIZE, Random

ERASED = phrase(
    "This device does not have the recovery words: they are where you wrote them down, or on the device that"
    " made your identity."
)
OUTDATED = phrase(
    "A recovery has replaced the words that this device has: use those that you wrote down then."
)
NOT_ASKED = phrase("Type the words that are asked for.")
WRONG_CHECK = phrase("The words do not fit together: one of them is wrong, or two are in the wrong order.")
WORDS_ASKED: Final = 4
"""Words to type back: a person who copied none of them guesses these at 1 of 4,294,967,296."""


class Recovery:
    """The recovery seed of this person: shown once as words and erased, and used when it is typed in.

    `confirmed` stores that this person has its words.
    """

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        keyring: Keyring,
        log: OwnLog,
        cleaner: Cleaner,
        confirmed: Callable[[], Awaitable[None]],
    ) -> None:
        self._confirmed = confirmed
        self._random, self._store, self._keyring = runtime.random, store, keyring
        self._log, self._cleaner = log, cleaner
        self._asked = TypedBack(runtime.random)
        self._following: NewWords | None = None

    async def words(self) -> RecoveryView:
        """The words, and the places of those to type back. Raises NotPermitted once they are erased."""
        return self._asked.view(await self._seed())

    async def confirm(self, typed: Sequence[str]) -> None:
        """Erase the seed: these are the words that were asked for. Raises NotTypedBack, NotPermitted."""
        self._asked.check(await self._seed(), typed)
        await self._store.write(keys.erase_recovery_seed)
        self._keyring.forget_seed()
        await self._confirmed()
        await self._cleaner.clean()

    async def _seed(self) -> bytes:
        """The seed from the database, which memory does not keep."""
        seed = (await self._store.read(keys.read_own)).recovery_seed
        if seed is None:
            raise NotPermitted(ERASED)
        try:
            await self._log.check(Words(seed, seed))
        except WordsReplaced:
            raise NotPermitted(OUTDATED) from None
        return seed

    async def check(self, typed: Sequence[str], *, not_mine: bool) -> None:
        """Raises UsageError where these are not the recovery words of this person."""
        seed = seed_of(typed)
        await self._log.check(Words(seed, seed, not_mine))

    def begin(self) -> RecoveryView:
        """Words of a new seed, which memory alone holds until they are used."""
        if self._following is None:
            self._following = NewWords(self._random)
        return self._following.view()

    async def remove(self, terminal: str, *, stolen: bool) -> None:
        """Sign the removal of a device. Raises UsageError, NotPermitted."""
        (removed,) = _ids_of([terminal])
        await self._log.remove(removed, stolen=stolen)

    async def foresee_removal(self, terminal: str) -> RemovalView:
        """What `remove` would do. Raises as it does."""
        (removed,) = _ids_of([terminal])
        return await self._view(await self._log.foresee_removal(removed))

    async def foresee(self, typed: Sequence[str], removed: Sequence[str], *, not_mine: bool) -> RemovalView:
        """What `use` would do. Raises as it does, but for the answers."""
        seed = seed_of(typed)
        return await self._view(
            await self._log.foresee_recovery(Words(seed, seed, not_mine), _ids_of(removed))
        )

    async def _view(self, found: Foreseen) -> RemovalView:
        times = await self._store.read(persons.arrivals, self._keyring.own.person)
        confirmed = self._keyring.own_confirmed

        def view(one: Terminal, *, stays: bool) -> AddedView:
            since = times.get(one.operation)
            return AddedView(
                *(one.id.hex(), one.name, one.adder.hex()),
                utc(since) if since is not None else None,
                one.operation in confirmed,
                stays,
            )

        added = [view(one, stays=False) for one in found.falls]
        added += [view(one, stays=True) for one in found.stays]
        held, unverified = await self._store.read(contacts.losing, found.live, found.renewed)
        return RemovalView(
            *(tuple(added), found.name),
            *(tuple(person.hex() for person in some) for some in (held, unverified)),
        )

    async def use(
        self,
        typed: Sequence[str],
        removed: Sequence[str],
        answers: Sequence[str] | None,
        *,
        not_mine: bool,
        stolen: bool,
    ) -> None:
        """Sign a recovery with the seed of the words. `answers`: those asked for by `begin`, None for the
        same words as before. Raises UsageError, NotTypedBack."""
        seed = seed_of(typed)
        terminals = _ids_of(removed)
        await self._log.check(Words(seed, seed, not_mine))
        following = seed if answers is None else self._typed_back(answers)
        await self._log.recover(Words(seed, following, not_mine), terminals, stolen=stolen)
        if answers is not None:
            self._following = None
        await self._confirmed()
        self._cleaner.begin()  # former keys of this terminal, and a seed, were deleted if there are new ones

    def _typed_back(self, answers: Sequence[str]) -> bytes:
        if self._following is None:
            raise NotTypedBack(NOT_ASKED)
        return self._following.typed_back(answers)


class TypedBack:
    """Asks for some of the words of a seed, others after each try: so who copied none guesses none."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._asked: tuple[int, ...] = ()

    def view(self, seed: bytes) -> RecoveryView:
        """The words, and the places of those to type back."""
        words = recovery_words(seed)
        if not self._asked:
            drawn = sorted(range(len(words)), key=lambda _: self._random(8))
            self._asked = tuple(sorted(drawn[:WORDS_ASKED]))
        return RecoveryView(words, self._asked)

    def check(self, seed: bytes, typed: Sequence[str]) -> None:
        """Raises NotTypedBack where these are not the words that were asked for."""
        words = recovery_words(seed)
        asked, self._asked = self._asked, ()
        if not asked or len(typed) != len(asked):
            raise NotTypedBack(NOT_ASKED)
        for place, word in zip(asked, typed, strict=True):
            if word.strip().lower() != words[place]:
                raise NotTypedBack(
                    phrase("Word {number} is another one: look at the words again.", number=place + 1)
                )


class NewWords:
    """A new recovery seed (32 bytes), which nothing uses before its words were typed back."""

    def __init__(self, random: Random) -> None:
        self._seed = random(KEY_SIZE)
        self._asked = TypedBack(random)

    def view(self) -> RecoveryView:
        """The words, and the places of those to type back."""
        return self._asked.view(self._seed)

    def typed_back(self, answers: Sequence[str]) -> bytes:
        """The seed. Raises NotTypedBack where these are not the words that were asked for."""
        self._asked.check(self._seed, answers)
        return self._seed


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
