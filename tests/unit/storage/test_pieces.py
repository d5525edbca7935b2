"""Sealed pieces on the disk: what is held survives crashes, and nothing false is stored."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterable
from pathlib import Path

import pytest

from chat.platforms import files
from chat.storage import pieces
from chat.storage.mending import Mending
from chat.storage.new_file import NewFile
from chat.storage.pieces import NoRoom, NotSendable, PieceDamaged, Pieces, SealedFile, save
from protocol.attachments import AEADS, HASH_SIZE, Proofs, Proven, Shape, root_of
from protocol.limits import PIECE_BYTES
from protocol.messages import Piece, PieceRange
from tests.support.storage.samples import blob

KEY, PLACE, OTHER, ENTRY = blob("key"), blob("place", 16), blob("other", 16), blob("entry")
AEAD = AEADS[1]


def folder_of(path: Path, boot: str = "a start") -> Pieces:
    return Pieces(path, lambda: boot)


def content(size: int) -> bytes:
    return b"".join(number.to_bytes(4) for number in range(size // 4 + 1))[:size]


def proven(some: Iterable[Piece], shape: Shape, root: bytes) -> list[Proven]:
    proofs = Proofs(shape, root)
    return [proofs.check(piece) for piece in some]


def sealed(path: Path, data: bytes) -> tuple[Shape, bytes]:
    """The shape and root of a file whose pieces stand at PLACE."""
    sealing = folder_of(path).sealing(PLACE, io.BytesIO(data), KEY, AEAD)
    while sealing.step():
        pass
    size, root = sealing.finish()
    sealing.close()
    assert size == len(data)
    return Shape(size, AEAD), root


def opened(path: Path, shape: Shape, place: bytes = OTHER, boot: str = "a start") -> SealedFile:
    return folder_of(path, boot).open(place, shape)


def all_of(path: Path, shape: Shape) -> list[Piece]:
    file = opened(path, shape, PLACE)
    found = file.read(ENTRY, 0, shape.count)
    file.close()
    return found


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, 8 * PIECE_BYTES, 8 * PIECE_BYTES + 1, 37 * PIECE_BYTES])
def test_what_is_sealed_is_read_proven_stored_and_opened(tmp_path: Path, size: int) -> None:
    shape, root = sealed(tmp_path, content(size))
    there = all_of(tmp_path, shape)
    assert [piece.number for piece in there] == list(range(shape.count))
    copy = opened(tmp_path, shape)
    assert copy.write(proven(there[::-1], shape, root)) == shape.count
    assert copy.whole
    assert b"".join(copy.contents(KEY)) == content(size)
    copy.close()
    again = opened(tmp_path, shape)
    assert again.whole
    assert again.bytes_held == size
    assert again.read(ENTRY, 0, shape.count) == there
    again.close()
    for path in (tmp_path / "files").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_source_that_gives_little_at_a_time_is_sealed_alike(tmp_path: Path) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 10_001))

    data = content(20 * PIECE_BYTES + 3)
    _, root = sealed(tmp_path, data)
    sealing = folder_of(tmp_path).sealing(OTHER, Slow(data), KEY, AEAD)
    while sealing.step():
        pass
    assert sealing.finish() == (len(data), root)
    sealing.close()


def test_after_a_crash_all_that_was_written_is_held_and_after_a_power_cut_what_was_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "SYNCED_EVERY", 5)
    shape, root = sealed(tmp_path, content(12 * PIECE_BYTES))
    there, copy = all_of(tmp_path, shape), opened(tmp_path, shape)
    copy.write(proven(there[:4], shape, root))
    assert not copy.sync_due
    copy.write(proven(there[4:5], shape, root))
    assert copy.sync_due
    durable = copy.begin_sync()
    copy.write(proven(there[5:7], shape, root))
    copy.flush()
    copy.end_sync(durable)
    assert not copy.sync_due
    copy.close(sync=False)
    crashed = opened(tmp_path, shape)
    assert crashed.held == 7
    crashed.close(sync=False)
    lost = opened(tmp_path, shape, boot="another start")
    assert lost.held == 5
    assert lost.write(proven(there, shape, root)) == 7
    assert lost.whole
    lost.close()
    unknown = folder_of(tmp_path, "").open(OTHER, shape)
    assert unknown.whole
    unknown.close()


def test_what_is_missing_is_named_in_ranges_without_what_is_asked_for_elsewhere(tmp_path: Path) -> None:
    shape, root = sealed(tmp_path, content(40 * PIECE_BYTES))
    there, copy = all_of(tmp_path, shape), opened(tmp_path, shape)
    assert copy.missing(0, 64) == [PieceRange(0, 40)]
    copy.write(proven([*there[0:16], there[20]], shape, root))
    assert copy.missing(0, 64) == [PieceRange(16, 4), PieceRange(21, 19)]
    assert copy.missing(0, 6) == [PieceRange(16, 4), PieceRange(21, 2)]
    assert copy.missing(0, 3, {16, 18}) == [PieceRange(17, 1), PieceRange(19, 1), PieceRange(21, 1)]
    copy.write(proven(there, shape, root))
    assert copy.missing(0, 64) == []
    copy.close()


def test_missing_pieces_of_a_huge_file_are_found_without_a_look_at_each(tmp_path: Path) -> None:
    shape = Shape(2_000_000 * PIECE_BYTES, AEAD)
    file = opened(tmp_path, shape)
    file._bits[:] = b"\xff" * len(file._bits)
    file._bits[-1] &= 0x7F
    assert file.missing(0, 64) == [PieceRange(shape.count - 1, 1)]
    file.close(sync=False)


def test_a_piece_that_the_disk_changed_does_not_open(tmp_path: Path) -> None:
    shape, _ = sealed(tmp_path, content(3 * PIECE_BYTES))
    data = folder_of(tmp_path).paths(PLACE)[0]
    damaged = bytearray(data.read_bytes())
    damaged[PIECE_BYTES + 100] ^= 1
    data.write_bytes(damaged)
    file, target = opened(tmp_path, shape, PLACE), NewFile(tmp_path / "saved")
    with pytest.raises(PieceDamaged):
        save(file, KEY, target)
    target.abandon()
    file.close()
    assert not (tmp_path / "saved").exists()


def test_strays_are_what_no_row_names(tmp_path: Path) -> None:
    sealed(tmp_path, b"kept")
    shelf = folder_of(tmp_path)
    shelf.open(OTHER, Shape(1, AEAD)).close()
    (tmp_path / "files" / "no name of pieces").touch()
    assert shelf.strays({PLACE}) == [OTHER]
    shelf.delete(OTHER)
    shelf.delete(OTHER)
    assert shelf.strays({PLACE}) == []
    assert folder_of(tmp_path / "empty").strays(()) == []


def test_a_file_that_is_too_large_or_cannot_be_read_is_not_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError

    monkeypatch.setattr(pieces, "FILE_BYTES_MAX", 10)
    for source in (io.BytesIO(b"x" * 11), Broken()):
        sealing = folder_of(tmp_path).sealing(OTHER, source, KEY, AEAD)
        with pytest.raises(NotSendable):
            sealing.step()
        sealing.close()


def test_the_root_is_that_of_the_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_HASHES", 2)
    shape, root = sealed(tmp_path, content(13 * PIECE_BYTES))
    tree = folder_of(tmp_path).paths(PLACE)[1].read_bytes()
    assert root == root_of([tree[at : at + 32] for at in range(0, 32 * shape.count, 32)])


def test_bits_that_the_disk_sets_of_no_piece_count_for_none(tmp_path: Path) -> None:
    shape, root = sealed(tmp_path, content(5 * PIECE_BYTES))
    there = all_of(tmp_path, shape)
    copy = opened(tmp_path, shape)
    copy.write(proven(there[:4], shape, root))
    copy.close()
    held = folder_of(tmp_path).paths(OTHER)[2]
    damaged = bytearray(held.read_bytes())
    for place in (pieces.BOOT_BYTES, pieces.BOOT_BYTES + 1):
        damaged[place] |= 0x80
    held.write_bytes(damaged)
    for boot in ("a start", "another start"):
        copy = opened(tmp_path, shape, boot=boot)
        assert (copy.held, copy.whole) == (4, False)
        copy.close()
    copy = opened(tmp_path, shape)
    copy.write(proven(there, shape, root))
    assert copy.whole
    copy.close()


@pytest.mark.parametrize("which", [0, 1])
def test_of_data_that_was_cut_short_the_rest_is_lost_and_a_tree_is_made_again(
    tmp_path: Path, which: int
) -> None:
    shape, root = sealed(tmp_path, content(9 * PIECE_BYTES))
    path = folder_of(tmp_path).paths(PLACE)[which]
    os.truncate(path, 2 * (shape.whole, HASH_SIZE)[which] + 7)
    file = opened(tmp_path, shape, PLACE)
    sound = file.sound(file.read(ENTRY, 0, shape.count), KEY, root)
    assert [piece.number for piece in sound] == [[0, 1], [*range(9)]][which]
    assert file.held == len(sound)
    file.close(sync=False)


def test_a_sector_that_cannot_be_read_loses_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, root = sealed(tmp_path, content(9 * PIECE_BYTES))
    file, read_at = opened(tmp_path, shape, PLACE), files.read_at

    def bad(descriptor: int, size: int, at: int) -> bytes:
        if at <= 3 * shape.whole < at + size:
            raise OSError(errno.EIO, "bad sector")
        return read_at(descriptor, size, at)

    monkeypatch.setattr(files, "read_at", bad)
    assert file.check(KEY, root) == 1
    assert file.missing(0, 64) == [PieceRange(3, 1)]
    file.close()


def test_what_a_pipe_gives_leaves_the_room_that_the_history_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealing = folder_of(tmp_path).sealing(
        OTHER, io.BytesIO(content(3 * pieces.STRETCH * PIECE_BYTES)), KEY, AEAD
    )
    assert sealing.step()
    monkeypatch.setattr(pieces, "SPARE", 1 << 62)
    with pytest.raises(NoRoom):
        sealing.step()
    sealing.close()


def damage(path: Path, *places: int) -> None:
    """Change hashes of the tree of OTHER, each by its place in the file."""
    tree = folder_of(path).paths(OTHER)[1]
    data = bytearray(tree.read_bytes().ljust((1 + max(places)) * HASH_SIZE, b"\0"))
    for place in places:
        data[place * HASH_SIZE] ^= 1
    tree.write_bytes(data)


# Of 37 pieces: 37 leaves, then levels of 19, 10, 5, 3, 2 and 1.
@pytest.mark.parametrize(
    "places",
    [
        pytest.param([66], id="a high hash has many pieces under it"),
        pytest.param([4], id="a leaf"),
        pytest.param([36], id="the last leaf, which rises as it is"),
        pytest.param([66, 71, 74, 75], id="all on one path"),
        pytest.param([4, 5], id="neighbours"),
        pytest.param([1, 37], id="a leaf and what is above it"),
        pytest.param(range(77), id="the whole tree"),
    ],
)
def test_hashes_that_the_disk_damaged_are_made_again_of_what_is_below_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: Iterable[int]
) -> None:
    shape, root = sealed(tmp_path, content(37 * PIECE_BYTES))
    copy = opened(tmp_path, shape)
    copy.write(proven(all_of(tmp_path, shape), shape, root))
    damage(tmp_path, *places)
    assert copy.check(KEY, root) == 0
    assert copy.whole
    copy.close()
    monkeypatch.delattr(Mending, "path")
    again = opened(tmp_path, shape)
    assert again.check(KEY, root) == 0
    again.close()


def test_a_damaged_hash_whose_leaves_are_not_all_held_is_taken_again_with_its_pieces(tmp_path: Path) -> None:
    shape, root = sealed(tmp_path, content(8 * PIECE_BYTES))
    there, copy = all_of(tmp_path, shape), opened(tmp_path, shape)
    copy.write(proven(there[:5], shape, root))
    damage(tmp_path, 13)  # above the pieces 4 to 7
    assert copy.check(KEY, root) == 4
    assert copy.missing(0, 64) == [PieceRange(0, 4), PieceRange(5, 3)]
    copy.write(proven(there[:4], shape, root))
    assert copy.check(KEY, root) == 0
    copy.close()


def test_what_cannot_be_mended_costs_one_look_at_the_leaves_below() -> None:
    looks = list[tuple[int, int]]()

    def read(node: tuple[int, int], most: int) -> list[bytes]:
        if most > 1:
            looks.append(node)
        return [bytes(HASH_SIZE)] * most

    mending = Mending(1 << 14, read, lambda *_: None, lambda number: blob(str(number)))
    for number in range(64):
        assert mending.path(number, bytes(HASH_SIZE), blob("root")) is False
    assert looks == [(0, at) for at in range(0, 1 << 14, 4_096)]


def test_a_piece_that_no_sound_tree_has_is_not_mended_into_it() -> None:
    leaves = [blob(f"leaf {number}") for number in range(2)]
    root = root_of(leaves)

    def read(node: tuple[int, int], most: int) -> list[bytes]:
        return leaves[node[1] : node[1] + most]

    mending = Mending(2, read, lambda *_: pytest.fail("all is sound"), leaves.__getitem__)
    assert mending.path(1, leaves[1], root) is True
    assert mending.path(1, blob("another"), root) is False
