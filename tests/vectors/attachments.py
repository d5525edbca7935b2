"""Makes the vectors of attachments: bodies, sealed pieces, trees, and what two ends say of pieces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from protocol.attachments import AEADS, Shape, leaf_hash, neighbours, root_of, seal_piece
from protocol.codec import encode
from protocol.limits import (
    ASK_PIECES_MAX,
    ASK_RANGES_MAX,
    ASKS_MAX,
    FILE_BYTES_MAX,
    FILE_FOLDERS_MAX,
    FILE_NAME_BYTES_MAX,
    MEDIA_TYPE_MAX,
    PIECE_BYTES,
    PIECE_PATH_MAX,
    VOICE_SECONDS_MAX,
)
from protocol.messages import AskPieces, FileBody, Piece, PieceRange, PiecesEnd
from protocol.vectors.attachments import ACTIONS, AREA, World
from protocol.vectors.frame import SUCCESS, Json, write_bytes
from tests.vectors.files import Group, Script, Seed, build_file, one_step

NOTES: Final = {
    "Body": ("BASIC", "A body that names a file."),
    "BadBody": ("MALFORMED", "A body that no correct author makes."),
    "Sealed": ("BASIC", "A file in sealed pieces, and the root of their tree."),
    "OtherPiece": ("AUTHENTICITY", "Not the sealed piece of this number and key."),
    "Tree": ("BASIC", "Which hashes prove each piece."),
    "Proof": ("BASIC", "A piece that its hashes prove."),
    "BadProof": ("AUTHENTICITY", "A piece that its hashes do not prove."),
    "BadForm": ("MALFORMED", "No piece of a file of this size."),
    "Supply": ("BASIC", "What is due to an end that asks."),
    "Demand": ("BASIC", "What is still wanted of an end that was asked."),
    "TooMany": ("RESOURCES", "More than one end may ask at a time."),
    "Unasked": ("AUTHENTICITY", "What was not asked for."),
}
AEGIS, CHACHA = sorted(AEADS)


def _bodies(seed: Seed) -> Group:
    group = Group("12.1", {})
    base = FileBody("notes.txt", "text/plain", 5, AEGIS, seed.bytes("key"), seed.bytes("root"), [], 0)
    long_media = f"{'a' * (MEDIA_TYPE_MAX - 2)}/b"
    for comment, changes in (
        ("a file", {}),
        ("an empty file without a media type", {"size": 0, "media": "", "aead": CHACHA}),
        ("the largest file", {"size": FILE_BYTES_MAX}),
        ("a name of other letters", {"name": "年度 报告.pdf"}),
        ("the longest name", {"name": "é" * (FILE_NAME_BYTES_MAX // 2)}),
        ("the longest media type", {"media": long_media}),
        ("a name with what a program does not show", {"name": "a\u202egpj.exe"}),
        ("a name that begins with dots", {"name": "...x"}),
        ("a voice message", {"name": "voice.wav", "media": "audio/x-wav", "seconds": 12}),
        ("the longest voice message", {"seconds": VOICE_SECONDS_MAX}),
        ("a file in a folder of a folder", {"folder": ["photos", "2026"]}),
        ("the deepest folder with the longest names", {"folder": ["é" * 100] * FILE_FOLDERS_MAX}),
    ):
        body = encode(replace(base, **changes))
        group.add(comment, ["Body"], SUCCESS, one_step(ACTIONS, World(), "body", body=body.hex()))
    wrong: tuple[tuple[str, dict[str, Any]], ...] = (
        ("no name", {"name": ""}),
        ("a name of one byte too many", {"name": "a" * (FILE_NAME_BYTES_MAX + 1)}),
        ("a name of too many bytes in few letters", {"name": "é" * (FILE_NAME_BYTES_MAX // 2 + 1)}),
        ("a folder in the name", {"name": "a/b"}),
        ("a folder of Windows in the name", {"name": "a\\b"}),
        ("the folder above", {"name": ".."}),
        ("this folder", {"name": "."}),
        ("a zero byte in the name", {"name": "a\0b"}),
        ("a line break in the name", {"name": "a\nb"}),
        ("DEL in the name", {"name": "a\x7fb"}),
        ("a C1 control in the name", {"name": "a\x9bb"}),
        ("a folder without a name", {"folder": ["a", ""]}),
        ("a folder above in the folders", {"folder": ["a", ".."]}),
        ("this folder in the folders", {"folder": ["."]}),
        ("an absolute folder", {"folder": ["/etc"]}),
        ("two folders in one name", {"folder": ["a/b"]}),
        ("a folder of Windows in the folders", {"folder": ["C:\\"]}),
        ("a zero byte in a folder", {"folder": ["a\0b"]}),
        ("a folder of one byte too many", {"folder": ["a" * (FILE_NAME_BYTES_MAX + 1)]}),
        ("a folder of too many bytes in few letters", {"folder": ["é" * (FILE_NAME_BYTES_MAX // 2 + 1)]}),
        ("one folder too many", {"folder": ["a"] * (FILE_FOLDERS_MAX + 1)}),
        ("a media type without a part", {"media": "text"}),
        ("a media type in capitals", {"media": "Text/plain"}),
        ("a media type with a parameter", {"media": "text/plain; a=b"}),
        ("a media type with an end of a line", {"media": "text/plain\n"}),
        ("a media type of one character too many", {"media": f"a{long_media}"}),
        ("more bytes than a file may have", {"size": FILE_BYTES_MAX + 1}),
        ("a voice message of one second too many", {"seconds": VOICE_SECONDS_MAX + 1}),
        ("a voice message of less than no time", {"seconds": -1}),
        ("AEAD 0", {"aead": 0}),
        ("AEAD 3", {"aead": 3}),
        ("a key of 31 bytes", {"key": seed.bytes("key")[:31]}),
        ("a root of 33 bytes", {"root": seed.bytes("root") + b"\0"}),
    )
    for comment, changes in wrong:
        body = encode(replace(base, **changes))
        steps = [{"do": "body", "body": body.hex()}]
        group.add(comment, ["BadBody"], "malformed", steps, rule="V-ET-09")
    return group


def _sealed(seed: Seed) -> Group:
    group, key, fill = Group("12.2", {}), seed.bytes("key"), seed.bytes("content")[:1]
    for aead in (AEGIS, CHACHA):
        for size in (0, 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 7):
            content = write_bytes(fill * size)
            # Of whole pieces the hashes say enough: a reader makes them itself.
            if size == PIECE_BYTES:
                continue
            steps = one_step(ACTIONS, World(), "seal", aead=aead, key=key.hex(), content=content)
            number, last = size // PIECE_BYTES, steps[0]["gives"]["last"]
            steps += one_step(ACTIONS, World(), "open", aead=aead, key=key.hex(), number=number, sealed=last)
            group.add(f"{size} bytes, AEAD {aead}", ["Sealed"], SUCCESS, steps)
        sealed = seal_piece(AEADS[aead], key, 1, fill * 9)
        for comment, other in (
            ("another number", {"number": 2}),
            ("another key", {"key": seed.bytes("another").hex()}),
            ("a changed byte", {"sealed": (sealed[:-1] + bytes((sealed[-1] ^ 1,))).hex()}),
            ("no room for a tag", {"sealed": sealed[: AEADS[aead].tag_size - 1].hex()}),
        ):
            given = {"aead": aead, "key": key.hex(), "number": 1, "sealed": sealed.hex()} | other
            group.add(f"{comment}, AEAD {aead}", ["OtherPiece"], "authentication", [{"do": "open"} | given])
    for count in (1, 2, 3, 4, 5, 6, 7, 9, 13):
        leaves = [seed.bytes(f"leaf {number}").hex() for number in range(count)]
        group.add(f"a tree of {count}", ["Tree"], SUCCESS, one_step(ACTIONS, World(), "tree", leaves=leaves))
    return group


class File:
    """A file of whole pieces whose leaves are drawn, and of a last piece that is really there."""

    def __init__(self, seed: Seed, count: int, aead: int, last: int = 7) -> None:
        self.aead, self.count, self.size = aead, count, (count - 1) * PIECE_BYTES + last
        self.entry, self.data = (
            seed.bytes("entry"),
            seal_piece(AEADS[aead], seed.bytes("key"), 0, b"x" * last),
        )
        self._nodes = [[seed.bytes(f"leaf {number}") for number in range(count - 1)] + [leaf_hash(self.data)]]
        while len(self._nodes[-1]) > 1:
            level = self._nodes[-1]
            self._nodes.append([root_of(level[at : at + 2]) for at in range(0, len(level), 2)])
        self.root = self._nodes[-1][0]

    def piece(self, **changes: Any) -> Piece:
        """The last piece, with its proof."""
        number = self.count - 1
        path = [self._nodes[level][place] for level, place in neighbours(self.count, number)]
        return replace(Piece(self.entry, number, path, self.data), **changes)

    def step(self, message: Piece, **changes: Any) -> Json:
        given: Json = {"size": self.size, "aead": self.aead, "root": self.root.hex()}
        return given | {"message": write_bytes(encode(message))} | changes


def _proofs(seed: Seed) -> Group:
    group = Group("12.2", {})
    for count in (1, 2, 3, 5, 6, 8, 11):
        for aead in (AEGIS, CHACHA):
            file = File(seed, count, aead)
            steps = one_step(ACTIONS, World(), "check", **file.step(file.piece()))
            group.add(f"the last of {count} pieces, AEAD {aead}", ["Proof"], SUCCESS, steps)
    file, flip = File(seed, 6, AEGIS), seed.bytes("another")
    good = file.piece()
    for comment, message, changes in (
        ("other data", replace(good, data=bytes(len(good.data))), {}),
        ("another hash at the first place", replace(good, path=[flip, *good.path[1:]]), {}),
        ("another hash at the last place", replace(good, path=[*good.path[:-1], flip]), {}),
        ("its hashes in another order", replace(good, path=good.path[::-1]), {}),
        ("another root", good, {"root": flip.hex()}),
    ):
        step = {"do": "check"} | file.step(message, **changes)
        group.add(comment, ["BadProof"], "authentication", [step], rule="V-PE-03")
    forms: tuple[tuple[str, Piece, dict[str, int]], ...] = (
        ("one hash too few", replace(good, path=good.path[:-1]), {}),
        ("one hash too many", replace(good, path=[*good.path, flip]), {}),
        ("a number that the file has not", replace(good, number=6), {}),
        ("one byte too few", replace(good, data=good.data[:-1]), {}),
        ("one byte too many", replace(good, data=good.data + b"\0"), {}),
        ("the size of the last piece in the middle", replace(good, number=1), {}),
        ("a file of another size", good, {"size": file.size + 1}),
        ("a file of another AEAD", good, {"aead": CHACHA}),
    )
    for comment, message, wrong in forms:
        step = {"do": "check"} | file.step(message, **wrong)
        group.add(comment, ["BadForm"], "malformed", [step], rule="V-PE-02")
    path = [flip] * PIECE_PATH_MAX
    largest = Shape(FILE_BYTES_MAX, AEADS[AEGIS])
    deep = Piece(file.entry, 0, path, b"x" * largest.whole)
    step = {"do": "check"} | file.step(deep, size=FILE_BYTES_MAX)
    group.add("the most hashes, of another file", ["BadProof"], "authentication", [step], rule="V-PE-03")
    for comment, message in (
        ("more hashes than any tree needs", replace(deep, path=[*path, flip])),
        ("more bytes than any piece has", replace(deep, data=b"x" * (largest.whole + 1))),
    ):
        step = {"do": "check"} | file.step(message, size=FILE_BYTES_MAX)
        group.add(comment, ["BadForm"], "malformed", [step], rule="V-CD-03")
    return group


def _asks(seed: Seed) -> Group:
    group, one, two = Group("12.3", {}), seed.bytes("one"), seed.bytes("two")
    script = Script(ACTIONS, World())
    for entry, ranges in ((one, [(0, 3), (9, 2)]), (two, [(5, 1)]), (one, [(20, 1)])):
        message = AskPieces(entry, [PieceRange(*each) for each in ranges])
        script.take("asked", message=encode(message).hex())
    for _ in range(9):
        script.take("next", most=2)
    group.add("files take turns", ["Supply"], SUCCESS, script.steps)
    script = Script(ACTIONS, World())
    for first in (0, 50):
        script.take("asked", message=encode(AskPieces(one, [PieceRange(first, 9)])).hex())
    script.take("next", most=4)
    script.take("stopped", entry=two.hex())
    script.take("stopped", entry=one.hex())
    for _ in range(3):
        script.take("next", most=4)
    group.add("a file is not wanted any more", ["Supply"], SUCCESS, script.steps)
    script = Script(ACTIONS, World())
    most = [PieceRange(n * ASK_PIECES_MAX, ASK_PIECES_MAX) for n in range(ASK_RANGES_MAX)]
    for _ in range(ASKS_MAX):
        script.take("asked", message=encode(AskPieces(one, most)).hex())
    group.add("the most that may be asked", ["Supply"], SUCCESS, list(script.steps))
    steps = script.refused("asked", message=encode(AskPieces(two, most[:1])).hex())
    group.add("one ask more", ["TooMany"], "limit", steps, rule="V-AK-02")
    for comment, rule, ranges in (
        ("ranges in another order", "V-AK-01", [(5, 1), (0, 1)]),
        ("ranges that overlap", "V-AK-01", [(0, 3), (2, 2)]),
        ("a range twice", "V-AK-01", [(1, 1), (1, 1)]),
        ("no range", "V-CD-03", []),
        ("a range of nothing", "V-CD-03", [(0, 0)]),
        ("a range of one piece too many", "V-CD-03", [(0, ASK_PIECES_MAX + 1)]),
        ("one range too many", "V-CD-03", [(n, 1) for n in range(ASK_RANGES_MAX + 1)]),
    ):
        asks = AskPieces(one, [PieceRange(*each) for each in ranges])
        steps = [{"do": "asked", "message": encode(asks).hex()}]
        group.add(comment, ["BadForm"], "malformed", steps, rule=rule)
    for comment, do, rule, said in _unasked(one):
        steps = [{"do": do, "message": encode(said).hex()}]
        group.add(comment, ["Unasked"], "unexpected", steps, rule=rule)
    script = _answers(one, two)
    group.add("what comes of two asks", ["Demand"], SUCCESS, list(script.steps))
    for comment, do, rule, said in _unasked(seed.bytes("three")):
        steps = script.refused(do, message=encode(said).hex())
        group.add(f"{comment}, after others", ["Unasked"], "unexpected", steps, rule=rule)
    steps = script.refused("ended", message=encode(PiecesEnd(one)).hex())
    group.add("an end more than asks", ["Unasked"], "unexpected", steps, rule="V-EP-01")
    return group


def _unasked(entry: bytes) -> Iterator[tuple[str, str, str, Piece | PiecesEnd]]:
    yield "a piece of a file that was not asked for", "takes", "V-PE-01", Piece(entry, 0, [], b"x")
    yield "an end that was not asked for", "ended", "V-EP-01", PiecesEnd(entry)


def _answers(one: bytes, two: bytes) -> Script[World]:
    """Two asks of a file and one of another, what comes, and their ends."""
    script = Script(ACTIONS, World())
    script.take("ask", entry=one.hex(), ranges=[[0, 2], [5, 1]])
    script.take("ask", entry=one.hex(), ranges=[[7, 2]])
    script.take("ask", entry=two.hex(), ranges=[[0, 1]])
    for entry, number in ((one, 0), (one, 0), (two, 0), (one, 8), (one, 3)):
        script.take("takes", message=encode(Piece(entry, number, [], b"x")).hex())
    for entry in (one, two, one):
        script.take("ended", message=encode(PiecesEnd(entry)).hex())
    script.take("takes", message=encode(Piece(one, 7, [], b"x")).hex())
    return script


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    return build_file(seed, NOTES, [_bodies(seed), _sealed(seed), _proofs(seed), _asks(seed)])
