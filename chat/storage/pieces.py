"""Sealed pieces of files on the disk, outside of the database: data first, then hashes, then what is held.

A crash loses no piece that was written, and a power cut only the last ones: nothing is read again to go on.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from chat.errors import ParlourError, UsageError, phrase
from chat.platforms import files
from chat.storage import folder
from chat.storage.errors import StorageFailure
from chat.storage.folder import system_failures
from chat.storage.mending import Mending
from chat.storage.new_file import NewFile
from protocol.attachments import (
    HASH_SIZE,
    Proofs,
    Proven,
    Shape,
    above,
    is_authentic,
    leaf_hash,
    levels,
    open_piece,
    pieces_in,
    seal_piece,
)
from protocol.errors import AuthenticationFailed
from protocol.limits import FILE_BYTES_MAX, PIECE_BYTES
from protocol.messages import Piece, PieceRange
from protocol.primitives import Aead

RUN: Final = 16
"""Pieces that are read or written together: a megabyte, whatever the size of the file."""

STRETCH: Final = 2 * RUN
"""Pieces of a source that are read together while it is sealed, almost 2 MiB."""

SEALERS_MAX: Final = 4
"""Threads that seal one file at the same time. This person alone begins that."""

SYNCED_EVERY: Final = 256
"""Pieces after which what was written is made durable, while others are written. A power cut, and no crash,
loses at most twice as many."""

SPARE: Final = 64 << 20
"""Bytes of the disk that no file may take: the history needs them more."""

BOOT_BYTES: Final = 48
"""Bytes at the beginning of what is held, for the start of the machine in which it was written."""

_HASHES: Final = 4_096
"""Hashes of one level of the tree that are computed together."""

NOT_A_FILE = phrase("This is not a file that can be sent: name a file, not a folder or a device.")
TOO_LARGE = phrase("This file is larger than a terabyte: send it in parts.")
CHANGED = phrase("The file cannot be read: check that it is there and that you may read it.")
DAMAGED = phrase(
    "A part of this file is damaged on this disk. It is taken again from a device that has it: save the file"
    " after that, or ask for it to be sent again."
)
NO_ROOM = phrase("The disk has too little room for this file: free some space, then try again.")


class NotSendable(UsageError):
    """A file that this person named cannot be read, or is none."""


class NoRoom(ParlourError):
    """The disk has no room for a file."""

    def __init__(self) -> None:
        super().__init__(NO_ROOM)


class PieceDamaged(ParlourError):
    """A piece does not open: the disk has lost it. The check before it was stored held."""

    def __init__(self) -> None:
        super().__init__(DAMAGED)


class Sync(Struct, frozen=True):
    """What is to be made durable: how many pieces were stored until now, and which are held."""

    written: int
    held: bytes


class Made(Struct, frozen=True):
    """A file that was sealed: the name of its pieces (16 bytes), its size in bytes, and its root."""

    place: bytes
    size: int
    root: bytes


def room_for(shape: Shape) -> int:
    """Bytes of the disk that the pieces of a file and their tree need."""
    return shape.sealed + 3 * HASH_SIZE * shape.count


class _Layout:
    """Where each node of a tree is in its file: level by level, the leaves first."""

    def __init__(self, count: int) -> None:
        self.count, self.levels = count, tuple(levels(count))
        self._starts, at = list[int](), 0
        for nodes in self.levels:
            self._starts.append(at)
            at += nodes * HASH_SIZE

    def offset(self, level: int, place: int) -> int:
        return self._starts[level] + place * HASH_SIZE

    def places(self, number: int) -> list[int]:
        """Where the hashes that prove a piece are, from its neighbour upwards."""
        found = list[int]()
        for start, nodes in zip(self._starts, self.levels, strict=True):
            other = number ^ 1
            if other < nodes:
                found.append(start + other * HASH_SIZE)
            number >>= 1
        return found


class Pieces:
    """The folder of all pieces of a profile. Its methods block; they raise StorageFailure.

    `boot`: names this start of the machine, empty where it has no name.
    """

    def __init__(self, profile: Path, boot: Callable[[], str]) -> None:
        self._folder, self._boot = profile / folder.FILES, boot

    def require_room(self, shape: Shape, promised: int = 0) -> None:
        """Raises NoRoom unless the disk has room for a file, and for the history as before.

        `promised`: bytes of others that are to come.
        """
        self._make()
        with system_failures():
            free = shutil.disk_usage(self._folder).free
        if free < room_for(shape) + promised + SPARE:
            raise NoRoom

    def measure(self, place: bytes, size: int) -> int:
        """Bytes of the content of a file, of so many, that is not open which are held."""
        count, path = pieces_in(size), self.paths(place)[2]
        with system_failures(), suppress(FileNotFoundError):
            bits = path.read_bytes()[BOOT_BYTES : BOOT_BYTES + (count + 7) // 8]
            held = int.from_bytes(bits).bit_count()
            return size if held == count else min(size, held * PIECE_BYTES)
        return 0

    def _make(self) -> None:
        with system_failures():
            folder.make_private_folder(self._folder)

    def paths(self, place: bytes) -> tuple[Path, Path, Path]:
        """The files of data, tree and held pieces."""
        name = place.hex()
        data, tree, held = (self._folder / f"{name}.{kind}" for kind in ("data", "tree", "held"))
        return data, tree, held

    def open(self, place: bytes, shape: Shape) -> SealedFile:
        """The pieces that are held of a file, none where nothing of it is."""
        self._make()
        with system_failures():
            return SealedFile(self.paths(place), shape, self._boot())

    def sealing(self, place: bytes, source: BinaryIO, key: bytes, aead: Aead) -> Sealing:
        """Begin to seal what `source` has, up to its end."""
        self._make()
        return Sealing(self.paths(place), source, key, aead, self._boot())

    def delete(self, place: bytes) -> None:
        """Delete what is held of a file."""
        with system_failures():
            for path in reversed(self.paths(place)):
                path.unlink(missing_ok=True)

    def strays(self, known: Collection[bytes]) -> list[bytes]:
        """The names of pieces that no row has: a crash came between the two."""
        found = set[bytes]()
        with system_failures(), suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                with suppress(ValueError):
                    found.add(bytes.fromhex(path.stem))
        return sorted(found.difference(known))


def _open(path: Path) -> int:
    return files.open_private(path, os.O_RDWR | os.O_CREAT, follow=False)


def _there(descriptor: int, size: int, at: int) -> bytes:
    """What the disk has of so many bytes, nothing where a sector is bad: what is near may be sound."""
    try:
        return files.read_at(descriptor, size, at)
    except OSError as error:
        if not files.is_bad_sector(error):
            raise
        return b""


def _require_spare(descriptor: int, path: Path) -> None:
    """Raises NoRoom, OSError."""
    if files.free_bytes(descriptor, path.parent) < SPARE:
        raise NoRoom


class SealedFile:
    """The sealed pieces of one file. Used by one thread at a time; `close` lets go of its files.

    Every method may raise StorageFailure.
    """

    def __init__(self, paths: tuple[Path, Path, Path], shape: Shape, boot: str) -> None:
        self.shape = shape
        self._layout = _Layout(shape.count)
        self._boot = boot.encode()[:BOOT_BYTES].ljust(BOOT_BYTES, b"\0")
        self._stored = set[int]()  # where those near the last piece that was written are
        self._mending = Mending(shape.count, self._whole_hashes, self._write_hash, self._leaf_of)
        self._proofs: Proofs | None = None
        self._full = 0  # bytes of what is held before which no piece is missing
        self._written = self._synced = 0  # pieces since this was opened: stored, and durable
        self._flushing = threading.Lock()
        self._flush_failure: OSError | None = None
        self._paths_of, self._path, self._descriptors = paths, paths[0], list[int]()
        try:
            self._open()
            self._load()
        except BaseException:
            self.close(sync=False)
            raise

    def _open(self) -> None:
        for path in self._paths_of:
            self._descriptors.append(_open(path))
        self._data, self._tree, self._held = self._descriptors

    def wake(self) -> None:
        """Open its files, if they rest."""
        if not self._descriptors:
            try:
                with system_failures():
                    self._open()
            except BaseException:
                self.rest()
                raise

    def rest(self) -> bool:
        """Close its files until `wake`; False while something that was written is not durable."""
        if self._written > self._synced:
            return False
        while self._descriptors:
            os.close(self._descriptors.pop())
        return True

    def _load(self) -> None:
        """What is held: after a power cut only what had been made durable before."""
        size = (self.shape.count + 7) // 8
        found = files.read_at(self._held, BOOT_BYTES + 2 * size, 0)
        sure, written = found[BOOT_BYTES : BOOT_BYTES + size], found[BOOT_BYTES + size :]
        same = found[:BOOT_BYTES] == self._boot and self._boot.strip(b"\0")
        whole = len(written) == size
        self._bits = bytearray((written if same and whole else sure).ljust(size, b"\0"))
        if self.shape.count & 7:
            self._bits[-1] &= (1 << (self.shape.count & 7)) - 1  # a disk may set bits of no piece
        self._changed = (0, size)
        if not (same and whole):
            head = self._boot + sure.ljust(size, b"\0") + self._bits
            files.write_at(self._held, [head], 0)
        self.held = int.from_bytes(self._bits).bit_count()

    @property
    def whole(self) -> bool:
        return self.held == self.shape.count

    @property
    def bytes_held(self) -> int:
        """Of the content."""
        if self.whole:
            return self.shape.size
        return min(self.shape.size, self.held * PIECE_BYTES)

    def has(self, number: int) -> bool:
        return bool(self._bits[number >> 3] >> (number & 7) & 1)

    def missing(self, first: int, most: int, apart: Collection[int] = ()) -> list[PieceRange]:
        """The next ranges of pieces that are not held, from `first` on: at most so many pieces.

        `apart` are numbers that are asked for elsewhere.
        """
        found, count = list[int](), self.shape.count
        self._full = self._past_full(self._full)
        number = max(first, self._full << 3)
        while number < count and len(found) < most:
            if not number & 7 and self._bits[number >> 3] == 0xFF:
                number = self._past_full(number >> 3) << 3
                continue
            if not self.has(number) and number not in apart:
                found.append(number)
            number += 1
        gaps = (at for at, (one, other) in enumerate(pairwise(found), 1) if other != one + 1)
        ends = [0, *gaps, len(found)]
        return [PieceRange(found[start], end - start) for start, end in pairwise(ends) if end > start]

    def _past_full(self, at: int) -> int:
        """The next byte of what is held that is not full."""
        while at < len(self._bits) and self._bits[at] == 0xFF:
            step = 4_096 if self._bits.startswith(_FULL, at) else 1
            at += step
        return min(at, len(self._bits))

    # --- Reading ---

    def read(self, entry: bytes, first: int, count: int) -> list[Piece]:
        """Those of the pieces that are held, each with its proof."""
        end = min(first + count, self.shape.count)
        numbers = [number for number in range(first, end) if self.has(number)]
        if not numbers:
            return []
        with system_failures():
            parts = zip(numbers, self._paths(numbers), self._read(numbers), strict=True)
            return [Piece(entry, number, path, data) for number, path, data in parts]

    def _read(self, numbers: Sequence[int]) -> list[bytes]:
        shape, first, last = self.shape, numbers[0], numbers[-1]
        size = (last - first) * shape.whole + shape.length(last)
        if last - first + 1 == len(numbers):
            with suppress(OSError):  # one of them may be on a bad sector
                data = files.read_at(self._data, size, first * shape.whole)
                if len(data) == size:  # else the file was cut short
                    return [data[at : at + shape.whole] for at in range(0, size, shape.whole)]
        return list(map(self._read_one, numbers))

    def _read_one(self, number: int) -> bytes:
        return _there(self._data, self.shape.length(number), number * self.shape.whole)

    def sound(self, some: Sequence[Piece], key: bytes, root: bytes) -> list[Piece]:
        """Those of ascending pieces that would prove themselves.

        The disk has damaged the others, which are not held any more.
        """
        proven = list[Piece]()
        if not some:
            return proven
        first, last = some[0].number, some[-1].number
        with system_failures():
            leaves = self._hashes(0, first, last - first + 1)
            for piece in some:
                if (one := self._proven(piece, leaves[piece.number - first], key, root)) is not None:
                    proven.append(one)
                else:
                    self._lose(piece.number)
        return proven

    def check(self, key: bytes, root: bytes) -> int:
        """Look at all pieces that are held; returns how many the disk has damaged, which are not any more."""
        before = self.held
        for first in range(0, self.shape.count, RUN):
            self.sound(self.read(b"", first, RUN), key, root)
        return before - self.held

    def _proven(self, piece: Piece, leaf: bytes, key: bytes, root: bytes) -> Piece | None:
        """A piece that proves itself, with another path where the disk has damaged that."""
        # The AEAD sees damage in a tenth of the time that the leaf's hash would take.
        number, proofs = piece.number, self._proofs_to(root)
        if not is_authentic(self.shape.aead, key, number, piece.data):
            # A sender can prove what opens for nobody: then the disk has lost nothing.
            made_so = proofs.lead(leaf_hash(piece.data), number, piece.path)
            return piece if made_so else None
        if proofs.lead(leaf, number, piece.path):
            return piece
        if not self._mending.path(number, leaf_hash(piece.data), root):
            return None
        (path,) = self._paths([number])
        return Piece(piece.entry, number, path, piece.data)

    def _whole_hashes(self, node: tuple[int, int], most: int) -> list[bytes]:
        """So many hashes from a node on, fewer where the tree was cut short."""
        return [one for one in self._hashes(*node, most) if len(one) == HASH_SIZE]

    def _write_hash(self, node: tuple[int, int], right: bytes) -> None:
        files.write_at(self._tree, [right], self._layout.offset(*node))

    def _leaf_of(self, number: int) -> bytes:
        return leaf_hash(self._read_one(number))

    def _proofs_to(self, root: bytes) -> Proofs:
        if self._proofs is None:
            self._proofs = Proofs(self.shape, root)
        return self._proofs

    def _lose(self, number: int) -> None:
        self._stored.clear()  # what is damaged is written again
        self._full = 0
        self._bits[number >> 3] &= ~(1 << (number & 7))
        self.held -= 1
        for start in (BOOT_BYTES, BOOT_BYTES + len(self._bits)):
            self._write_bits(start, (number >> 3,))

    def _paths(self, numbers: Sequence[int]) -> list[list[bytes]]:
        """The hashes that prove pieces, which are ascending: those of a level are read together."""
        first, last, paths = numbers[0], numbers[-1], [list[bytes]() for _ in numbers]
        for level, nodes in enumerate(self._layout.levels[:-1]):
            low, high = first >> level & ~1, min(nodes, (last >> level | 1) + 1)
            there = self._hashes(level, low, high - low)
            for number, path in zip(numbers, paths, strict=True):
                if (other := (number >> level ^ 1) - low) < len(there):
                    path.append(there[other])
        return paths

    def _hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """Hashes of one level that are neighbours; short ones where the disk has none."""
        size, start = count * HASH_SIZE, self._layout.offset(level, first)
        found = _there(self._tree, size, start)
        if not found and count > 1:  # one of them may be on a bad sector
            parts = range(start, start + size, HASH_SIZE)
            return [_there(self._tree, HASH_SIZE, at) for at in parts]
        return [found[at : at + HASH_SIZE] for at in range(0, count * HASH_SIZE, HASH_SIZE)]

    def contents(self, key: bytes) -> Iterator[bytes]:
        """The plain content, some of it at a time. Raises PieceDamaged."""
        shape = self.shape
        for first in range(0, shape.count, RUN):
            with system_failures():
                some = self._read(range(first, min(first + RUN, shape.count)))
            try:
                yield b"".join(
                    open_piece(shape.aead, key, number, one) for number, one in enumerate(some, first)
                )
            except AuthenticationFailed:
                raise PieceDamaged from None

    # --- Writing ---

    def write(self, proven: Sequence[Proven]) -> int:
        """Store pieces; returns how many are new. Raises NoRoom."""
        new = [one for one in proven if not self.has(one.piece.number)]
        if new:
            with system_failures():
                self._store(new)
        return len(new)

    def _store(self, new: Sequence[Proven]) -> None:
        # Something else may have filled the disk since this file was begun.
        _require_spare(self._data, self._path)
        whole = self.shape.whole
        start = 0
        for at, one in enumerate(new, 1):
            if at == len(new) or new[at].piece.number != one.piece.number + 1:
                run = [other.piece for other in new[start:at]]
                files.write_at(self._data, [other.data for other in run], run[0].number * whole)
                start = at
        self._store_hashes(new)
        for one in new:
            number = one.piece.number
            if not self.has(number):
                self._bits[number >> 3] |= 1 << (number & 7)
                self.held += 1
        self._write_bits(BOOT_BYTES + len(self._bits), {one.piece.number >> 3 for one in new})
        self._written += len(new)
        if self.whole:
            self._sync()

    def _store_hashes(self, new: Sequence[Proven]) -> None:
        """Write the hashes that prove pieces, those that are neighbours in the file together."""
        due, near = dict[int, bytes](), list[int]()
        for one in new:
            number = one.piece.number
            near = [self._layout.offset(0, number), *self._layout.places(number)]
            due.update(zip(near, (one.leaf, *one.piece.path), strict=True))
        places = sorted(due.keys() - self._stored)
        start = 0
        for at, place in enumerate(places, 1):
            if at == len(places) or places[at] != place + HASH_SIZE:
                files.write_at(self._tree, [b"".join(map(due.__getitem__, places[start:at]))], places[start])
                start = at
        self._stored = set(near)

    def _write_bits(self, start: int, places: Collection[int]) -> None:
        first, last = min(places), max(places)
        files.write_at(self._held, [bytes(self._bits[first : last + 1])], start + first)

    # What was written is made durable: data first, then hashes, then what is held.

    @property
    def sync_due(self) -> bool:
        """Whether much of what was written is not durable yet."""
        return self._written - self._synced >= SYNCED_EVERY

    def begin_sync(self) -> Sync:
        """What is held now: `flush` makes it durable, and `end_sync` notes that."""
        return Sync(self._written, bytes(self._bits))

    def flush(self) -> None:
        """Make data and hashes durable. Another thread may read and write meanwhile.

        After a failure each call fails, until `distrust`.
        """
        # The system tells of a failure once: a second thread, or a second try, would count what was lost.
        with self._flushing, system_failures():
            if self._flush_failure is not None:
                raise self._flush_failure
            try:
                for descriptor in (self._data, self._tree):
                    os.fsync(descriptor)
            except OSError as error:
                self._flush_failure = error
                raise

    def end_sync(self, begun: Sync) -> None:
        """Note that pieces are durable, but for those that were lost meanwhile."""
        if begun.written <= self._synced:
            return  # one that began later has noted more
        sure = int.from_bytes(begun.held) & int.from_bytes(self._bits)
        with system_failures():
            files.write_at(self._held, [sure.to_bytes(len(begun.held))], BOOT_BYTES)
            os.fsync(self._held)
        self._synced = begun.written

    def distrust(self) -> None:
        """What was written could not be made durable: hold no more than what was before."""
        with self._flushing:
            self._flush_failure = None
        size = len(self._bits)
        with system_failures():
            sure = files.read_at(self._held, size, BOOT_BYTES).ljust(size, b"\0")
            left = int.from_bytes(sure) & int.from_bytes(self._bits)
            self._bits[:] = left.to_bytes(size)
            self.held, self._full, self._synced = left.bit_count(), 0, self._written
            self._stored.clear()
            files.write_at(self._held, [bytes(self._bits)], BOOT_BYTES + size)

    def _sync(self) -> None:
        begun = self.begin_sync()
        try:
            self.flush()
        except StorageFailure:
            self.distrust()
            raise
        self.end_sync(begun)

    def close(self, *, sync: bool = True) -> None:
        """Let go of the files, and make durable what was written."""
        try:
            if sync and self._written > self._synced:
                self._sync()
        finally:
            while self._descriptors:
                os.close(self._descriptors.pop())


_FULL: Final = b"\xff" * 4_096


class Sealing:
    """Seals a file of this person, a stretch with each `step`. `done`: bytes so far.

    Threads of its own seal and hash runs at the same time, since each piece stands for itself: at most
    SEALERS_MAX runs and one more are in memory. `close` waits for them.
    """

    def __init__(
        self, paths: tuple[Path, Path, Path], source: BinaryIO, key: bytes, aead: Aead, boot: str
    ) -> None:
        self._paths, self._source, self._key, self._aead, self._boot = paths, source, key, aead, boot
        self.done, self._count, self._left = 0, 0, b""
        self._descriptors = list[int]()
        self._sealers = ThreadPoolExecutor(sealers(), thread_name_prefix="seal")
        self._under_way = deque[Future[None]]()
        with system_failures():
            for path in paths[:2]:
                self._descriptors.append(_open(path))

    def step(self) -> bool:
        """Seal the next stretch; whether more may follow. Raises NotSendable, NoRoom, StorageFailure."""
        try:
            read = self._source.read(STRETCH * PIECE_BYTES - len(self._left))
        except OSError:
            raise NotSendable(CHANGED) from None
        data = self._left + (read or b"")
        self.done += len(read or b"")
        if self.done > FILE_BYTES_MAX:
            raise NotSendable(TOO_LARGE)
        if read and len(data) < STRETCH * PIECE_BYTES:
            self._left = data  # a pipe gives less at a time
            return True
        self._left = b""
        if data or not self._count:
            self._begin(data)
        self._await(0 if not read else sealers())
        return bool(read)

    def _begin(self, data: bytes) -> None:
        """Let the sealers have a stretch, a run each. Raises NoRoom: nobody knows how long a pipe gives."""
        with system_failures():
            _require_spare(self._descriptors[0], self._paths[0])
        view = memoryview(data)
        for start in range(0, max(1, len(data)), RUN * PIECE_BYTES):
            run = view[start : start + RUN * PIECE_BYTES]
            self._await(sealers())
            self._under_way.append(self._sealers.submit(self._seal, self._count, run))
            self._count += max(1, -(-len(run) // PIECE_BYTES))

    def _await(self, most: int) -> None:
        """Wait until no more than so many runs are under way. Raises what failed."""
        while len(self._under_way) > most:
            self._under_way.popleft().result()

    def _seal(self, first: int, run: memoryview) -> None:
        """In a thread."""
        sealed = [
            seal_piece(self._aead, self._key, first + at, bytes(run[start : start + PIECE_BYTES]))
            for at, start in enumerate(range(0, max(1, len(run)), PIECE_BYTES))
        ]
        whole = PIECE_BYTES + self._aead.tag_size
        with system_failures():
            files.write_at(self._descriptors[0], sealed, first * whole)
            files.write_at(self._descriptors[1], [leaf_hash(one) for one in sealed], first * HASH_SIZE)

    def finish(self) -> tuple[int, bytes]:
        """Write the rest of the tree, and what is held; returns size and root."""
        shape, layout = Shape(self.done, self._aead), _Layout(self._count)
        tree = self._descriptors[1]
        with system_failures():
            for level, nodes in enumerate(layout.levels[1:], 1):
                for at in range(0, nodes, _HASHES):
                    below = files.read_at(tree, 2 * _HASHES * HASH_SIZE, layout.offset(level - 1, 2 * at))
                    most = min(2 * _HASHES, layout.levels[level - 1] - 2 * at) * HASH_SIZE
                    made = above([below[one : one + HASH_SIZE] for one in range(0, most, HASH_SIZE)])
                    files.write_at(tree, made, layout.offset(level, at))
            root = files.read_at(tree, HASH_SIZE, layout.offset(len(layout.levels) - 1, 0))
            for descriptor in self._descriptors:
                os.fsync(descriptor)
            self._hold_all(shape.count)
        return self.done, root

    def _hold_all(self, count: int) -> None:
        bits = bytearray(b"\xff" * ((count + 7) // 8))
        if count & 7:
            bits[-1] = (1 << (count & 7)) - 1
        held = _open(self._paths[2])
        try:
            boot = self._boot.encode()[:BOOT_BYTES].ljust(BOOT_BYTES, b"\0")
            files.write_at(held, [boot, bytes(bits), bytes(bits)], 0)
            os.fsync(held)
        finally:
            os.close(held)

    def close(self) -> None:
        self._sealers.shutdown(cancel_futures=True)  # what a thread writes to must be open until then
        while self._descriptors:
            os.close(self._descriptors.pop())


def sealers() -> int:
    """Threads that seal one file."""
    return min(SEALERS_MAX, os.cpu_count() or 1)


def save(file: SealedFile, key: bytes, target: NewFile, goes: Callable[[], bool] = lambda: False) -> bool:
    """Write the plain content of a whole file for the person. Raises NoRoom, PieceDamaged, StorageFailure.

    False, at once, if it `goes` meanwhile: what was deleted is not written to its end.
    """
    if target.free() < file.shape.size + SPARE:
        raise NoRoom
    for part in file.contents(key):
        if goes():
            return False
        if target.free() < SPARE:  # something else fills the disk, too
            raise NoRoom
        target.write(part)
    target.end()
    return True
