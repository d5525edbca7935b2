"""Compares what this terminal holds of a conversation with what another one says (SPEC §11.4)."""

from __future__ import annotations

import asyncio
from itertools import chain

from chat.network.links import LiveLink
from chat.service.keyring import Keyring, terminal_at
from chat.storage import repair
from chat.storage.database import Store
from chat.storage.entries import Position
from protocol.entries_and_receipts import check_conversation, heads_hash
from protocol.history import check_page, pages
from protocol.messages import Heads, HeadsHash


class Comparison:
    """Answers heads. A message that does not belong raises ProtocolError."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self._store, self._keyring = store, keyring
        self._comparing: dict[bytes, asyncio.Lock] = {}  # by person

    async def heads_if_other(self, link: LiveLink, message: HeadsHash) -> list[Heads]:
        """This side's heads in pages, none if they are the other side's too."""
        conversation = check_conversation(message.conversation, self._keyring.own.person, link.person)
        terminal = terminal_at(self._keyring.contacts.get(link.person), link)
        heads = await self._store.read(repair.asking_heads, conversation, terminal)
        if heads_hash(conversation, heads) == message.hash:
            await self._store.write(repair.cover, heads)
            return []
        return pages(conversation, heads)

    def check(self, link: LiveLink, message: Heads) -> None:
        """Raises ProtocolError for a page that does not belong, before anything is read for it."""
        check_conversation(message.conversation, self._keyring.own.person, link.person)
        check_page(message)

    async def own_heads(self, message: Heads) -> set[bytes]:
        """The own heads of the authors of a page that was checked. It covers what leads to its heads."""
        await self._store.write(repair.cover, message.heads)
        return set(await self._store.read(repair.heads_on, message))

    async def lacking(self, link: LiveLink, message: Heads, mine: set[bytes]) -> list[bytes]:
        """Entries in the chains of own heads that the other side's heads do not cover.

        It may be the whole history, so others use the disk in between.
        """
        pieces = list[list[Position]]()
        # One at a time, or a contact with many terminals would leave others little of the disk.
        async with self._comparing.setdefault(link.person, asyncio.Lock()):
            theirs = {head.id for head in message.heads}
            while mine:
                piece, mine, theirs = await self._store.read(repair.lacking_piece, mine, theirs)
                pieces.append(piece)
        # The newest came first. So turned, they are nearly in order, and a long history is sorted at once.
        return [entry for _, entry in sorted(chain.from_iterable(reversed(pieces)))]
