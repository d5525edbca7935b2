"""The examples of SPEC.md, made by the code from the public seed phrase: what the document must show.

Rules: deterministic, and nothing is copied from the document; two persons, one pairing and one entry serve
all examples.
"""

from __future__ import annotations

from base64 import b32decode
from collections.abc import Mapping
from functools import cache
from textwrap import wrap

from chat.storage.folder import wrap as wrap_key
from protocol.codec import Wire, encode
from protocol.discovery import make_slots, write_text
from protocol.entries import (
    EntryPlace,
    ParsedEntry,
    conversation_of_two,
    heads_hash,
    text_body,
    write_entry,
)
from protocol.identity.author import (
    NewPerson,
    add_operation,
    create_person,
    recover_operation,
    remove_operation,
)
from protocol.identity.log import parse_operation, sign_operation, terminal_id
from protocol.identity.reduction import reduce
from protocol.identity.safety import word_list
from protocol.keys import X25519Pair
from protocol.link.agreement import agree
from protocol.link.framing import LAST, REFUSAL, Choice, Greeting, Pattern, length_of, pad
from protocol.link.states import PairingFacts, Role
from protocol.messages import (
    Accept,
    Close,
    Commit,
    Confirm,
    ContactHello,
    ContactReply,
    Head,
    Heads,
    HeadsHash,
    LogHeads,
    LogOperations,
    Open,
    PairingFinish,
    PairingReply,
    Ping,
    Pong,
    Reachable,
    Receipt,
    Record,
    Reveal,
    ShareNumbers,
    Typing,
)
from protocol.pairing.contact_secret import Share
from protocol.pairing.invitation import PREFIX, Invitation, format_invitation, invitation_check
from protocol.pairing.record import Identity, Transcript, make_record
from protocol.primitives import AEGIS256, ed25519_from_seed, mlkem_from_seed
from protocol.profile_header import CHEAPEST, DatabaseKey, Header
from protocol.ratchet import RatchetSession, parlour_parameters
from tests.architecture.imports import ROOT
from tests.vectors.files import Seed, read_phrase

HEX_WIDTH = 160
TIME_MS = 1_767_225_600_000

SEED = Seed(read_phrase((ROOT / "seeds" / "vectors.txt").read_text(encoding="utf-8")), "spec")
INSTANCE = SEED.bytes("instance")[:8].hex()
ADDRESSES = ("192.168.1.20", "fe80::1")
GREETING = Greeting.new(SEED.bytes("greeting")[:16], aes=True).encode()
CHOICE = Choice(Pattern.IKPSK2, AEGIS256).encode()
FIRST: NewPerson = create_person("First", SEED.random("first"))
SECOND: NewPerson = create_person("Second", SEED.random("second"))


def draw(label: str, size: int = 32) -> bytes:
    return SEED.bytes(label)[:size]


def key_pair(label: str) -> X25519Pair:
    return X25519Pair(SEED.bytes(label))


# --- As text ---


def blocks() -> dict[str, str]:
    """Every example by its name, as it stands in the document."""
    made = {name: "\n".join(wrap(data.hex(), HEX_WIDTH)) for name, data in hex_examples().items()}
    return made | {
        "invitation": "\n".join(wrap(_invitation_text(), HEX_WIDTH)),
        "words": "\n".join(" ".join(word_list()[start : start + 16]) for start in range(0, 256, 16)),
    }


# --- Bytes of the wire and of files ---


def hex_examples() -> dict[str, bytes]:
    """Every hex example by its name."""
    return {
        "greeting": GREETING,
        "choice": CHOICE,
        "refusal": length_of(REFUSAL) + REFUSAL,
        "padded": pad(LAST + encode(Ping(1))),
        "envelope": _envelope(),
        "message-key": _message_key(),
        **{name: encode(message) for name, message in _messages().items()},
        **{name: encode(payload) for name, payload in _payloads().items()},
        **dict(zip(("Genesis", "Rename", "Add", "Remove", "Recover"), _log(), strict=True)),
        "EntryHeader": example_entry().header_bytes,
        "TextBody": example_entry().body,
        "Invitation": b32decode(_padded_base32(_invitation_text().removeprefix(PREFIX))),
        "announcement": write_text(_slots(), "First"),
        "Header": example_header().to_bytes(),
    }


@cache
def example_header() -> Header:
    key = DatabaseKey(draw("database key"))
    return wrap_key(key, "a passphrase", CHEAPEST, 4747, lambda size: draw("header salt", size))


def _messages() -> Mapping[str, Wire]:
    entry, conversation = example_entry(), conversation_of_two(FIRST.person, SECOND.person)
    head = Head(FIRST.terminal, 1, entry.id)
    made: tuple[Wire, ...] = (
        Confirm(draw("session", 16)),
        Ping(1),
        Pong(1),
        Close(0),
        Commit(draw("commitment"), "First"),
        Reveal(draw("responder nonce"), "Second"),
        Open(draw("initiator nonce")),
        example_records()[0],
        Accept(draw("accept")),
        LogHeads([rename_id(SECOND)]),
        LogOperations([FIRST.operations[1]]),
        Reachable(4747),
        HeadsHash(conversation, heads_hash(conversation, [head])),
        Heads(conversation, [head]),
        entry.message(),
        Receipt(1, [entry.id]),
        Typing(conversation, True),
    )
    return {type(message).__name__: message for message in made}


