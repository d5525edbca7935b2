"""Names of files, the tree over their sealed pieces, and what two ends owe each other (SPEC §12)."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol.attachments import (
    AEADS,
    Proofs,
    Shape,
    above,
    above_leaf,
    check_piece,
    check_size,
    file_body,
    leaf_hash,
    levels,
    neighbours,
    node_hash,
    open_piece,
    root_of,
    safe_media,
    safe_name,
    seal_piece,
    shape_of,
    usual_aead,
)
from protocol.codec import encode
from protocol.errors import AuthenticationFailed, LocalMisuse, ProtocolError
from protocol.limits import FILE_BYTES_MAX, FILE_NAME_BYTES_MAX, PADDED_MAX, PIECE_BYTES, PIECE_PATH_MAX
from protocol.link.framing import LAST, padded_size, pieces
from protocol.messages import FileBody, Piece, PieceRange, PiecesEnd
from protocol.pieces import Demand, Supply, Turn

ENTRY, KEY = b"e" * 32, b"k" * 32


def rfc_9162(leaves: Sequence[bytes]) -> bytes:
    """The tree as RFC 9162 defines it, from above: split at the largest power of two below the number."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(rfc_9162(leaves[:half]), rfc_9162(leaves[half:]))


@pytest.mark.parametrize("count", [*range(1, 40), 255, 256, 257])
def test_the_root_is_that_of_rfc_9162(count: int) -> None:
    leaves = [number.to_bytes(32) for number in range(count)]
    assert root_of(leaves) == rfc_9162(leaves)
    assert list(levels(count))[-1] == 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 31, 33])
@pytest.mark.parametrize("aead", AEADS.values(), ids=lambda aead: aead.name)
def test_each_piece_proves_itself_and_no_other(count: int, aead: object) -> None:
    shape = Shape((count - 1) * PIECE_BYTES + 5, AEADS[1])
    data = [number.to_bytes(4) * (shape.length(number) // 4) for number in range(count)]
    data = [one.ljust(shape.length(number), b".") for number, one in enumerate(data)]
    nodes = [[leaf_hash(one) for one in data]]
    while len(nodes[-1]) > 1:
        nodes.append(above(nodes[-1]))
    made = [
        Piece(
            ENTRY, number, [nodes[level][place] for level, place in neighbours(count, number)], data[number]
        )
        for number in range(count)
    ]
    for piece in made:
        check_piece(piece, shape, nodes[-1][0])
        for other in {0, count // 2, count - 1} - {piece.number}:
            with pytest.raises(ProtocolError):
                check_piece(replace(piece, number=other), shape, nodes[-1][0])


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 64, 100])
def test_in_any_order_what_is_remembered_of_proofs_accepts_the_same_as_a_whole_path(count: int) -> None:
    draw = random.Random(count)
    shape = Shape(count * PIECE_BYTES, AEADS[1])
    nodes = [[draw.randbytes(32) for _ in range(count)]]
    while len(nodes[-1]) > 1:
        nodes.append(above(nodes[-1]))
    root, found = nodes[-1][0], Proofs(shape, nodes[-1][0])
    last, seen = -1, Counter[bool]()
    for _ in range(400):
        number = draw.choice([(last + 1) % count, (last ^ 1) % count, draw.randrange(count), max(last, 0)])
        path = [nodes[level][place] for level, place in neighbours(count, number)]
        leaf = nodes[0][number]
        if draw.random() < 0.4:
            place = draw.randrange(len(path) + 1)
            false = draw.choice([*path, leaf, draw.randbytes(32)])
            leaf, path = (
                (false, path) if place == len(path) else (leaf, [*path[:place], false, *path[place + 1 :]])
            )
        accepted = above_leaf(leaf, number, count, path) == root
        assert found.lead(leaf, number, path) is accepted
        seen[accepted] += 1
        last = number if accepted else last
    assert min(seen[True], seen[False]) > 50


def test_what_is_remembered_of_a_proof_is_no_list_of_others() -> None:
    shape, leaves = Shape(8 * PIECE_BYTES, AEADS[1]), [bytes([number]) * 32 for number in range(8)]
    found = Proofs(shape, root_of(leaves))
    two = above(leaves)
    path = [leaves[1], two[1], node_hash(two[2], two[3])]
    assert found.lead(leaves[0], 0, path)
    path[2] = bytes(32)
    assert not found.lead(leaves[0], 0, path)
    assert not found.lead(leaves[1], 1, [leaves[0], *path[1:]])


def test_a_piece_with_any_proof_fills_one_envelope() -> None:
    for aead in AEADS.values():
        whole = Shape(FILE_BYTES_MAX, aead).whole
        for hashes in range(PIECE_PATH_MAX + 1):
            message = encode(Piece(ENTRY, 2**32 - 1, [KEY] * hashes, bytes(whole)))
            (content,) = pieces(message)
            assert content[:1] == LAST
            assert padded_size(len(content)) == PADDED_MAX


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, FILE_BYTES_MAX])
@pytest.mark.parametrize("aead", AEADS.values(), ids=lambda aead: aead.name)
def test_the_sizes_of_pieces_add_up(size: int, aead: object) -> None:
    shape = shape_of(FileBody("a", "", size, 1, KEY, KEY, [], 0))
    last = shape.length(shape.count - 1)
    assert (shape.count - 1) * shape.whole + last == shape.sealed
    assert shape.aead.tag_size <= last <= shape.whole


