"""The rows session, noise, link and codec: the protocol's work next to bare libsodium and other libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from chat.tools.bench import peers
from chat.tools.bench.measure import Row, Subject
from chat.tools.bench.peers import Bare, Work
from protocol.codec import encode
from protocol.errors import LocalMisuse
from protocol.keys import X25519Pair
from protocol.limits import CONTENT_MAX
from protocol.link.agreement import NOISE_NAMES, Established, StaticDh
from protocol.link.framing import (
    FRAME_MAX,
    LAST,
    PIECE_MAX,
    Assembler,
    FrameReader,
    Pattern,
    cut,
    length_of,
    padded_size,
    pieces,
)
from protocol.link.handshake import Initiator, Responder
from protocol.link.states import ContactPsk, InvitationKeys
from protocol.messages import MESSAGE, ContactHello, Entry, EntryHeader
from protocol.noise import Finished, HandshakeState
from protocol.primitives import AEGIS256, CHACHA20POLY1305, SODIUM, Aead, system_random
from protocol.ratchet import RatchetSession, parlour_parameters

Made = Work | tuple[Work, Callable[[int], object]]
"""What is measured; with what prepares it, if it has to be prepared."""

OURS: Final = {"parlour": AEGIS256, "parlour-chacha": CHACHA20POLY1305}
"""Our subjects: by name, the payload AEAD of the session."""

SMALL: Final = 64
LARGE: Final = 65_536


def entry(size: int) -> Entry:
    """An entry with a body of `size` bytes, and the header of a conversation of two."""
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
        timer=0,
        until=0,
        content=system_random(32),
        self_tag=system_random(32),
    )
    return Entry(encode(header), system_random(16), b"x" * size)


def contents(message: Entry) -> list[bytes]:
    encoded = encode(message)
    return [LAST + encoded] if len(encoded) <= PIECE_MAX else list(pieces(encoded))


def session_pair(aead: Aead) -> tuple[RatchetSession, RatchetSession]:
    """Alice's and Bob's sessions after one message each way."""
    root, pair, parameters = system_random(32), X25519Pair.generate(), parlour_parameters(aead)
    alice = RatchetSession.init_alice(root, pair.public, parameters=parameters)
    bob = RatchetSession.init_bob(root, pair, parameters=parameters)
    bob.decrypt(alice.encrypt(b"first"))
    alice.decrypt(bob.encrypt(b"reply"))
    bob.decrypt(alice.encrypt(b"second"))
    return alice, bob


def one_way(aead: Aead, message: Entry) -> Work:
    """One message from Alice to Bob through codec, pieces and session."""
    alice, bob = session_pair(aead)
    seal, open_next, add, decode = alice.encrypt, bob.decrypt, Assembler().add, MESSAGE.decode

    def small() -> object:
        return decode(add(open_next(seal(LAST + encode(message)))) or b"")

    def large() -> object:
        whole = None
        for flag, piece in cut(encode(message)):
            whole = add(open_next(seal(piece, flag)))
        return decode(whole or b"")

    return small if len(contents(message)) == 1 else large


def sealing(aead: Aead, content: bytes) -> Work:
    alice, _ = session_pair(aead)
    seal = alice.encrypt
    return lambda: seal(content)


def opening(aead: Aead, content: bytes) -> tuple[Work, Callable[[int], None]]:
    """Opens one content; `prepare` seals as many as it will open."""
    alice, bob = session_pair(aead)
    open_next, sealed = bob.decrypt, list[bytes]()

    def prepare(count: int) -> None:
        sealed.extend(alice.encrypt(content) for _ in range(count))
        sealed.reverse()

    return lambda: open_next(sealed.pop()), prepare


def ping_pong(aead: Aead, content: bytes) -> Work:
    """One content each way, each with a step of the DH ratchet."""
    alice, bob = session_pair(aead)

    def work() -> None:
        bob.decrypt(alice.encrypt(content))
        alice.decrypt(bob.encrypt(content))

    return work


def _subject(name: str, made: Made, note: str) -> Subject:
    work, prepare = made if isinstance(made, tuple) else (made, None)
    return Subject(name, work, note, prepare)


def _peer(wanted: bool, module: str, make: Callable[[Any], Made], note: str) -> list[Subject]:
    found = peers.load(module) if wanted else None
    name = {"olm": "python-olm", "noise.connection": "noiseprotocol"}.get(module, module)
    return [] if found is None else [_subject(name, make(found), note)]


def _session_subjects(
    given: list[bytes], what: str, ours: Callable[[Aead], Made], bare: Callable[[Bare], Work]
) -> list[Subject]:
    """Ours under each AEAD and the bare calls, for these contents of a session."""
    sizes = [padded_size(len(content)) for content in given]
    padded = f"{' + '.join(map(str, sizes))} bytes padded"
    found = [_subject(name, ours(aead), f"{aead.name}, {what}, {padded}") for name, aead in OURS.items()]
    if SODIUM is not None:
        calls = bare(Bare(SODIUM, AEGIS256, sizes))
        found.append(Subject("libsodium", calls, f"{AEGIS256.name}, the bare calls, {padded}"))
    return found


def _one_way_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    message = entry(size or 0)
    what = "struct to struct: codec, pieces, padding"
    found = _session_subjects(contents(message), what, lambda aead: one_way(aead, message), Bare.one_way)
    for module, make, note in (
        ("vodozemac", peers.vodozemac_one_way, peers.VODOZEMAC_NOTE),
        ("doubleratchet", peers.double_ratchet_one_way, peers.DOUBLERATCHET_NOTE),
        ("olm", peers.olm_one_way, peers.OLM_NOTE),
    ):
        found += _peer(with_peers, module, partial(make, content=message.body), note)
    return found


def _of_one_content(
    what: str,
    ours: Callable[[Aead, bytes], Made],
    bare: Callable[[Bare], Work],
    peer: Callable[[Any, bytes], Made],
) -> Callable[[int | None, bool], list[Subject]]:
    """The subjects of a row in which a session works on contents of one size; vodozemac is its peer."""

    def subjects(size: int | None, with_peers: bool) -> list[Subject]:
        content = b"x" * (size or 0)
        found = _session_subjects([content], what, lambda aead: ours(aead, content), bare)
        return found + _peer(
            with_peers, "vodozemac", lambda module: peer(module, content), peers.VODOZEMAC_NOTE
        )

    return subjects


_ALICE, _BOB = bytes([1]) * 32, bytes([2]) * 32


class _OneContact:
    """The policy of a terminal that knows Alice."""

    def __init__(self, psk: ContactPsk) -> None:
        self._psk = psk

    def pairing_open(self) -> bool:
        return False

    def linking_open(self) -> bool:
        return False

    def open_invitations(self) -> Sequence[InvitationKeys]:
        return ()

    def contact_psk(self, static: bytes, hello: ContactHello) -> tuple[bytes, ContactPsk]:
        return _ALICE, self._psk


def setup() -> Callable[[], tuple[tuple[bytes, Established], Established]]:
    """IKpsk2 with ML-KEM-768, session root and both sessions."""
    alice, bob = X25519Pair.generate(), X25519Pair.generate()
    psk = ContactPsk(system_random(32), bytes(16), bytes(16))
    kept: StaticDh = {bob.public: alice.dh(bob.public)}
    policy = _OneContact(psk)

    def work() -> tuple[tuple[bytes, Established], Established]:
        caller = Initiator.contact(alice, bob.public, _ALICE, _BOB, [psk], static_dh=kept)
        called = Responder(bob, policy)
        greeting = called.greet()
        hello, answer = caller.begin(greeting)
        reply, theirs = called.answer(greeting, hello)
        if not isinstance(theirs, Established):
            raise LocalMisuse("the responder of IKpsk2 waits for nothing")
        return answer.read(reply), theirs

    return work


def shake(name: str) -> Callable[[], tuple[Finished, Finished]]:
    alice, bob = X25519Pair.generate(), X25519Pair.generate()

    def work() -> tuple[Finished, Finished]:
        initiator = HandshakeState(name, True, s=alice)
        responder = HandshakeState(name, False, s=bob)
        responder.read_message(initiator.write_message())
        initiator.read_message(responder.write_message())
        responder.read_message(initiator.write_message())
        return initiator.finish(), responder.finish()

    return work


def _handshakes_bare(dh: int, pairs: int, note: str) -> list[Subject]:
    if SODIUM is None:
        return []
    return [Subject("libsodium", Bare(SODIUM, AEGIS256, [256]).curve(dh, pairs), note)]


def _setup_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    note = "IKpsk2, ML-KEM-768, root, both sides, from greeting to sessions; the initiator keeps DH(s, rs)"
    found = [Subject("parlour", setup(), note)]
    # es, ee, se on both sides, ss on one, and Alice's first ratchet step; two ephemerals, two ratchet pairs.
    found += _handshakes_bare(8, 4, "8 X25519 and 4 key pairs alone, no KEM")
    note = "a one-time key, both sessions, one message: no KEM, no handshake, identities taken on trust"
    return found + _peer(with_peers, "vodozemac", peers.vodozemac_setup, note)


def _handshake_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    name = NOISE_NAMES[Pattern.XX]
    found = [Subject("parlour", shake(name), f"{name}, both sides")]
    found += _handshakes_bare(6, 2, "6 X25519 and 2 key pairs alone")
    make = partial(peers.noise_handshake, name=name)
    return found + _peer(with_peers, "noise.connection", make, f"{name}, in Python")


SIZES: Final = (64, 1_024, 61_440)
CODEC_SIZE: Final = 300
_MEBIBYTE: Final = 1 << 20


def content_of(size: int | None) -> bytes:
    """A content of this size, or the largest possible one."""
    return b"x" * min(size or 0, CONTENT_MAX)


def transport(aead: Aead, content: bytes) -> Callable[[], object]:
    alice, bob = session_pair(aead)
    reader = FrameReader()

    def work() -> object:
        envelope = alice.encrypt(content)
        reader.feed(b"".join((length_of(envelope), envelope)))
        frame = reader.next_frame(FRAME_MAX)
        reader.settle()
        return bob.decrypt(frame or b"")

    return work


def _transport_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    content = content_of(size)
    padded = padded_size(len(content))
    note = f"framed envelopes, KDF and padding to {padded} bytes"
    found = [Subject(name, transport(aead, content), f"{aead.name}, {note}") for name, aead in OURS.items()]
    if SODIUM is not None:
        bare = Bare(SODIUM, AEGIS256, [padded]).one_way()
        found.append(Subject("libsodium", bare, f"{AEGIS256.name}, KDF and AEAD alone over {padded} bytes"))
    make = partial(peers.noise_transport, name=NOISE_NAMES[Pattern.XX], content=content)
    return found + _peer(with_peers, "noise.connection", make, peers.NOISE_NOTE)


def _codec_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    """One entry whose encoding has this size."""
    message, decode = entry((size or 0) - len(encode(entry(0)))), MESSAGE.decode
    note = "an entry encoded, decoded and compared with its one encoding"
    return [Subject("parlour", lambda: decode(encode(message)), note)]


_SEAL: Final = _of_one_content("sealing alone", sealing, Bare.sealing, peers.vodozemac_seal)
_OPEN: Final = _of_one_content("opening alone", opening, Bare.opening, peers.vodozemac_open)
_PING_PONG: Final = _of_one_content("a DH step each", ping_pong, Bare.ping_pong, peers.vodozemac_ping_pong)
_ROWS: Final = (
    Row("session.oneway", (SMALL, LARGE), "messages/s", _one_way_subjects),
    Row("session.seal", (SMALL,), "messages/s", _SEAL),
    Row("session.open", (SMALL,), "messages/s", _OPEN),
    Row("session.pingpong", (SMALL,), "messages/s", _PING_PONG, lambda size: 2),
    Row("session.setup", (None,), "setups/s", _setup_subjects),
    Row("noise.handshake", (None,), "handshakes/s", _handshake_subjects),
    Row(
        "link.transport", SIZES, "MiB/s", _transport_subjects, lambda size: len(content_of(size)) / _MEBIBYTE
    ),
    Row("codec", (CODEC_SIZE,), "messages/s", _codec_subjects),
)
ROWS: Final[Mapping[str, Row]] = {row.name: row for row in _ROWS}
"""The rows of the protocol, in the order of the report."""
