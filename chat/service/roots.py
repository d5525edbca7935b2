"""The use case *compare*: counts and root hashes of what this terminal holds (SPEC §21.1)."""

from __future__ import annotations

from chat.interface import ConversationRoot, HistoryRoot
from chat.service.keyring import Keyring
from chat.service.state import ContactBook
from chat.storage import backup, retention
from chat.storage.database import Store
from chat.storage.entries import BEGINNING, Position
from chat.storage.positions import ALL
from protocol.backup.root import RootHash, history_root
from protocol.entries_and_receipts import conversation_of


class Roots:
    """Computes root hashes in pieces, between which others use the database."""

    def __init__(self, store: Store, keyring: Keyring, book: ContactBook) -> None:
        self._store, self._keyring, self._book = store, keyring, book

    async def compute(self) -> HistoryRoot:
        """As interface.Messenger.history_root."""
        own, found = self._keyring.own.person, list[tuple[RootHash, bytes, bytes, int]]()
        noted = [own] if await self._store.read(backup.has_notes) else []
        for person in (*self._book.rows, *noted):
            conversation = conversation_of(own, person)
            gone = await self._store.read(retention.count, conversation)
            found.append((await self._of(conversation), conversation, person, gone))
        return HistoryRoot(
            tuple(
                ConversationRoot(person.hex(), root.count, root.root.hex(), gone)
                for root, _, person, gone in found
            ),
            sum(root.count for root, _, _, _ in found),
            history_root((conversation, root.root) for root, conversation, _, _ in found).hex(),
            sum(gone for _, _, _, gone in found),
        )

    async def _of(self, conversation: bytes) -> RootHash:
        root = RootHash(conversation)
        place: Position | None = BEGINNING
        while place is not None:
            place = await self._store.read(backup.hash_piece, conversation, root, place, ALL, elsewhere=True)
        return root
