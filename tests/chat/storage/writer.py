"""A process that writes to a profile, to be killed at any moment.

Rules: a line `stored ID…` is printed only after the commit of these entries, in the order of the commits;
`python -m tests.chat.storage.writer create|renew|write FOLDER [COUNT]`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from chat.storage import receipts, vault
from chat.storage.database import Database
from tests.chat.storage.samples import PASSPHRASE, THEIR_TERMINAL, Author, first_rows, seeded, store

CREATE, RENEW, WRITE = "create", "renew", "write"
NEW_PASSPHRASE = "another one"


def author() -> Author:
    """The same entries in every run."""
    return Author()


def write(database: Database, count: int, say: Callable[[str], None]) -> None:
    """Commit `count` groups of entries of growing size, with receipts, and clean up in between."""
    writes = author()
    for number in range(count):
        group = [
            writes.write(f"entry {number}.{place} " * (1 + 40 * place)) for place in range(1 + number % 3)
        ]
        store(database, *group)
        say("stored " + " ".join(entry.id.hex() for entry in group))
        with database.transaction():
            receipts.add(database, THEIR_TERMINAL.terminal, receipts.STORED, [group[0].id], number)
        say(f"receipt {group[0].id.hex()}")
        if number % 4 == 3:
            database.scrub()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    task, folder = sys.argv[1], Path(sys.argv[2])
    if task == CREATE:
        vault.create(folder, PASSPHRASE, first_rows, random=seeded("writer"), cost=vault.CHEAPEST).close()
        say("created")
        return
    with vault.unlock(folder, PASSPHRASE) as opened:
        if task == RENEW:
            opened.change_passphrase(PASSPHRASE, NEW_PASSPHRASE, random=seeded("renewed"))
            say("renewed")
            return
        database = opened.database()
        write(database, int(sys.argv[3]), say)
        database.close()
        say("closed")


if __name__ == "__main__":
    main()
