"""The examples and formula values of SPEC.md, computed by the code from the public seed phrase."""

from __future__ import annotations

from base64 import b32decode
from collections.abc import Mapping
from functools import cache
from textwrap import wrap

from msgspec.structs import astuple, replace

from chat.storage.folder import wrap as wrap_key
from protocol import labels
from protocol.codec import Wire, encode
from protocol.discovery import make_slots, slot, write_text
from protocol.entries import EntryPlace, ParsedEntry, conversation_of_two, heads_hash, text_body, write_entry
from protocol.identity.author import (
    NewPerson,
    add_operation,
    create_person,
    recover_operation,
    remove_operation,
)
from protocol.identity.log import parse_operation, sign_operation, terminal_id
from protocol.identity.reduction import reduce
from protocol.identity.safety import safety_number, word_list, words
from protocol.keys import X25519Pair
from protocol.link.agreement import agree
from protocol.link.framing import LAST, REFUSAL, Choice, Greeting, Pattern, length_of, pad, prologue
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
from protocol.noise import HandshakeState
from protocol.pairing.contact_secret import Share, contact_secret
from protocol.pairing.invitation import PREFIX, Invitation, format_invitation, invitation_check
from protocol.pairing.record import Identity, Transcript, accept_tag, make_record
from protocol.primitives import AEGIS256, b2b, ed25519_from_seed, mlkem_from_seed
from protocol.profile_header import CHEAPEST, DatabaseKey, Header
from protocol.ratchet import RatchetSession, parlour_parameters
from protocol.relay.cluster import ClusterKeys
from protocol.relay.messages import (
    CHOICE as RELAY_CHOICE,
)
from protocol.relay.messages import (
    PROTOCOL_NAME,
    Answer,
    Called,
    Dial,
    End,
    Joined,
    RelayGreeting,
    Wait,
    Welcome,
    pad_message,
    write_hello,
)
from protocol.relay.messages import prologue as relay_prologue
from protocol.relay.rendezvous import RelayAddress, contact_token, format_relay, invitation_token, key_text
from tests.architecture.imports import ROOT
from tests.architecture.spec_document import Value
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


DAY = TIME_MS // 86_400_000


def value_examples() -> dict[str, dict[str, Value]]:
    """Every block of values by the name of the formulas that it belongs to."""
    return {
        "session": _session_values(),
        "link": _link_values(),
        "ids": _id_values(),
        "pairing": _pairing_values(),
        "invitation": _invitation_values(),
        "contact": _contact_values(),
        "safety": _safety_values(),
        "entry": _entry_values(),
        "prologue": _prologue_values(),
        "operation": _operation_values(),
        "record": _record_values(),
        "invitation-text": _invitation_text_values(),
        "slot": _slot_values(),
        "header": _header_values(),
    }


def _session_values() -> dict[str, Value]:
    pair, peer = key_pair("alice ratchet"), key_pair("bob ratchet").public
    parameters = parlour_parameters(AEGIS256)
    dh, root = pair.dh(peer), draw("session root")
    root_out, chain_key = parameters.kdf_rk(root, dh, pair.public, peer)
    next_chain_key, message_key = parameters.kdf_ck(chain_key)
    return {
        "RK": root,
        "dh_output": dh,
        "ratchet_sender": pair.public,
        "ratchet_receiver": peer,
        "root_step": root_out + chain_key,
        "CK": chain_key,
        "chain_step": next_chain_key + message_key,
    }


def _link_values() -> dict[str, Value]:
    facts = example_facts()
    initiator, responder = key_pair("static initiator").public, key_pair("static responder").public
    secret = facts.secret.reveal()
    session_id = b2b(facts.handshake_hash, personal=labels.SESSION_ID, key=secret, size=16)
    return {
        "h": facts.handshake_hash,
        "share_I": facts.share_initiator,
        "share_R": facts.share_responder,
        "kem_secret": draw("kem secret"),
        "static_I": initiator,
        "static_R": responder,
        "S": secret,
        "session_id": session_id,
        "session_root": b2b(initiator + responder + session_id, personal=labels.SESSION_ROOT, key=secret),
    }


def _id_values() -> dict[str, Value]:
    genesis, rename = (parse_operation(signed) for signed in FIRST.operations)
    introduced = genesis.introduces
    assert introduced is not None
    return {
        "genesis": encode(genesis.operation),
        "person": genesis.id,
        "signing": introduced.signing,
        "static": introduced.static,
        "terminal": introduced.id,
        "operation": encode(rename.operation),
        "operation_id": rename.id,
    }


