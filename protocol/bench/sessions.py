"""The rows session.oneway and session.pingpong: what one text costs from its struct to its struct.

Rules: our side does all the work of a link (codec, pieces, padding, ratchet, canonical check). Size is the
body's: header and salt, which every entry has, come on top. The payload AEAD is the one a link would take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from protocol.bench import peers
from protocol.bench.baseline import Bare
from protocol.bench.measure import Subject, interleave, rows
from protocol.codec import encode
from protocol.frames import LAST, PIECE_MAX, Assembler, pieces
from protocol.keys import X25519Pair
from protocol.messages import MESSAGE, Entry, EntryHeader
from protocol.padding import padded_size
from protocol.primitives import AEGIS256, CHACHA20POLY1305, SODIUM, Aead, aes_instructions, system_random
from protocol.ratchet import RatchetSession, parlour_parameters

SIZES: Final = (64, 65_536)

Work = Callable[[], object]


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


def session_pair(aead: Aead) -> tuple[RatchetSession, RatchetSession]:
    """Alice and Bob after a message each way."""
    root, pair, parameters = system_random(32), X25519Pair.generate(), parlour_parameters(aead)
    alice = RatchetSession.init_alice(root, pair.public, parameters=parameters)
    bob = RatchetSession.init_bob(root, pair, parameters=parameters)
    bob.decrypt(alice.encrypt(b"first"))
    alice.decrypt(bob.encrypt(b"reply"))
    bob.decrypt(alice.encrypt(b"second"))
    return alice, bob


def _pass(sender: RatchetSession, receiver: RatchetSession, assembler: Assembler, message: Entry) -> object:
    """One message through codec, pieces and session, as a link passes it."""
    encoded = encode(message)
    if len(encoded) <= PIECE_MAX:
        return MESSAGE.decode(assembler.add(receiver.decrypt(sender.encrypt(LAST + encoded))) or b"")
    whole = None
    for content in pieces(encoded):
        whole = assembler.add(receiver.decrypt(sender.encrypt(content)))
    return MESSAGE.decode(whole or b"")


def parlour_one_way(aead: Aead, message: Entry) -> Work:
    """One message from Alice to Bob."""
    alice, bob = session_pair(aead)
    assembler = Assembler()
    return lambda: _pass(alice, bob, assembler, message)


def parlour_ping_pong(aead: Aead, message: Entry) -> Work:
    """Two messages, one each way, each with a step of the DH ratchet."""
    alice, bob = session_pair(aead)
    assembler = Assembler()

    def work() -> None:
        _pass(alice, bob, assembler, message)
        _pass(bob, alice, assembler, message)

    return work


def libsodium_one_way(aead: Aead, message: Entry) -> Work | None:
    """The bare calls for the same padded payloads, or None without the low-level binding."""
    if SODIUM is None:
        return None
    return Bare(SODIUM, aead, _padded_sizes(message)).one_way()


def libsodium_ping_pong(aead: Aead, message: Entry) -> Work | None:
    """The bare calls of two such messages."""
    if SODIUM is None:
        return None
    work = Bare(SODIUM, aead, _padded_sizes(message)).ping_pong()

    def twice() -> None:
        work()
        work()

    return twice


def _padded_sizes(message: Entry) -> list[int]:
    return [padded_size(len(content)) for content in contents(message)]


@dataclass(frozen=True)
class Kind:
    """How each subject does one row's work, and how many messages that is."""

    messages: int
    parlour: Callable[[Aead, Entry], Work]
    libsodium: Callable[[Aead, Entry], Work | None]
    vodozemac: Callable[[Any, bytes], Work]


ROWS: Final = {
    "session.oneway": Kind(1, parlour_one_way, libsodium_one_way, peers.vodozemac_one_way),
    "session.pingpong": Kind(2, parlour_ping_pong, libsodium_ping_pong, peers.vodozemac_ping_pong),
}


def _subjects(kind: Kind, size: int, *, with_peers: bool) -> list[Subject]:
    aead = AEGIS256 if aes_instructions() else CHACHA20POLY1305
    message = entry(size)
    padded = " + ".join(str(padded) for padded in _padded_sizes(message))
    note = f"{aead.name}, codec and padding included, {padded} bytes padded"
    found = [Subject("parlour", kind.parlour(aead, message), note)]
    bare = kind.libsodium(aead, message)
    if bare is not None:
        found.append(Subject("libsodium", bare, f"the bare calls over {padded} bytes, {aead.name}"))
    module = peers.load("vodozemac") if with_peers else None
    if module is not None:
        found.append(Subject("vodozemac", kind.vodozemac(module, message.body), peers.VODOZEMAC_NOTE))
    return found


def measure(name: str, *, with_peers: bool, **timing: Any) -> list[dict[str, Any]]:
    """All rows of one name: every size, every subject; `timing` goes to measure.interleave."""
    kind, report = ROWS[name], []
    for size in SIZES:
        samples = interleave(_subjects(kind, size, with_peers=with_peers), units=kind.messages, **timing)
        report += rows(name, size, "messages/s", samples)
    return report
