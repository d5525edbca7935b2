"""The rows session.*: what one message costs on a session, and what a session costs to begin.

Rules: oneway does all the work of a link, from struct to struct: codec, pieces, padding, ratchet, canonical
check; its size is the body's, and header and salt, which every entry has, come on top. The rows below it
take contents of their size. Both payload AEADs are measured; libsodium and peers stand beside the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from protocol.bench import peers
from protocol.bench.baseline import Bare
from protocol.bench.measure import Subject
from protocol.bench.row import Row
from protocol.codec import encode
from protocol.frames import LAST, PIECE_MAX, Assembler, padded_size, pieces
from protocol.keys import X25519Pair
from protocol.messages import MESSAGE, Entry, EntryHeader
from protocol.primitives import AEGIS256, CHACHA20POLY1305, SODIUM, Aead, system_random
from protocol.ratchet import RatchetSession, parlour_parameters

Work = Callable[[], object]

OURS: Final = {"parlour": AEGIS256, "parlour-chacha": CHACHA20POLY1305}
"""Our subjects: by name, the payload AEAD of the session."""

SMALL: Final = 64
LARGE: Final = 65_536


# --- What is sent ---


def entry(size: int) -> Entry:
    """An entry with a body of size bytes, and a header as long as those of a conversation of two."""
    header = EntryHeader(
        conversation=system_random(32),
        author=system_random(32),
        incarnation=system_random(8),
        sequence=1_000,
        previous=system_random(32),
        parents=[],
        membership=[system_random(32)],
        time=1_800_000_000_000,
        kind=1,
        content=system_random(32),
        self_tag=system_random(32),
    )
    return Entry(encode(header), system_random(16), b"x" * size)


def contents(message: Entry) -> list[bytes]:
    """What goes into envelopes, as a link cuts it."""
    encoded = encode(message)
    return [LAST + encoded] if len(encoded) <= PIECE_MAX else list(pieces(encoded))


def padded_sizes(given: list[bytes]) -> list[int]:
    """The sizes of these contents once padded."""
    return [padded_size(len(content)) for content in given]


def session_pair(aead: Aead) -> tuple[RatchetSession, RatchetSession]:
    """Alice and Bob after a message each way."""
    root, pair, parameters = system_random(32), X25519Pair.generate(), parlour_parameters(aead)
    alice = RatchetSession.init_alice(root, pair.public, parameters=parameters)
    bob = RatchetSession.init_bob(root, pair, parameters=parameters)
    bob.decrypt(alice.encrypt(b"first"))
    alice.decrypt(bob.encrypt(b"reply"))
    bob.decrypt(alice.encrypt(b"second"))
    return alice, bob


# --- Our work ---


def one_way(aead: Aead, message: Entry) -> Work:
    """One message from Alice to Bob, through codec, pieces and session, as a link passes it."""
    alice, bob = session_pair(aead)
    seal, open_next, add, decode = alice.encrypt, bob.decrypt, Assembler().add, MESSAGE.decode

    def small() -> object:
        return decode(add(open_next(seal(LAST + encode(message)))) or b"")

    def large() -> object:
        whole = None
        for content in pieces(encode(message)):
            whole = add(open_next(seal(content)))
        return decode(whole or b"")

    return small if len(contents(message)) == 1 else large


def sealing(aead: Aead, content: bytes) -> Work:
    """One content sealed."""
    alice, _ = session_pair(aead)
    seal = alice.encrypt
    return lambda: seal(content)


def opening(aead: Aead, content: bytes) -> tuple[Work, Callable[[int], None]]:
    """One content opened, and what seals so many beforehand."""
    alice, bob = session_pair(aead)
    open_next = bob.decrypt
    sealed: list[bytes] = []

    def prepare(count: int) -> None:
        sealed.extend(alice.encrypt(content) for _ in range(count))
        sealed.reverse()

    return lambda: open_next(sealed.pop()), prepare


def ping_pong(aead: Aead, content: bytes) -> Work:
    """Two contents, one each way, each with a step of the DH ratchet."""
    alice, bob = session_pair(aead)

    def work() -> None:
        bob.decrypt(alice.encrypt(content))
        alice.decrypt(bob.encrypt(content))

    return work


# --- The rows ---


def _note(aead: Aead, what: str, given: list[bytes]) -> str:
    padded = " + ".join(str(size) for size in padded_sizes(given))
    return f"{aead.name}, {what}, {padded} bytes padded"


def _bare(size_of: list[bytes]) -> Bare | None:
    return None if SODIUM is None else Bare(SODIUM, AEGIS256, padded_sizes(size_of))


def _bare_subject(given: list[bytes], make: Callable[[Bare], Work]) -> list[Subject]:
    bare = _bare(given)
    note = _note(AEGIS256, "the bare calls", given)
    return [] if bare is None else [Subject("libsodium", make(bare), note)]


def _peer(wanted: bool, module: str, make: Callable[[Any], Work], note: str) -> list[Subject]:
    found = peers.load(module) if wanted else None
    name = {"olm": "python-olm"}.get(module, module)
    return [] if found is None else [Subject(name, make(found), note)]


def _one_way_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    message = entry(size or 0)
    given, body = contents(message), message.body
    note = "struct to struct: codec, pieces, padding"
    found = [Subject(name, one_way(aead, message), _note(aead, note, given)) for name, aead in OURS.items()]
    found += _bare_subject(given, Bare.one_way)
    found += _peer(
        with_peers, "vodozemac", lambda module: peers.vodozemac_one_way(module, body), peers.VODOZEMAC_NOTE
    )
    found += _peer(
        with_peers,
        "doubleratchet",
        lambda module: peers.double_ratchet_one_way(module, body),
        peers.DOUBLERATCHET_NOTE,
    )
    return found + _peer(with_peers, "olm", lambda module: peers.olm_one_way(module, body), peers.OLM_NOTE)


def _seal_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    content = b"x" * (size or 0)
    found = [
        Subject(name, sealing(aead, content), _note(aead, "sealing alone", [content]))
        for name, aead in OURS.items()
    ]
    found += _bare_subject([content], Bare.sealing)
    return found + _peer(
        with_peers, "vodozemac", lambda module: peers.vodozemac_seal(module, content), peers.VODOZEMAC_NOTE
    )


def _open_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    content = b"x" * (size or 0)
    found = []
    for name, aead in OURS.items():
        work, prepare = opening(aead, content)
        found.append(Subject(name, work, _note(aead, "opening alone", [content]), prepare))
    found += _bare_subject([content], Bare.opening)
    module = peers.load("vodozemac") if with_peers else None
    if module is not None:
        work, prepare = peers.vodozemac_open(module, content)
        found.append(Subject("vodozemac", work, peers.VODOZEMAC_NOTE, prepare))
    return found


def _ping_pong_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    content = b"x" * (size or 0)
    found = [
        Subject(name, ping_pong(aead, content), _note(aead, "a DH step each", [content]))
        for name, aead in OURS.items()
    ]
    found += _bare_subject([content], Bare.ping_pong)
    return found + _peer(
        with_peers,
        "vodozemac",
        lambda module: peers.vodozemac_ping_pong(module, content),
        peers.VODOZEMAC_NOTE,
    )


ROWS: Final = (
    Row("session.oneway", (SMALL, LARGE), "messages/s", _one_way_subjects),
    Row("session.seal", (SMALL,), "messages/s", _seal_subjects),
    Row("session.open", (SMALL,), "messages/s", _open_subjects),
    Row("session.pingpong", (SMALL,), "messages/s", _ping_pong_subjects, lambda size: 2),
)
