"""Attacks on what is remembered of files: damaged trees, disks that fail while others write, old news."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from chat.platforms import files
from chat.storage import pieces
from chat.storage.errors import StorageFailure
from chat.storage.mending import Mending
from chat.storage.pieces import PieceDamaged, SealedFile
from protocol.attachments import HASH_SIZE, above
from protocol.limits import PIECE_BYTES
from tests.unit.storage.test_pieces import (
    KEY,
    OTHER,
    PLACE,
    all_of,
    content,
    folder_of,
    opened,
    proven,
    sealed,
)


def fail_fsync(patch: pytest.MonkeyPatch, file: SealedFile, times: int = 1) -> list[int]:
    """Let the data of a file not be made durable so often: as systems do, only these calls tell of it."""
    fsync, failed = os.fsync, list[int]()

    def failing(descriptor: int) -> None:
        if descriptor == file._data and len(failed) < times:
            failed.append(descriptor)
            raise OSError(errno.EIO, "lost")
        fsync(descriptor)

    patch.setattr(os, "fsync", failing)
    return failed


def test_what_was_not_made_durable_is_not_held_and_a_second_try_does_not_count_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, root = sealed(tmp_path, content(9 * PIECE_BYTES))
    some, copy = proven(all_of(tmp_path, shape), shape, root), opened(tmp_path, shape)
    copy.write(some[:3])
    begun = copy.begin_sync()
    copy.flush()
    copy.end_sync(begun)
    copy.write(some[3:5])
    fail_fsync(monkeypatch, copy)
    with pytest.raises(StorageFailure):
        copy.flush()
    with pytest.raises(StorageFailure):
        copy.write(some[5:])  # whole: it is to be made durable by another thread
    assert (copy.held, copy.whole) == (3, False)
    copy.distrust()
    copy.close()
    for boot in ("a start", "another start"):
        again = opened(tmp_path, shape, boot=boot)
        assert again.held == 3
        again.close()
    again = opened(tmp_path, shape)
    assert again.write(some) == 6
    assert b"".join(again.contents(KEY)) == content(9 * PIECE_BYTES)
    again.close()


def test_old_news_of_what_is_durable_takes_nothing_back(tmp_path: Path) -> None:
    shape, root = sealed(tmp_path, content(9 * PIECE_BYTES))
    some, copy = proven(all_of(tmp_path, shape), shape, root), opened(tmp_path, shape)
    copy.write(some[:5])
    begun = copy.begin_sync()
    copy.write(some[5:])
    assert copy.whole
    copy.end_sync(begun)
    copy.close(sync=False)
    lost = opened(tmp_path, shape, boot="another start")
    assert lost.whole
    lost.close()


def test_a_bad_sector_of_the_tree_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape, root = sealed(tmp_path, content(37 * PIECE_BYTES))
    file, read_at, write_at = opened(tmp_path, shape, PLACE), files.read_at, files.write_at
    bad = {37 * HASH_SIZE, 3 * HASH_SIZE}  # the first hash above the leaves, and a leaf

    def reading(descriptor: int, size: int, at: int) -> bytes:
        if descriptor == file._tree and any(at <= place < at + size for place in bad):
            raise OSError(errno.EIO, "bad sector")
        return read_at(descriptor, size, at)

    def writing(descriptor: int, parts: Sequence[bytes], at: int) -> None:
        if descriptor == file._tree:
            bad.discard(at)  # a disk puts a sector that is written elsewhere
        write_at(descriptor, parts, at)

    monkeypatch.setattr(files, "read_at", reading)
    monkeypatch.setattr(files, "write_at", writing)
    assert file.check(KEY, root) == 0
    assert file.whole
    assert not bad
    file.close()


def test_a_bad_sector_is_said_of_the_file_that_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, _ = sealed(tmp_path, content(3 * PIECE_BYTES))
    file, read_at = opened(tmp_path, shape, PLACE), files.read_at

    def bad(descriptor: int, size: int, at: int) -> bytes:
        if at <= shape.whole < at + size:
            raise OSError(errno.EIO, "bad sector")
        return read_at(descriptor, size, at)

    monkeypatch.setattr(files, "read_at", bad)
    with pytest.raises(PieceDamaged):
        list(file.contents(KEY))
    file.close()


def test_of_what_cannot_be_mended_no_piece_costs_a_look_at_what_could() -> None:
    """The whole upper half of a tree is gone, and hashes low in it for good."""
    count = 1 << 13
    leaves = [number.to_bytes(HASH_SIZE) for number in range(count)]
    tree = [leaves]
    while len(tree[-1]) > 1:
        tree.append(above(tree[-1]))
    (root,), looks = tree[-1], list[tuple[int, int]]()
    stored = {(level, at): one for level, nodes in enumerate(tree) for at, one in enumerate(nodes)}
    for level in (11, 12):
        for at in range(len(tree[level])):
            stored[level, at] = bytes(HASH_SIZE)
    lost = range(0, 1024, 64)
    for number in lost:
        stored[0, number] = stored[0, number + 1] = bytes(HASH_SIZE)
        stored[1, number // 2] = bytes(HASH_SIZE)
        stored[11, number >> 11] = tree[11][number >> 11]
    stored[11, 0] = tree[11][0]

    def read(node: tuple[int, int], most: int) -> list[bytes]:
        if most > 128:
            looks.append(node)
        return [stored[node[0], at] for at in range(node[1], node[1] + most)]

    mending = Mending(count, read, stored.__setitem__, lambda number: b"another")
    assert [mending.path(number, leaves[number], root) for number in lost] == [False] * len(lost)
    assert len(looks) <= 4


def test_a_piece_that_its_sender_made_wrongly_was_not_damaged_by_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(pieces, "seal_piece", lambda aead, key, number, data: data + bytes(aead.tag_size))
        shape, root = sealed(tmp_path, content(5 * PIECE_BYTES))
    there, file = all_of(tmp_path, shape), opened(tmp_path, shape, PLACE)
    assert file.check(KEY, root) == 0
    assert file.sound(there, KEY, root) == there
    path = folder_of(tmp_path).paths(PLACE)[0]
    damaged = bytearray(path.read_bytes())
    damaged[9] ^= 1
    path.write_bytes(damaged)
    assert file.check(KEY, root) == 1
    file.close()


def test_two_threads_that_flush_hear_of_one_failure_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, root = sealed(tmp_path, content(2 * PIECE_BYTES))
    copy, heard = opened(tmp_path, shape, OTHER), list[StorageFailure]()
    copy.write(proven(all_of(tmp_path, shape)[:1], shape, root))
    fail_fsync(monkeypatch, copy)

    def flush() -> None:
        try:
            copy.flush()
        except StorageFailure as failure:
            heard.append(failure)

    threads = [threading.Thread(target=flush) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(heard) == 2
    copy.close(sync=False)
