"""Values of the formulas of SPEC.md, inputs and results, made by the code: what each formula must come to.

Rules: names are those of the document's formulas, and a block has all that its formulas name; a KEM key and
ciphertext are short stand-ins, since no formula looks at their size.
"""

from __future__ import annotations

from msgspec.structs import astuple, replace

from protocol import labels
from protocol.codec import encode
from protocol.discovery import slot
from protocol.entries import ParsedEntry, heads_hash
from protocol.identity.log import parse_operation
from protocol.identity.safety import safety_number, words
from protocol.keys import X25519Pair
from protocol.link.framing import prologue
from protocol.link.states import Role
from protocol.messages import Head
from protocol.pairing.contact_secret import contact_secret
from protocol.pairing.invitation import format_invitation
from protocol.pairing.record import accept_tag
from protocol.primitives import AEGIS256, b2b
from protocol.ratchet import parlour_parameters
from tests.architecture.spec_examples import (
    ADDRESSES,
    CHOICE,
    FIRST,
    GREETING,
    INSTANCE,
    SECOND,
    TIME_MS,
    draw,
    example_entry,
    example_facts,
    example_header,
    example_invitation,
    example_records,
    key_pair,
    share_of,
    transcript_of,
)
from tests.architecture.spec_formulas import Value

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
    return {
        "signer": FIRST.signing_seed,
        "operation_id": rename.id,
        "signature": rename.signatures[0],
    }


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