def test_attack_33_a_sealed_piece_opens_in_its_place_alone() -> None:
    aead = usual_aead()
    sealed = seal_piece(aead, KEY, 3, b"secret")
    assert open_piece(aead, KEY, 3, sealed) == b"secret"
    for key, number in ((KEY, 2), (ENTRY, 3)):
        with pytest.raises(AuthenticationFailed):
            open_piece(aead, key, number, sealed)


def test_a_body_that_no_reader_takes_is_not_written() -> None:
    for name in ("..", "a/b", "x" * (FILE_NAME_BYTES_MAX + 1)):
        with pytest.raises(LocalMisuse):
            file_body(FileBody(name, "", 0, 1, KEY, KEY, [], 0))
        with pytest.raises(LocalMisuse):
            file_body(FileBody("a", "", 0, 1, KEY, KEY, ["b", name], 0))
    with pytest.raises(LocalMisuse):
        check_size(FILE_BYTES_MAX + 1)


HOSTILE = (
    *("../../etc/passwd", "/etc/shadow", "..", ".", "", "\0", "a\0b", "a\nb", "~/.bashrc", ".bashrc"),
    *("C:\\Windows\\win.ini", "con", "NUL.txt", "com1", "LPT9.log", "aux .c", "a.", "a ", " a", "..."),
    *("photo\u202egpj.exe", "\u2066x\u2069", "\ufeffa", "a\u200bb", "a\x1b[31mb", "a\u2028b", "\ud800"),
    *(
        "x" * 4_000,
        "é" * 300 + ".tar.gz",
        "." * 300,
        "👩‍👩‍👧" * 60,
        'a|b<c>d:e*f?g"h',
        "-rf",
        "$(id)",
        "%2e%2e%2f",
        *("-rf", ".-rf", "--", "\u202e-rf", "desktop.ini", "Desktop.INI.", "._autorun.inf", ".autorun.inf "),
        *("Thumbs.db", "desk\u200btop.ini"),
    ),
)


def is_safe(name: str) -> bool:
    device = name.partition(".")[0].rstrip(" ").lower()
    return (
        0 < len(name.encode()) <= FILE_NAME_BYTES_MAX
        and not set(name) & set('/\\<>:"|?*')
        and all(unicodedata.category(one)[0] != "C" for one in name)
        and name[0] not in "-. "
        and name.lower() not in ("desktop.ini", "autorun.inf", "thumbs.db", "ehthumbs.db", "folder.htt")
        and name[-1] not in ". "
        and device not in ("con", "prn", "aux", "nul", "com1", "lpt9")
    )


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_attack_80_a_hostile_name_becomes_a_safe_one(name: str) -> None:
    assert is_safe(safe_name(name))
    file_body(FileBody(safe_name(name), "", 0, 1, KEY, KEY, [], 0))


@given(st.text())
def test_attack_80_any_text_becomes_a_safe_name_that_stays(name: str) -> None:
    safe = safe_name(name)
    assert is_safe(safe)
    assert safe_name(safe) == safe


def test_a_usual_name_stays_as_it_is() -> None:
    for name in ("report.pdf", "年度 报告.pdf", "a b (2).tar.gz", "Ünïcode-_#.txt", "no suffix"):
        assert safe_name(name) == name
    assert safe_name("x" * 300 + ".pdf").endswith("x.pdf")


def test_a_media_type_is_kept_where_it_is_one() -> None:
    assert safe_media("Image/PNG") == "image/png"
    assert [safe_media(bad) for bad in ("", "text", "a/b; c=d", "a" * 200 + "/b", "a/b\n")] == [""] * 5


def test_what_is_asked_is_due_once_and_in_turns() -> None:
    supply, demand, other = Supply(), Demand(), b"o" * 32
    supply.take(demand.ask(ENTRY, [PieceRange(0, 70), PieceRange(100, 1)]), 101)
    supply.take(demand.ask(other, [PieceRange(5, 3)]), 8)
    due, ends, turns = list[tuple[bytes, int]](), list[bytes](), list[bytes]()
    while (turn := supply.next(32)) is not None:
        turns.append(turn.entry)
        if isinstance(turn, Turn):
            for number in range(turn.first, turn.first + turn.count):
                assert demand.takes(Piece(turn.entry, number, [], b""))
                due.append((turn.entry, number))
        else:
            assert demand.ended(turn) == set()
            ends.append(turn.entry)
    assert len(due) == len(set(due)) == 74
    assert sorted(ends) == sorted((ENTRY, other))
    assert turns[:4] == [ENTRY, other, ENTRY, other]
    assert demand.open == 0


def test_of_ranges_beyond_the_file_nothing_is_due() -> None:
    supply, demand = Supply(), Demand()
    supply.take(demand.ask(ENTRY, [PieceRange(3, 4), PieceRange(50, 9)]), 5)
    supply.take(demand.ask(ENTRY, [PieceRange(0, 9)]), 0)
    due = [supply.next(32) for _ in range(4)]
    assert due == [Turn(ENTRY, 3, 2), PiecesEnd(ENTRY), PiecesEnd(ENTRY), None]


def test_what_did_not_come_is_wanted_again() -> None:
    demand = Demand()
    demand.ask(ENTRY, [PieceRange(0, 3)])
    assert demand.takes(Piece(ENTRY, 1, [], b""))
    assert not demand.takes(Piece(ENTRY, 1, [], b""))
    assert demand.awaited(ENTRY) == {0, 2}
    assert demand.waits(ENTRY) == 1
    assert demand.ended(PiecesEnd(ENTRY)) == {0, 2}
    assert demand.awaited(ENTRY) == set()