def _payloads() -> Mapping[str, Wire]:
    """Payloads of handshakes. The ciphertext is random bytes: the library cannot make one from a seed."""
    _, kem_key = mlkem_from_seed(draw("kem seed d") + draw("kem seed z"))
    ciphertext = b"".join(draw(f"kem ciphertext {part}") for part in range(34))
    numbers = ShareNumbers([TIME_MS // 1000 + 60, TIME_MS // 1000], [TIME_MS // 1000])
    ratchet_key = key_pair("bob ratchet").public
    made: tuple[Wire, ...] = (
        ContactHello(FIRST.person, numbers, kem_key, draw("share initiator")),
        ContactReply(ciphertext, draw("share responder"), ratchet_key),
        PairingReply(kem_key, draw("share responder"), ratchet_key),
        PairingFinish(ciphertext, draw("share initiator")),
    )
    return {type(payload).__name__: payload for payload in made}


def _log() -> tuple[bytes, ...]:
    """The first person's log: a terminal is added and removed, then the recovery key brings in another."""
    log = list(FIRST.operations)
    signing, static = draw("added signing"), key_pair("added static").public
    added = add_operation(reduce(log), FIRST.terminal, ed25519_from_seed(signing), static)
    log.append(sign_operation(added, FIRST.signing_seed, signing))
    terminal = terminal_id(ed25519_from_seed(signing), static)
    log.append(sign_operation(remove_operation(reduce(log), FIRST.terminal, terminal), FIRST.signing_seed))
    state, signing, static = reduce(log), draw("third signing"), key_pair("third static").public
    lost = [(FIRST.terminal, state.last[FIRST.terminal])]
    keys = ed25519_from_seed(draw("next recovery")), ed25519_from_seed(signing)
    recovered = recover_operation(state, keys[0], lost, keys[1], static)
    log.append(sign_operation(recovered, FIRST.recovery_seed, signing))
    return tuple(log)


def _slots() -> tuple[bytes, ...]:
    """One true slot, at its random place among 31 random ones."""
    static, random = X25519Pair(FIRST.static_secret).public, SEED.random("slots")
    keys = [draw("discovery key")]
    return make_slots(keys, TIME_MS // 86_400_000, static, INSTANCE, 4747, ADDRESSES, random)


def rename_id(person: NewPerson) -> bytes:
    return parse_operation(person.operations[1]).id


def _envelope() -> bytes:
    """The first envelope of an initiator: Confirm, under AEGIS-256."""
    parameters, bob = parlour_parameters(AEGIS256), key_pair("bob ratchet").public
    root = draw("session root")
    alice = RatchetSession.init_alice(root, bob, lambda _: draw("alice ratchet"), parameters=parameters)
    return alice.encrypt(LAST + encode(Confirm(b"")))


def example_entry() -> ParsedEntry:
    place = EntryPlace(
        conversation=conversation_of_two(FIRST.person, SECOND.person),
        author=FIRST.terminal,
        incarnation=draw("incarnation", 8),
        previous=None,
        parents=[],
        membership=[rename_id(FIRST)],
    )
    return write_entry(place, TIME_MS, 1, text_body("Hello"), FIRST.self_key, SEED.random("entry"))


@cache
def example_records() -> tuple[Record, Record]:
    """The records of both in one pairing, the initiator's first."""
    first, second = _identity(FIRST), _identity(SECOND)
    initiator, responder = transcript_of(Role.INITIATOR), transcript_of(Role.RESPONDER)
    return make_record(first, initiator), make_record(second, responder)


def _identity(person: NewPerson) -> Identity:
    share = Share(TIME_MS // 1000, share_of(person), (rename_id(person),))
    return Identity(person.operations, person.terminal, person.signing_seed, share)


def share_of(person: NewPerson) -> bytes:
    return draw(person.person.hex())


def example_invitation() -> Invitation:
    static = X25519Pair(FIRST.static_secret).public
    check = invitation_check(FIRST.person, static)
    return Invitation(draw("invitation", 16), TIME_MS // 1000 + 3600, check, ("192.168.1.20:4747",), ())


def _invitation_text() -> str:
    return format_invitation(example_invitation())


def example_facts() -> PairingFacts:
    shares = (draw("share initiator"), draw("share responder"))
    kem = (draw("kem key", 16), draw("kem ciphertext", 16), draw("kem secret"))
    return agree(draw("h 1") + draw("h 2"), shares, kem, key_pair("bob ratchet").public)


def _padded_base32(digits: str) -> str:
    return digits + "=" * (-len(digits) % 8)


def transcript_of(role: Role) -> Transcript:
    return Transcript.of(example_facts(), role)


def _message_key() -> bytes:
    """The key of `_envelope`: the first step of the first chain."""
    parameters, alice = parlour_parameters(AEGIS256), key_pair("alice ratchet")
    bob = key_pair("bob ratchet").public
    _, chain_key = parameters.kdf_rk(draw("session root"), alice.dh(bob), alice.public, bob)
    return parameters.kdf_ck(chain_key)[1]
