"""The rows session, noise, link and codec: the protocol's work next to bare libsodium and other libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chat.tools.bench import peers
from chat.tools.bench.measure import Row, Subject
from chat.tools.bench.peers import Bare
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
from protocol.link.states import ContactPsk
from protocol.messages import MESSAGE, ContactHello, Entry, EntryHeader
from protocol.noise import Finished, HandshakeState
from protocol.primitives import AEGIS256, CHACHA20POLY1305, SODIUM, Aead, system_random
from protocol.ratchet import RatchetSession, parlour_parameters

Work = Callable[[], object]

OURS: Final = {"parlour": AEGIS256, "parlour-chacha": CHACHA20POLY1305}
"""Our subjects: by name, the payload AEAD of the session."""

SMALL: Final = 64
LARGE: Final = 65_536


# --- What is sent ---


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
        content=system_random(32),
        self_tag=system_random(32),
    )
    return Entry(encode(header), system_random(16), b"x" * size)


def contents(message: Entry) -> list[bytes]:
    encoded = encode(message)
    return [LAST + encoded] if len(encoded) <= PIECE_MAX else list(pieces(encoded))


def padded_sizes(given: list[bytes]) -> list[int]:
    """The padded sizes of the contents."""
    return [padded_size(len(content)) for content in given]


def session_pair(aead: Aead) -> tuple[RatchetSession, RatchetSession]:
    """Alice's and Bob's sessions after one message each way."""
    root, pair, parameters = system_random(32), X25519Pair.generate(), parlour_parameters(aead)
    alice = RatchetSession.init_alice(root, pair.public, parameters=parameters)
    bob = RatchetSession.init_bob(root, pair, parameters=parameters)
    bob.decrypt(alice.encrypt(b"first"))
    alice.decrypt(bob.encrypt(b"reply"))
    bob.decrypt(alice.encrypt(b"second"))
    return alice, bob


# --- Our work ---


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
    open_next = bob.decrypt
    sealed: list[bytes] = []

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


# --- The rows ---


def _note(aead: Aead, what: str, given: list[bytes]) -> str:
    padded = " + ".join(str(size) for size in padded_sizes(given))
    return f"{aead.name}, {what}, {padded} bytes padded"


def _bare_subject(given: list[bytes], make: Callable[[Bare], Work]) -> list[Subject]:
    bare = None if SODIUM is None else Bare(SODIUM, AEGIS256, padded_sizes(given))
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


SESSION_ROWS: Final = (
    Row("session.oneway", (SMALL, LARGE), "messages/s", _one_way_subjects),
    Row("session.seal", (SMALL,), "messages/s", _seal_subjects),
    Row("session.open", (SMALL,), "messages/s", _open_subjects),
    Row("session.pingpong", (SMALL,), "messages/s", _ping_pong_subjects, lambda size: 2),
)


_ALICE, _BOB = bytes([1]) * 32, bytes([2]) * 32


class _OneContact:
    """The policy of a terminal that knows Alice."""

    def __init__(self, psk: ContactPsk) -> None:
        self._psk = psk

    def pairing_open(self) -> bool:
        return False

    def invitation_psks(self) -> Sequence[tuple[bytes, bytes]]:
        return ()

    def contact_psk(self, static: bytes, hello: ContactHello) -> tuple[bytes, ContactPsk]:
        return _ALICE, self._psk


def setup() -> Callable[[], tuple[tuple[bytes, Established], Established]]:
    """IKpsk2 with ML-KEM-768, session root and both sessions."""
    alice, bob = X25519Pair.generate(), X25519Pair.generate()
    psk = ContactPsk(system_random(32), 1, 1)
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
    """XX with both sides and existing static keys."""
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
    module = peers.load("vodozemac") if with_peers else None
    if module is not None:
        note = "a one-time key, both sessions, one message: no KEM, no handshake, identities taken on trust"
        found.append(Subject("vodozemac", peers.vodozemac_setup(module), note))
    return found


def _handshake_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    name = NOISE_NAMES[Pattern.XX]
    found = [Subject("parlour", shake(name), f"{name}, both sides")]
    found += _handshakes_bare(6, 2, "6 X25519 and 2 key pairs alone")
    module = peers.load("noise.connection") if with_peers else None
    if module is not None:
        found.append(Subject("noiseprotocol", peers.noise_handshake(module, name), f"{name}, in Python"))
    return found


HANDSHAKE_ROWS: Final = (
    Row("session.setup", (None,), "setups/s", _setup_subjects),
    Row("noise.handshake", (None,), "handshakes/s", _handshake_subjects),
)


SIZES: Final = (64, 1_024, 61_440)
CODEC_SIZE: Final = 300
_MEBIBYTE: Final = 1 << 20


def content_of(size: int | None) -> bytes:
    """A content of this size, or the largest possible one."""
    return b"x" * min(size or 0, CONTENT_MAX)


def transport(aead: Aead, content: bytes) -> Callable[[], object]:
    """One frame from Alice to Bob."""
    alice, bob = session_pair(aead)
    reader = FrameReader()

    def work() -> object:
        envelope = alice.encrypt(content)
        reader.feed(b"".join((length_of(envelope), envelope)))
        frame = reader.next_frame(FRAME_MAX)
        reader.settle()
        return bob.decrypt(frame or b"")

    return work


def codec(size: int) -> Callable[[], object]:
    """Encodes and decodes one entry whose encoding has this size."""
    message = entry(size - len(encode(entry(0))))
    decode = MESSAGE.decode
    return lambda: decode(encode(message))


def _transport_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    content = content_of(size)
    padded = padded_size(len(content))
    note = f"framed envelopes, KDF and padding to {padded} bytes"
    found = [Subject(name, transport(aead, content), f"{aead.name}, {note}") for name, aead in OURS.items()]
    if SODIUM is not None:
        bare = Bare(SODIUM, AEGIS256, [padded]).one_way()
        found.append(Subject("libsodium", bare, f"{AEGIS256.name}, KDF and AEAD alone over {padded} bytes"))
    module = peers.load("noise.connection") if with_peers else None
    if module is not None:
        work = peers.noise_transport(module, NOISE_NAMES[Pattern.XX], content)
        found.append(Subject("noiseprotocol", work, peers.NOISE_NOTE))
    return found


def _codec_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    note = "an entry encoded, decoded and compared with its one encoding"
    return [Subject("parlour", codec(size or 0), note)]


LINK_ROWS: Final = (
    Row(
        "link.transport",
        SIZES,
        "MiB/s",
        _transport_subjects,
        lambda size: len(content_of(size)) / _MEBIBYTE,
    ),
    Row("codec", (CODEC_SIZE,), "messages/s", _codec_subjects),
)


ROWS: Final[Mapping[str, Row]] = {row.name: row for row in (*SESSION_ROWS, *HANDSHAKE_ROWS, *LINK_ROWS)}
"""The rows that this package measures, in the order of the report."""

NAMES: Final = tuple(ROWS)


def run(names: Sequence[str] = (), peers: bool = False, **timing: Any) -> list[dict[str, Any]]:
    """Rows {"name", "size", "subject", "per_second", "unit", "note"} of the names given, or of all.

    `peers` adds those that are installed; `timing` may shorten it (rounds, seconds). KeyError for a name
    that is not in NAMES.
    """
    report = []
    for name in names or NAMES:
        report += ROWS[name].measure(peers=peers, **timing)
    return report