def _pairing_values() -> dict[str, Value]:
    facts, transcript = example_facts(), transcript_of(Role.INITIATOR)
    initiator_nonce, responder_nonce = draw("initiator nonce"), draw("responder nonce")
    five = b2b(transcript.t + initiator_nonce + responder_nonce, personal=labels.WORDS, size=5)
    hashes = [b2b(encode(record), personal=labels.RECORD) for record in example_records()]
    return {
        "h": facts.handshake_hash,
        "share_I": facts.share_initiator,
        "share_R": facts.share_responder,
        "kem_key": facts.kem_key,
        "kem_ciphertext": facts.kem_ciphertext,
        "ratchet_key": facts.ratchet_key,
        "S": facts.secret.reveal(),
        "t": transcript.t,
        "pairing_root": transcript.root,
        "nonce_I": initiator_nonce,
        "nonce_R": responder_nonce,
        "commitment": b2b(transcript.t + initiator_nonce, personal=labels.COMMITMENT),
        "five": five,
        "words": " ".join(words(five)),
        "role": bytes([Role.INITIATOR]),
        "record_own": hashes[0],
        "record_other": hashes[1],
        "accept_tag": accept_tag(transcript, Role.INITIATOR, *example_records()),
    }


def _invitation_values() -> dict[str, Value]:
    made = example_invitation()
    return {
        "person": FIRST.person,
        "static": X25519Pair(FIRST.static_secret).public,
        "secret": made.secret,
        "expires": made.expires,
        "check": made.check,
        "psk": made.psk(),
    }


def _contact_values() -> dict[str, Value]:
    root = transcript_of(Role.INITIATOR).root
    shares = sorted((person.person, share_of(person)) for person in (FIRST, SECOND))
    (low, low_share), (high, high_share) = shares
    secret = contact_secret(root, low, low_share, high, high_share)
    return {
        "pairing_root": root,
        "share_low": low_share,
        "share_high": high_share,
        "contact_secret": secret.reveal(),
        "person_I": FIRST.person,
        "person_R": SECOND.person,
        "link_psk": secret.link_psk(FIRST.person, SECOND.person),
        "announcer": FIRST.person,
        "viewer": SECOND.person,
        "discovery_key": secret.discovery_key(FIRST.person, SECOND.person),
        "waiter": FIRST.person,
        "dialler": SECOND.person,
        "meeting_key": secret.meeting_key(FIRST.person, SECOND.person),
    }


def _safety_values() -> dict[str, Value]:
    low, high = sorted((FIRST.person, SECOND.person))
    return {
        "person_low": low,
        "person_high": high,
        "digest": b2b(low + high, personal=labels.SAFETY, size=60),
        "number": safety_number(low, high),
    }


def _entry_values() -> dict[str, Value]:
    entry = example_entry()
    low, high = sorted((FIRST.person, SECOND.person))
    head = Head(FIRST.terminal, 1, entry.id)
    return {
        "person_low": low,
        "person_high": high,
        "conversation": entry.header.conversation,
        "salt": entry.salt,
        "body": entry.body,
        "content": entry.header.content,
        "self_key": FIRST.self_key,
        "untagged": _untagged(entry),
        "self_tag": entry.header.self_tag,
        "header": entry.header_bytes,
        "entry_id": entry.id,
        "heads": encode([head]),
        "heads_hash": heads_hash(entry.header.conversation, [head]),
    }


def _untagged(entry: ParsedEntry) -> bytes:
    """The header's bytes with an empty tag: the tag is the last field, so only its end changes."""
    return entry.header_bytes[: -len(encode(entry.header.self_tag))] + encode(b"")


def _slot_values() -> dict[str, Value]:
    static, key = X25519Pair(FIRST.static_secret).public, draw("discovery key")
    port = 4747
    return {
        "discovery_key": key,
        "day": DAY,
        "static": static,
        "instance": INSTANCE,
        "port": port,
        "addresses": ",".join(sorted(ADDRESSES)),
        "slot": slot(key, DAY, static, INSTANCE, port, ADDRESSES),
    }


def _header_values() -> dict[str, Value]:
    header = example_header()
    return {"fields": encode(astuple(header)[:-1]), "check": header.check}


