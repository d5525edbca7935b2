"""A process that writes to a profile, to be killed at any moment, or while its system calls fail.

`python -m tests.support.storage.writer create|renew|write|insist|starve|wipe FOLDER [COUNT]` prints
`stored ID…` after the commit of these entries and `failed CLASS` for an error that a person would be shown.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chat.interface import ParlourError
from chat.storage import profile, receipts, secure_deletion
from chat.storage.database import Database
from protocol import profile_header
from tests.support.storage.samples import PASSPHRASE, THEIR_TERMINAL, Author, first_rows, seeded, store

CREATE, RENEW, WRITE, INSIST, STARVE, WIPE = "create", "renew", "write", "insist", "starve", "wipe"
REKEY = "rekey"
NEW_PASSPHRASE = "another one"


def author() -> Author:
    return Author()


def clean(database: Database) -> None:
    with database.transaction():
        secure_deletion.mark_unclean(database, words=True)
    secure_deletion.clean_file(database)


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
            clean(database)


def insist(database: Database, count: int) -> None:
    """Commit entries one by one and clean up in between; after one that fails the next is tried."""
    writes = author()
    for number in range(count):
        entry = writes.write(f"needle {number} " * 200)
        with told():
            store(database, entry)
            say(f"stored {entry.id.hex()}")
        if number % 4 == 3:
            with told():
                clean(database)


@contextmanager
def told() -> Iterator[None]:
    """Say what a person would be shown, and go on; anything else ends the process."""
    try:
        yield
    except ParlourError as error:
        say(f"failed {type(error).__name__}")


def starve(folder: Path) -> None:
    """Open the profile with ever more files allowed, until it opens."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in range(1, 40):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))
        with told(), profile.unlock(folder, PASSPHRASE) as opened:
            database = opened.database()
            with told():
                store(database, author().write("needle"))
                say("stored")
            database.close()
            return


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    task, folder = sys.argv[1], Path(sys.argv[2])
    if task == CREATE:
        with told():
            profile.create(
                folder, PASSPHRASE, first_rows, random=seeded("writer"), cost=profile_header.CHEAPEST
            ).close()
            say("created")
        return
    if task == WIPE:
        with told():
            profile.wipe(folder)
            say("wiped")
        return
    if task == STARVE:
        starve(folder)
        return
    with told(), profile.unlock(folder, PASSPHRASE) as opened:
        if task == RENEW:
            opened.change_passphrase(PASSPHRASE, NEW_PASSPHRASE, random=seeded("renewed"))
            say("renewed")
            return
        database = opened.database()
        if task == REKEY:
            opened.change_key(database, PASSPHRASE, NEW_PASSPHRASE, random=os.urandom)
            say("rekeyed")
        elif task == INSIST:
            insist(database, int(sys.argv[3]))
        else:
            write(database, int(sys.argv[3]), say)
        database.close()
        say("closed")


if __name__ == "__main__":
    main()
