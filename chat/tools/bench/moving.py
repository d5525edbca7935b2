"""The row history.move: a linked device gets the whole history from another one, by two real programs.

Both run in a network of their own. What is timed begins with the first entry that the new device holds, one
of the newest (SPEC §7.8.3), and ends with the one before these, which comes last: sealed, sent, opened,
checked, stored and receipted. The floor inserts as many rows of entries into an encrypted database, in
transactions of the size of a burst.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from chat.interface import Messenger
from chat.ipc.client import RemoteMessenger
from chat.storage import profile
from chat.storage.folder import SOCKET
from chat.storage.siblings import NEWEST
from chat.tools.bench.commit import BURST, sides
from chat.tools.bench.flows import PASSPHRASE, Person, own_network
from chat.tools.bench.long_history import create
from chat.tools.bench.measure import NotTaken, Sample, Subject, left_out, rows
from chat.tools.bench.terminals import Program, Terminals
from protocol.primitives import AEGIS256, CHACHA20POLY1305, aes_instructions

NAME: Final = "history.move"
ENTRIES: Final = 20_000
ROUNDS: Final = 3
LOOKS_EVERY: Final = 0.02
"""Seconds between two questions whether an entry has come."""

_MOVED: Final = (
    "terminal to terminal on loopback, from the first entry to the last; the new device then holds {} MiB"
)
_BARE: Final = "the bare inserts of as many entries into an encrypted database, in transactions of a burst"


class Moved(Struct, frozen=True):
    """One move: entries per second, and the resident memory (VmRSS, MiB) of the new device at its end."""

    rate: float
    memory: float


def measure(*, entries: int = ENTRIES, rounds: int = ROUNDS, **_: Any) -> list[dict[str, Any]]:
    """Both subjects in turn."""
    rounds = min(rounds, ROUNDS)
    moves, bare = list[Moved](), list[float]()
    try:
        for moved in _moves(entries, rounds):
            moves.append(moved)
            bare.append(_insert(entries))
    except NotTaken as lacking:
        subjects = "parlour", "sqlcipher"
        return [left_out(NAME, entries, subject, "entries/s", str(lacking)) for subject in subjects]
    memory = round(max(moved.memory for moved in moves))
    taken = tuple(moved.rate for moved in moves), tuple(bare)
    notes = {"parlour": _MOVED.format(memory), "sqlcipher": _BARE}
    measured = [Subject(name, lambda: None, note) for name, note in notes.items()]
    return rows(NAME, entries, "entries/s", list(map(Sample, measured, taken)))


def _moves(entries: int, rounds: int) -> Iterator[Moved]:
    with tempfile.TemporaryDirectory(prefix="parlour-bench-") as made, own_network() as enter:
        folder = Path(made)
        create(folder / "Ada", PASSPHRASE, entries, lambda _: None)
        first, last = _ends(folder / "Ada")
        for number in range(rounds):
            with Terminals() as terminals:
                old = Person("Ada", folder, terminals, enter)
                new = Person(f"device{number}", folder, terminals, enter)
                _link(old, new)
                serving, joined = (one.command("listen", "--house") for one in (old, new))
                for program in (serving, joined):
                    program.wait_for("Listening on")
                taken = asyncio.run(_until_moved(folder / new.name, first, last))
                yield Moved((entries - 1) / taken, _resident(joined))
                for program in (serving, joined):
                    program.stop()


def _ends(folder: Path) -> tuple[bytes, bytes]:
    """The ids of the entries that come first and last: the oldest of the newest, and the one before it."""
    with profile.unlock(folder, PASSPHRASE) as opened, closing(opened.database()) as database:
        newest = (
            "SELECT id FROM entries WHERE kind NOT IN (3, 4, 6) ORDER BY rank DESC, id DESC LIMIT 2 OFFSET ?"
        )
        first, last = (row[0] for row in database.rows(newest, NEWEST - 1))
        return first, last


def _link(old: Person, new: Person) -> None:
    adding = old.command("terminal", "add")
    adding.wait_for("terminal link")
    joining = new.command("terminal", "link", "--name", new.name)
    for program in (adding, joining):
        program.wait_for("the same five words?")
    for program in (adding, joining):
        program.press("y\n")
    for program in (adding, joining):
        program.wait_end()


async def _until_moved(folder: Path, first: bytes, last: bytes) -> float:
    """Seconds from the arrival of the first entry to that of the last."""
    messenger = await RemoteMessenger.open(folder / SOCKET)
    try:
        (contact,) = [view.person for view in await messenger.contacts()]
        began = await _arrival(messenger, contact, first.hex())
        return await _arrival(messenger, contact, last.hex()) - began
    finally:
        await messenger.close()


async def _arrival(messenger: Messenger, contact: str, entry: str) -> float:
    # A stream of so many events would slow the move.
    while await messenger.entry(contact, entry) is None:  # noqa: ASYNC110
        await asyncio.sleep(LOOKS_EVERY)
    return time.perf_counter()


def _insert(entries: int) -> float:
    """Rows of so many entries, inserted: entries per second."""
    aead = AEGIS256 if aes_instructions() else CHACHA20POLY1305
    bursts, seconds = -(-entries // BURST), 0.0
    with sides(aead) as (_, bare):
        for _ in range(bursts):
            bare.prepare(1)
            began = time.perf_counter()
            bare.write()
            seconds += time.perf_counter() - began
    return bursts * BURST / seconds


def _resident(program: Program) -> float:
    status = Path(f"/proc/{program.id}/status").read_text(encoding="utf-8")
    (kibibytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(kibibytes) / 1024
