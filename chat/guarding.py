"""Keeps the passphrase out of what is sent, in a session that did not ask for it.

A person who is used to typing the passphrase at each start types it there too. Nothing but the unlock can
compare: a faster check would help those who guess.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import Final

from chat.errors import ParlourError, Phrase, phrase

IS_PASSPHRASE: Final = phrase("This text contains the passphrase of your profile.")
IN_DOUBT: Final = phrase(
    "Parlour cannot say whether this text contains the passphrase of your profile: it cannot be compared now."
)

FORMS_MAX: Final = 9
"""Parts of one text that are compared. Each costs an unlock."""

AHEAD_MAX: Final = 8
"""Comparisons of a session that begin before its person sends."""


class Guard:
    """Compares what is about to leave a session with the passphrase, until the first text has left.

    `opens` says whether a text is the passphrase, and takes the time of an unlock. None: the session asked
    for the passphrase, and nothing is compared.
    """

    def __init__(self, opens: Callable[[str], Awaitable[bool]] | None = None) -> None:
        self._opens = opens
        self._known: dict[bytes, bool] = {}
        self._key = secrets.token_bytes(32)  # what was compared stays in no memory as it was typed
        self._turn = asyncio.Lock()
        self._ahead = AHEAD_MAX

    @property
    def watches(self) -> bool:
        return self._opens is not None

    def let_out(self) -> None:
        """A text has left this session, or its person wants it to: compare nothing more."""
        self._opens = None
        self._known.clear()

    async def doubt(self, text: str, begun: str = "", typed: str = "") -> Phrase | None:
        """Why this person should be asked before a text leaves; None where nothing speaks against it.

        `begun`: with what the field was filled before the person wrote. `typed`: what was typed since the
        last Enter, wherever it went.
        """
        try:
            for form in islice(_forms(text, begun, typed), FORMS_MAX):
                if await self._is(form):
                    return IS_PASSPHRASE
        except ParlourError:  # the header cannot be read, or memory is short
            return IN_DOUBT
        return None

    async def look_ahead(self, text: str, begun: str = "", typed: str = "") -> None:
        """Compare what is written so far, so that sending it waits for nothing."""
        if self.watches and self._ahead and not self._turn.locked():
            self._ahead -= 1
            await self.doubt(text, begun, typed)

    def is_known(self, text: str) -> bool:
        """Whether a text that was compared is the passphrase and nothing else."""
        return self._known.get(self._name(text.strip()), False)

    def _name(self, form: str) -> bytes:
        return hashlib.blake2b(form.encode(errors="replace"), key=self._key).digest()

    async def _is(self, form: str) -> bool:
        name = self._name(form)
        async with self._turn:
            if name not in self._known and self._opens is not None:
                self._known[name] = await self._opens(form)
            return self._known.get(name, False)


def _forms(text: str, begun: str, typed: str) -> Iterator[str]:
    """What of a text may be a passphrase, each once: its lines as they are and without the blanks around.

    The last line comes first: the passphrase is what was typed right before Enter.
    """
    added = text.removeprefix(begun) if begun else text
    lines = [typed, *reversed(added.split("\n")), *reversed(text.split("\n"))]
    seen = set[str]()
    for line in lines:
        for form in (line.strip(), line):
            if form.strip() and form not in seen:
                seen.add(form)
                yield form