def _prologue_values() -> dict[str, Value]:
    return {"greeting": GREETING, "choice": CHOICE, "prologue": prologue(GREETING, CHOICE)}


def _operation_values() -> dict[str, Value]:
    rename = parse_operation(FIRST.operations[1])
    return {"signer": FIRST.signing_seed, "operation_id": rename.id, "signature": rename.signatures[0]}


def _record_values() -> dict[str, Value]:
    record, transcript = example_records()[0], transcript_of(Role.INITIATOR)
    unsigned = encode(replace(record, signature=bytes(64)))
    return {
        "own_record": encode(record),
        "record_own": b2b(encode(record), personal=labels.RECORD),
        "record_with_zero_signature": unsigned,
        "core": b2b(unsigned, personal=labels.RECORD_CORE),
        "signing": FIRST.signing_seed,
        "role": bytes([transcript.role]),
        "t": transcript.t,
        "signature": record.signature,
    }


def _invitation_text_values() -> dict[str, Value]:
    text = format_invitation(example_invitation())
    return {"base32": text.removeprefix("PARLOUR:"), "invitation": text}


HOST, PORT = "relay.example.org", 4746
RELAY = key_pair("relay")
RELAY_GREETING = RelayGreeting(draw("relay greeting", 16)).encode()
FRAMED = 2


def relay_blocks() -> dict[str, str]:
    """Every example by its name, as it stands in the document."""
    made = {name: "\n".join(wrap(data.hex(), HEX_WIDTH)) for name, data in _relay_hex().items()}
    return made | {"relay-address": str(_address())}


def relay_values() -> dict[str, dict[str, Value]]:
    """Every block of values by the name of the formulas that it belongs to."""
    return {
        "relay-address": _address_values(),
        "relay-hello": _relay_hello_values(),
        "relay-tokens": _token_values(),
        "relay-cluster": _cluster_values(),
    }


def _address() -> RelayAddress:
    return RelayAddress(HOST, PORT, RELAY.public)


def _relay_hex() -> Mapping[str, bytes]:
    tokens = sorted(draw(f"token {n}", 16) for n in range(2))
    structs: tuple[Wire, ...] = (
        Welcome(TIME_MS // 1_000),
        Wait(tokens),
        Dial(tokens[0], 0),
        Called(tokens[0]),
        Joined(0),
        End(0),
    )
    return {
        "relay-greeting": RELAY_GREETING,
        "relay-hello": write_hello(RELAY.public, RELAY_GREETING, _relay_message()),
        **{type(struct).__name__: encode(struct) for struct in structs},
        "relay-padded": pad_message(Answer()),
    }


def _relay_message() -> bytes:
    """Noise message 1 of the terminal that this greeting came to."""
    handshake = HandshakeState(
        PROTOCOL_NAME,
        initiator=True,
        prologue=relay_prologue(RELAY_GREETING, RELAY_CHOICE),
        rs=RELAY.public,
        random=lambda _: draw("relay ephemeral"),
    )
    return handshake.write_message()


def _address_values() -> dict[str, Value]:
    return {
        "host": HOST,
        "port": str(PORT),
        "base32": key_text(RELAY.public),
        "address": format_relay(_address()),
    }


def _relay_hello_values() -> dict[str, Value]:
    message, choice = _relay_message(), RELAY_CHOICE
    return {
        "relay": RELAY.public,
        "greeting": RELAY_GREETING,
        "choice": choice,
        "message_1": message,
        "prologue": relay_prologue(RELAY_GREETING, choice),
        "mac": write_hello(RELAY.public, RELAY_GREETING, message)[FRAMED + len(choice) :][:16],
    }


def _cluster_values() -> dict[str, Value]:
    keys, token = ClusterKeys(RELAY), draw("token 0", 16)
    return {"secret": RELAY.reveal(), "token": token, "psk": keys._psk, "name": keys.name(token)}


def _token_values() -> dict[str, Value]:
    key, static = draw("meeting key"), X25519Pair(FIRST.static_secret).public
    invitation = example_invitation()
    return {
        "meeting_key": key,
        "day": DAY,
        "relay": RELAY.public,
        "static": static,
        "token": contact_token(key, DAY, RELAY.public, static),
        "secret": invitation.secret,
        "check": invitation.check,
        "expires": invitation.expires,
        "invitation_token": invitation_token(invitation, DAY, RELAY.public),
    }
