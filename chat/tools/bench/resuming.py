"""The row file.resume: how soon a file of 100 GiB goes on once its link opens, between two real programs.

Tree and bitmap are those of a file of that size. Its pieces are holes on both disks, whose hashes are true,
but for the few that the taker lacks: these are sealed as any other, and move.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from chat.interface import ContactChanged, FileProgress
from chat.ipc.client import RemoteMessenger
from chat.storage import entries, files, folder, keys, persons, profile
from chat.storage.files import Standing
from chat.storage.pieces import BOOT_BYTES, Pieces
from chat.tools.bench.flows import PASSPHRASE, Person, own_network
from chat.tools.bench.measure import MISSED, NotTaken, Sample, Subject, left_out, rows
from chat.tools.bench.sending import pair
from chat.tools.bench.terminals import Program, Terminals
from protocol.attachments import (
    HASH_SIZE,
    Shape,
    file_body,
    leaf_hash,
    levels,
    node_hash,
    seal_piece,
    usual_aead,
)
from protocol.entries_and_receipts import KIND_FILE, conversation_of_two, write_entry
from protocol.limits import PIECE_BYTES
from protocol.messages import FileBody
from protocol.primitives import KEY_SIZE, system_random

NAME: Final = "file.resume"
SIZE: Final = 100 << 30
ROUNDS: Final = 3
LACKED: Final = 64
"""Pieces that the taker lacks, in the middle of the file."""
AT_MOST: Final = 2.0
"""Seconds from the opening of the link to the first new piece."""
PATIENCE: Final = 60.0
_UNIT: Final = "resumes/s"
_WRITTEN: Final = 1 << 20  # hashes that are written together


class _Large(Struct, frozen=True):
    """A file of which all pieces but some are holes. `tree`: level by level as default and exceptions."""

    shape: Shape
    key: bytes
    lacked: range
    tree: list[tuple[int, bytes, dict[int, bytes]]]

    @property
    def body(self) -> bytes:
        count, _, nodes = self.tree[-1]
        root = nodes[count - 1]
        return file_body(FileBody("large", "", self.shape.size, self.shape.aead.id, self.key, root, [], 0))

    def write(self, paths: tuple[Path, Path, Path], *, whole: bool) -> None:
        """The files of one who holds all of it, or all but what is lacked."""
        data, tree, held = paths
        data.parent.mkdir(mode=0o700, exist_ok=True)
        with data.open("wb") as file:
            file.truncate(self.shape.sealed)
            for number in self.lacked if whole else ():
                file.seek(number * self.shape.whole)
                file.write(_sealed(self.shape, self.key, number))
        with tree.open("wb") as file:
            for count, usual, others in self.tree:
                for start in range(0, count, _WRITTEN):
                    end = min(start + _WRITTEN, count)
                    some = bytearray(usual * (end - start))
                    for place in [place for place in others if start <= place < end]:
                        at = (place - start) * HASH_SIZE
                        some[at : at + HASH_SIZE] = others[place]
                    file.write(some)
        self.hold(held, whole=whole)

    def hold(self, path: Path, *, whole: bool) -> None:
        """What is held."""
        count = self.shape.count
        bits = bytearray(b"\xff" * ((count + 7) // 8))
        if count & 7:
            bits[-1] = (1 << (count & 7)) - 1
        for number in () if whole else self.lacked:
            bits[number >> 3] &= ~(1 << (number & 7))
        path.write_bytes(bytes(BOOT_BYTES) + bits + bits)


def _sealed(shape: Shape, key: bytes, number: int) -> bytes:
    return seal_piece(shape.aead, key, number, number.to_bytes(8) * (PIECE_BYTES // 8))


def _make(size: int) -> _Large:
    shape, key = Shape(size, usual_aead()), system_random(KEY_SIZE)
    middle = shape.count // 2
    lacked = range(middle, middle + LACKED)
    usual = leaf_hash(bytes(shape.whole))
    nodes = {number: leaf_hash(_sealed(shape, key, number)) for number in lacked}
    nodes[shape.count - 1] = leaf_hash(bytes(shape.length(shape.count - 1)))
    tree = list[tuple[int, bytes, dict[int, bytes]]]()
    for count in levels(shape.count):
        tree.append((count, usual, nodes))
        parents = {place // 2 for place in nodes}
        above = dict[int, bytes]()
        for place in parents:
            left, right = (nodes.get(2 * place + side, usual) for side in (0, 1))
            above[place] = left if 2 * place + 1 >= count else node_hash(left, right)
        nodes, usual = above, node_hash(usual, usual)
    return _Large(shape, key, lacked, tree)


def measure(*, rounds: int = ROUNDS, size: int = SIZE, **_: Any) -> list[dict[str, Any]]:
    """One subject: there is no other program that does this."""
    rounds = max(2, min(rounds, ROUNDS))
    try:
        taken = list(_resumes(rounds, size))
    except NotTaken as told:
        return [left_out(NAME, size, "parlour", _UNIT, str(told))]
    worst = max(taken)
    kept = "kept" if worst < AT_MOST else MISSED
    note = (
        "from the opening of the link to the first new piece, which is checked and stored: at most"
        f" {worst * 1000:.0f} ms of {AT_MOST:.0f} s, {kept}; tree and bitmap are whole, and the pieces that"
        " do not move are holes"
    )
    return rows(
        NAME, size, _UNIT, [Sample(Subject("parlour", lambda: None, note), tuple(1 / one for one in taken))]
    )


def _resumes(rounds: int, size: int) -> Iterator[float]:
    large, place = _make(size), system_random(16)
    with ExitStack() as stack:
        made = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parlour-bench-")))
        enter = stack.enter_context(own_network())
        with Terminals() as terminals:
            for program in pair(made, enter, terminals):
                program.stop()
        large.write(_paths(made / "Ada", place), whole=True)
        entry = _send(made / "Ada", large.body, place)
        for number in range(rounds + 1):
            with Terminals() as terminals:
                ada, ben = (Person(name, made, terminals, enter) for name in ("Ada", "Ben"))
                taker = _started(ben)
                resumed = asyncio.run(_until_resumed(made / "Ben", ada, entry, first=not number))
                for program in (taker, resumed[1]):
                    program.stop()
                if number:
                    yield resumed[0]
            held = _take(made / "Ben", entry)
            if not number:
                large.write(held, whole=False)
            large.hold(held[2], whole=False)


def _started(person: Person) -> Program:
    program = person.command("listen", "--house")
    program.wait_for("Listening on")
    return program


def _send(profile_folder: Path, body: bytes, place: bytes) -> bytes:
    """Commit the entry of a file whose pieces stand already: sealing so many would last minutes."""
    with profile.unlock(profile_folder, PASSPHRASE) as opened, closing(opened.database()) as database:
        own, friend = keys.read_own(database), database.value("SELECT person FROM contacts")
        at = conversation_of_two(own.person, friend), own.terminal, system_random(8)
        with database.transaction():
            heads, (key, *_) = persons.pinned(database, own.person).heads, keys.self_keys(database)
            at_end = entries.next_place(database, *at, heads)
            now = round(time.time() * 1000)
            entry = write_entry(at_end, now, KIND_FILE, body, key, system_random)
            entries.insert_all(database, [entry], own.terminal, contact=friend)
            files.hold(database, entry.id, place)
        return entry.id


def _take(profile_folder: Path, entry: bytes) -> tuple[Path, Path, Path]:
    """Let the file be taken from the next start on; where its pieces are."""
    with profile.unlock(profile_folder, PASSPHRASE) as opened, closing(opened.database()) as database:
        row = files.get(database, entry)
        if row is None:
            raise NotTaken("the entry of the file did not come")
        with database.transaction():
            files.stand(database, entry, Standing.TAKEN)
        return _paths(profile_folder, row.place)


def _paths(profile_folder: Path, place: bytes) -> tuple[Path, Path, Path]:
    return Pieces(profile_folder, lambda: "").paths(place)


async def _until_resumed(
    taker: Path, supplier: Person, entry: bytes, *, first: bool
) -> tuple[float, Program]:
    """Start the supplier: seconds from the link to the first new piece. `first`: until the entry is there."""
    messenger = await RemoteMessenger.open(taker / folder.SOCKET)
    try:
        events = messenger.events()
        (friend,) = [view.person for view in await messenger.contacts()]
        entered = await messenger.entry(friend, entry.hex())
        held = entered.file.held if entered is not None and entered.file is not None else 0
        # Nothing may wait for the start while events come: they would all have the moment of its end.
        starting = asyncio.create_task(asyncio.to_thread(_started, supplier))
        began = time.perf_counter()
        linked: float | None = None
        async with asyncio.timeout(PATIENCE):
            async for event in events:
                now = time.perf_counter()
                if first and await messenger.entry(friend, entry.hex()) is not None:
                    return now - began, await starting
                if isinstance(event, ContactChanged) and event.contact.present and linked is None:
                    linked = now
                if isinstance(event, FileProgress) and event.file.held > held and linked is not None:
                    return now - linked, await starting
        raise NotTaken("a program ended while it was measured")
    finally:
        await messenger.close()
