"""A made-up migration of a later release: `python -m tests.support.storage.later` is its `parlour`."""

from __future__ import annotations

from typing import Final

from chat.storage import migrations, salvage
from chat.storage.migrations import Migration

_RELEASED: Final = migrations.known()
_NEXT: Final = len(_RELEASED) + 1

LATER: Final = Migration(
    _NEXT,
    f"{_NEXT:04}_later.sql",
    """ALTER TABLE contacts ADD COLUMN later INTEGER NOT NULL DEFAULT 0;
ALTER TABLE search RENAME TO search_before;
CREATE VIRTUAL TABLE search USING fts5 (text, columnsize = 0, prefix = '1 2 3');
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
INSERT INTO search (rowid, text) SELECT rowid, text FROM search_before ORDER BY rowid;
DROP TABLE search_before;
""",
)


def known() -> tuple[Migration, ...]:
    """All migrations of that release."""
    return (*_RELEASED, LATER)


def install() -> None:
    """This process is of that release."""
    migrations.known = known
    salvage.known = known  # type: ignore[attr-defined]


if __name__ == "__main__":
    from chat.cli.__main__ import main

    install()
    main()
