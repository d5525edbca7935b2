"""Searches every page and WAL frame of a SQLCipher 4 file, as `parlour prove` reads them."""

from __future__ import annotations

from pathlib import Path

from chat.tools.prove.search import Stored
from chat.tools.prove.search import Unreadable as Unreadable


def residues(database: Path, key: bytes, needle: bytes) -> list[str]:
    """The places where `needle` stands: pages and frames by number, and files that hold it in clear.

    `key` is the raw 32-byte key, not a passphrase. Raises Unreadable. SQLite's FTS5 compresses terms by
    their common beginning, so the tail of a word must be searched for too.
    """
    stored = Stored.read(database)
    places = [page.place for page in stored.pages(key) if needle in page.plain]
    raw = {database.name: stored.data, f"{database.name}-wal": stored.wal}
    return places + [f"{name} in clear" for name, content in raw.items() if needle in content]
