"""The examples and formula values of SPEC.md, computed by the code from the public seed phrase."""

from __future__ import annotations

from base64 import b32decode
from collections.abc import Iterator, Sequence
from functools import cache
from textwrap import wrap

from msgspec.structs import astuple, replace

from chat.storage import folder
from protocol import labels
from protocol import messages as m
from protocol.attachments import file_body, leaf_hash, node_hash, root_of, seal_piece
from protocol.backup import sealed
from protocol.backup.root import RootHash, history_root
from protocol.bots import bot_body
from protocol.codec import Wire, encode
from protocol.discovery import make_slots, slot, write_text
from protocol.entries_and_receipts import (
    EntryPlace,
    ParsedEntry,
    conversation_of_two,
    cut_body,
    delete_body,
    edit_body,
    heads_hash,
    sign_entry,
    take_entry,
    text_body,
    timer_body,
    write_entry,
)
from protocol.identity.author import (
    NewPerson,
    NewTerminal,
    add_operation,
    create_person,
    recovery_key,
)
from protocol.identity.drawing import commitment, renew_operation, self_key, share_name
from protocol.identity.drawing import share_of as drawn_share
from protocol.identity.log import Renew, load, parse_operation, sign_operation, terminal_id
from protocol.identity.reduction import Reduction, reduce
from protocol.identity.safety import WordList, safety_digest, word_list
from protocol.keys import X25519Pair
from protocol.link.agreement import agree, one_time_hash
from protocol.link.framing import LAST, REFUSAL, Choice, Greeting, Pattern, length_of, pad, prologue
from protocol.link.states import Role
from protocol.noise import HandshakeState
from protocol.notes import Register, notes_of, state_body, subject, write
from protocol.own_terminals import Mark, marks_hash, passed_receipts
from protocol.pairing.contact_secret import contact_secret, own_share, pairing_id
from protocol.pairing.invitation import PREFIX, Invitation, format_invitation, invitation_check
from protocol.pairing.new_terminal import make_new_terminal
from protocol.pairing.own_secret import own_secret
from protocol.pairing.record import Identity, Transcript, accept_tag, make_record
from protocol.primitives import (
    AEGIS256,
    CHACHA20POLY1305,
    argon2id,
    b2b,
    ed25519_from_seed,
    mldsa_from_seed,
    mlkem_from_seed,
)
from protocol.profile_header import CHEAPEST, DatabaseKey, Header
from protocol.ratchet import RatchetSession, parlour_parameters
from protocol.relay import messages as relay
from protocol.relay.cluster import ClusterKeys
from protocol.relay.rendezvous import RelayAddress, contact_token, invitation_token, key_text
from tests.architecture.imports import ROOT
from tests.architecture.spec_document import Value
from tests.vectors.files import Seed, read_phrase

HEX_WIDTH = 160
TIME = 1_767_225_600
DAY = TIME // 86_400
SEED = Seed(read_phrase((ROOT / "seeds" / "vectors.txt").read_text(encoding="utf-8")), "spec")


def draw(label: str, size: int = 32) -> bytes:
    return SEED.bytes(label)[:size]


def key_pair(label: str) -> X25519Pair:
    return X25519Pair(SEED.bytes(label))


INSTANCE = draw("instance", 8).hex()
ADDRESSES = ("192.168.1.20", "fe80::1")
GREETING = Greeting.new(draw("greeting", 16), aes=True).encode()
CHOICE = Choice(Pattern.IKPSK2, AEGIS256).encode()
FIRST = create_person("First", SEED.random("first"))
SECOND = create_person("Second", SEED.random("second"))
STATIC = X25519Pair(FIRST.static_secret).public
CONVERSATION = conversation_of_two(FIRST.person, SECOND.person)
LOW, HIGH = sorted((FIRST.person, SECOND.person))
ONE_TIME = key_pair("one-time initiator"), key_pair("one-time responder")
_AGREED = (
    draw("h 1") + draw("h 2"),
    (draw("share initiator"), draw("share responder")),
    (draw("kem key", 16), draw("kem ciphertext", 16), draw("kem secret")),
    key_pair("bob ratchet").public,
)
FACTS = agree(*_AGREED, (ONE_TIME[0], ONE_TIME[1].public))
TRANSCRIPT = Transcript.of(FACTS, Role.INITIATOR)
INVITATION = Invitation(
    draw("invitation", 16),
    TIME + 3600,
    invitation_check(FIRST.person, STATIC),
    one_time_hash(key_pair("invitation").public),
    ("192.168.1.20:4747",),
    (),
)
_BASE32 = format_invitation(INVITATION).removeprefix(PREFIX)
INVITATION_BYTES = b32decode(_BASE32 + "=" * (-len(_BASE32) % 8))
RELAY = key_pair("relay")
RELAY_ADDRESS = RelayAddress("relay.example.org", 4746, RELAY.public)
RELAY_GREETING = relay.RelayGreeting(draw("relay greeting", 16)).encode()


EXAMPLE_MARK = Mark(draw("marked entry"), draw("marking terminal"), 1)


def examples() -> dict[str, str]:
    """Every example by its name, as the document shows it."""
    texts = {name: data.hex() for name, data in _bytes().items()}
    texts |= {"invitation": format_invitation(INVITATION), "relay-address": str(RELAY_ADDRESS)}
    return {name: "\n".join(wrap(text, HEX_WIDTH)) for name, text in texts.items()} | {
        "words": _in_rows(word_list()),
        "words-zh": _in_rows(word_list(WordList.CHINESE)),
    }


def _in_rows(listed: Sequence[str]) -> str:
    return "\n".join(" ".join(listed[start : start + 16]) for start in range(0, 256, 16))


def _bytes() -> dict[str, bytes]:
    structs = (*_messages(), *_payloads(), *_relay_messages())
    return {
        "greeting": GREETING,
        "choice": CHOICE,
        "refusal": length_of(REFUSAL) + REFUSAL,
        "padded": pad(LAST + encode(m.Ping(1))),
        "envelope": _envelope(),
        "message-key": _session()["message_key"],
        **{type(struct).__name__: encode(struct) for struct in structs},
        **dict(zip(("Genesis", "Rename", "Add"), _log()[:3], strict=True)),
        "EntryHeader": example_entry().header_bytes,
        "TextBody": example_entry().body,
        "CutBody": cut_body(SECOND.terminal, [m.CutHead(draw("incarnation", 8), 7, draw("cut entry"))]),
        "DeleteBody": delete_body([draw("deleted entry")]),
        "EditBody": edit_body(draw("edited entry"), "Hello!"),
        "TimerBody": timer_body(3_600),
        "BotBody": bot_body(m.BotBody(True, [m.BotCommand("echo", "says the same")])),
        "StateBody": example_state(),
        "FileBody": example_file(),
        "Invitation": INVITATION_BYTES,
        "announcement": write_text(_slots(), "First"),
        "Header": example_header().to_bytes(),
        "BackupHeader": example_backup(),
        "relay-greeting": RELAY_GREETING,
        "relay-hello": relay.write_hello(RELAY.public, RELAY_GREETING, _relay_message()),
        "relay-padded": relay.pad_message(relay.Answer()),
    }


# --- Messages ---


def _messages() -> Iterator[Wire]:
    entry = example_entry()
    head = m.Head(FIRST.terminal, 1, entry.id)
    yield m.Confirm(draw("session", 16), [1, 258])
    yield m.Features([1, 258])
    yield m.Ping(1)
    yield m.Pong(1)
    yield m.Close(0)
    yield m.Commit(draw("commitment"), "First")
    yield m.Reveal(draw("responder nonce"), "Second")
    yield m.Open(draw("initiator nonce"))
    yield example_records()[0]
    yield m.Accept(draw("accept"))
    yield example_new_terminal()
    yield from _shared()
    yield m.Consent(draw("consent 1") + draw("consent 2"))
    yield m.LogHeads(SECOND.person, [rename_id(SECOND)])
    yield m.LogOperations([FIRST.operations[1]])
    yield m.Reachable(4747)
    marks = marks_hash(CONVERSATION, [EXAMPLE_MARK])
    yield m.Digests([m.Digest(CONVERSATION, heads_hash(CONVERSATION, [head]), marks, 1, 0, answered=False)])
    yield passed_receipts(CONVERSATION, [EXAMPLE_MARK])[0]
    yield sign_entry(entry, FIRST.signing_seed).passed()
    yield example_renewal()
    yield m.HeadsHash(CONVERSATION, heads_hash(CONVERSATION, [head]))
    yield m.Heads(CONVERSATION, b"", [head], more=False)
    yield entry.message()
    yield m.Receipt(1, [entry.id])
    yield m.Typing(CONVERSATION, True)
    shared = draw("file entry")
    yield m.AskPieces(shared, [m.PieceRange(0, 64), m.PieceRange(80, 1)])
    yield example_piece(shared)
    yield m.PiecesEnd(shared)
    yield m.StopPieces(shared)
    yield m.WholeFile(shared)


def example_file() -> bytes:
    """The body of an entry that names a file of five bytes."""
    sealed = seal_piece(AEGIS256, draw("file key"), 0, b"Hello")
    root = root_of([leaf_hash(sealed)])
    return file_body(m.FileBody("hello.txt", "text/plain", 5, AEGIS256.id, draw("file key"), root, [], 0))


def example_piece(entry: bytes) -> m.Piece:
    """Its only piece."""
    return m.Piece(entry, 0, [], seal_piece(AEGIS256, draw("file key"), 0, b"Hello"))


def example_state() -> bytes:
    """What is written of the second person when it becomes a contact."""
    person, compared = SECOND.person, m.SharedComparison(True, TIME * 1000, SECOND.person, [SECOND.terminal])
    return state_body(
        [
            write(Register.CONTACT, person, m.ContactValue(person, TIME * 1000)),
            write(Register.PETNAME, person, m.PetnameValue("")),
            write(Register.BLOCKED, person, m.SwitchValue(False)),
            write(Register.STANDING, person, m.StandingValue(True, False, person, [], [compared])),
            write(Register.PINNED, person, m.SwitchValue(False)),
            write(Register.MUTED, person, m.SwitchValue(False)),
        ]
    )


def _shared() -> Iterator[Wire]:
    """What a new terminal of the first person gets, and the Add that it is to sign."""
    keys, share = example_keys(), m.SharedShare(SECOND.person, draw("shared"))
    root = m.SharedRoot(draw("shared root"), FIRST.person, False, [share])
    place = m.SharedPlace(SECOND.terminal, "192.168.1.20", 4747)
    said = "", True, False, False, TIME * 1000, 0, False, False
    compared = m.SharedComparison(True, TIME * 1000, SECOND.person, [SECOND.terminal])
    static, vouch = X25519Pair(SECOND.static_secret).public, m.SharedVoucher(FIRST.terminal, True)
    yield m.SharedPairing(SECOND.person, [], [], *said, [compared], [vouch], [root], [static], [place])
    own, chosen = drawn_of(FIRST), m.SharedSetting("typing", "off")
    relay_address = m.SharedRelay(str(RELAY_ADDRESS), False, TIME * 1000)
    yield m.LinkState(FIRST.person, FIRST.terminal, [], [], [own], [chosen], [relay_address], 1)
    log = reduce(FIRST.operations)
    yield m.Addition(encode(add_operation(log, FIRST.terminal, keys.signing, keys.static, "laptop")))


def example_renewal() -> m.RenewedShare:
    """The first person's share of the secret that the example Renew draws."""
    drawn = m.SharedDrawn(parse_operation(_log()[3]).id, draw("renew drawn"))
    share = own_share(TRANSCRIPT.root, drawn)
    return m.RenewedShare(pairing_id(TRANSCRIPT.root), share.operation, share.share)


def example_keys() -> NewTerminal:
    """The keys of a new terminal."""
    seed, pair = draw("new signing"), key_pair("new static")
    signing = ed25519_from_seed(seed)
    return NewTerminal(terminal_id(signing, pair.public), signing, pair.public, seed, pair.reveal())


def example_new_terminal() -> m.NewTerminal:
    return make_new_terminal(example_keys(), "laptop", TRANSCRIPT)


def _payloads() -> Iterator[Wire]:
    """Payloads of handshakes. The ciphertext is random bytes: the library cannot make one from a seed."""
    _, kem_key = mlkem_from_seed(draw("kem seed d") + draw("kem seed z"))
    ciphertext = b"".join(draw(f"kem ciphertext {part}") for part in range(34))
    own = sorted(draw(f"name {number}", 16) for number in range(2))
    names, ratchet_key = m.ShareNames(own, [draw("name 2", 16)]), key_pair("bob ratchet").public
    yield m.ContactHello(FIRST.person, names, kem_key, FACTS.share_initiator)
    yield m.ContactReply(ciphertext, FACTS.share_responder, ratchet_key)
    yield m.PairingReply(kem_key, FACTS.share_responder, ratchet_key)
    yield m.PairingFinish(ciphertext, FACTS.share_initiator)


def _relay_messages() -> Iterator[Wire]:
    tokens = sorted(draw(f"token {n}", 16) for n in range(2))
    yield relay.Welcome(TIME)
    yield relay.Wait(tokens)
    yield relay.Dial(tokens[0], 0)
    yield relay.Called(tokens[0])
    yield relay.Joined(0)
    yield relay.End(0)


def _relay_message() -> bytes:
    """Noise message 1 of the terminal that this greeting came to."""
    handshake = HandshakeState(
        relay.PROTOCOL_NAME,
        initiator=True,
        prologue=relay.prologue(RELAY_GREETING, relay.CHOICE),
        rs=RELAY.public,
        random=lambda _: draw("relay ephemeral"),
    )
    return handshake.write_message()


def _log() -> tuple[bytes, ...]:
    """The first person's log: a terminal is added, and keys are drawn for both."""
    log = list(FIRST.operations)
    signing, static = draw("added signing"), key_pair("added static").public
    added = add_operation(reduce(log), FIRST.terminal, ed25519_from_seed(signing), static, "laptop")
    log.append(sign_operation(added, FIRST.signing_seed, signing))
    of, random = (FIRST.terminal, FIRST.self_key), SEED.random("renew")
    renew = renew_operation(Reduction(load(log)), *of, draw("renew drawn"), random)
    return *log, sign_operation(renew, FIRST.signing_seed)


def _slots() -> tuple[bytes, ...]:
    """One true slot, at its random place among 31 random ones."""
    return make_slots([draw("discovery key")], DAY, STATIC, INSTANCE, 4747, ADDRESSES, SEED.random("slots"))


def rename_id(person: NewPerson) -> bytes:
    return parse_operation(person.operations[1]).id


def _envelope() -> bytes:
    """The first envelope of an initiator: Confirm, under AEGIS-256."""
    parameters, bob = parlour_parameters(AEGIS256), key_pair("bob ratchet").public
    root = draw("session root")
    alice = RatchetSession.init_alice(root, bob, lambda _: draw("alice ratchet"), parameters=parameters)
    return alice.encrypt(LAST + encode(m.Confirm(b"", [])))


@cache
def example_header() -> Header:
    key = DatabaseKey(draw("database key"))
    return folder.wrap(key, "a passphrase", CHEAPEST, 4747, lambda size: draw("header salt", size))


def example_backup() -> bytes:
    return sealed.begin("a passphrase", CHEAPEST, lambda size: draw("backup salt", size))[0]


@cache
def example_entry() -> ParsedEntry:
    place = EntryPlace(
        conversation=CONVERSATION,
        author=FIRST.terminal,
        incarnation=draw("incarnation", 8),
        previous=None,
        parents=[],
        membership=[rename_id(FIRST)],
    )
    return write_entry(place, TIME * 1000, 1, text_body("Hello"), FIRST.self_key, SEED.random("entry"))


@cache
def example_records() -> tuple[m.Record, m.Record]:
    """The records of both in one pairing, the initiator's first."""
    first, second = (
        Identity(
            person.operations,
            person.terminal,
            person.signing_seed,
            X25519Pair(person.static_secret),
            drawn_of(person),
        )
        for person in (FIRST, SECOND)
    )
    other = agree(*_AGREED, (ONE_TIME[1], ONE_TIME[0].public))
    return make_record(first, TRANSCRIPT), make_record(second, Transcript.of(other, Role.RESPONDER))


def share_of(person: bytes) -> bytes:
    """The one in the person's record."""
    (made,) = (one for one in (FIRST, SECOND) if one.person == person)
    return own_share(TRANSCRIPT.root, drawn_of(made)).share


def drawn_of(person: NewPerson) -> m.SharedDrawn:
    """The secret of its genesis."""
    return m.SharedDrawn(person.person, person.drawn)


# --- Values in formulas ---


def values(block: str) -> dict[str, Value]:
    """What the code makes of every name; in some blocks a name has another value."""
    record, header = example_records()[0], example_header()
    rename, text = parse_operation(FIRST.operations[1]), format_invitation(INVITATION)
    cluster = ClusterKeys(RELAY)
    own: dict[str, dict[str, Value]] = {
        "operation": {"signature": rename.signatures[0]},
        "record": {"signing": FIRST.signing_seed, "signature": record.signature},
        "invitation-text": {"base32": text.removeprefix(PREFIX), "invitation": text},
        "header": {"fields": encode(astuple(header)[:-1]), "check": header.check},
        "backup-header": _backup(),
        "root": _root(),
        "relay-address": {"port": str(RELAY_ADDRESS.port), "base32": key_text(RELAY.public)},
        "relay-hello": {
            "greeting": RELAY_GREETING,
            "choice": relay.CHOICE,
            "prologue": relay.prologue(RELAY_GREETING, relay.CHOICE),
        },
        "safety": _safety(),
        "own": _own(),
        "drawn": _drawn(),
        "marks": {"marks": encode([EXAMPLE_MARK]), "marks_hash": marks_hash(CONVERSATION, [EXAMPLE_MARK])},
        "signature": _signature(),
        "notes": {"notes": notes_of(FIRST.person), "what": SECOND.person, "of": subject(SECOND.person)},
        "file": _file(),
        "relay-cluster": {"secret": RELAY.reveal(), "psk": cluster._psk},
    }
    common = _session() | _link() | _person() | _pairing() | _contact() | _entry() | _relay()
    return common | own.get(block, {})


def _signature() -> dict[str, Value]:
    entry, seed = example_entry(), FIRST.signing_seed
    signed = sign_entry(entry, seed).signed
    assert signed is not None, "signed above"
    taken = take_entry(entry.id, SECOND.terminal, seed)
    made = {"signature": signed.signature, "taken": taken.signature}
    return {"signing": seed, "entry_id": entry.id, **made}


def _session() -> dict[str, bytes]:
    pair, peer = key_pair("alice ratchet"), key_pair("bob ratchet").public
    parameters, root, dh_output = parlour_parameters(AEGIS256), draw("session root"), pair.dh(peer)
    root_out, chain_key = parameters.kdf_rk(root, dh_output, pair.public, peer)
    next_chain_key, message_key = parameters.kdf_ck(chain_key)
    return {
        "RK": root,
        "dh_output": dh_output,
        "ratchet_sender": pair.public,
        "ratchet_receiver": peer,
        "root_step": root_out + chain_key,
        "CK": chain_key,
        "chain_step": next_chain_key + message_key,
        "message_key": message_key,
    }


def _link() -> dict[str, Value]:
    statics = key_pair("static initiator").public, key_pair("static responder").public
    secret = FACTS.secret.reveal()
    session_id = b2b(FACTS.handshake_hash, personal=labels.SESSION_ID, key=secret, size=16)
    return {
        "greeting": GREETING,
        "choice": CHOICE,
        "prologue": prologue(GREETING, CHOICE),
        "h": FACTS.handshake_hash,
        "share_I": FACTS.share_initiator,
        "share_R": FACTS.share_responder,
        "kem_secret": draw("kem secret"),
        "static_I": statics[0],
        "static_R": statics[1],
        "S": secret,
        "session_id": session_id,
        "session_root": b2b(b"".join(statics) + session_id, personal=labels.SESSION_ROOT, key=secret),
    }


def _person() -> dict[str, Value]:
    genesis, rename = (parse_operation(signed) for signed in FIRST.operations)
    assert genesis.introduces is not None
    return {
        "genesis": encode(genesis.operation),
        "person": genesis.id,
        "signing": genesis.introduces.signing,
        "static": STATIC,
        "terminal": genesis.introduces.id,
        "operation": encode(rename.operation),
        "operation_id": rename.id,
        "signer": FIRST.signing_seed,
        "recovery_seed": FIRST.recovery_seed,
        "seed_check": b2b(FIRST.recovery_seed, personal=labels.RECOVERY_WORDS, size=2),
        **_recovery_key(),
    }


def _recovery_key() -> dict[str, Value]:
    """The seeds are what the code signs with: their public keys are those that it names."""
    seeds = {
        name: b2b(b"", personal=label, key=FIRST.recovery_seed)
        for name, label in (
            ("recovery_ed25519", labels.RECOVERY),
            ("recovery_mldsa", labels.RECOVERY_MLDSA),
        )
    }
    public, named = mldsa_from_seed(seeds["recovery_mldsa"]), recovery_key(FIRST.recovery_seed)
    assert ed25519_from_seed(seeds["recovery_ed25519"]) == named.ed25519
    return {**seeds, "mldsa_public": public, "mldsa_hash": named.mldsa}


def _drawn() -> dict[str, Value]:
    """What derives from the secret that the example Renew draws, and how it goes to the drawer."""
    r, operation = draw("renew drawn"), parse_operation(_log()[3])
    assert isinstance(operation.operation, Renew)
    pairing, once = pairing_id(TRANSCRIPT.root), operation.operation.once
    share = drawn_share(r, pairing)
    shared = X25519Pair(FIRST.static_secret).dh(once)
    key = b2b(shared + once + STATIC, personal=labels.SEAL, key=FIRST.self_key)
    sealed = CHACHA20POLY1305.seal(key, bytes(12), b"", r)
    assert sealed in operation.operation.sealed
    return {
        "r": r,
        "drawn": commitment(r),
        "self_key": self_key(r),
        "pairing_id": pairing,
        "share": share,
        "operation_id": operation.id,
        "share_name": share_name(share, operation.id),
        "key_name": share_name(self_key(r)),
        "first_self_key": FIRST.self_key,
        "shared": shared,
        "once": once,
        "seal_key": key,
    }


def _pairing() -> dict[str, Value]:
    nonces = draw("initiator nonce"), draw("responder nonce")
    records = example_records()
    bare = encode(replace(records[0], proof=bytes(32), signature=bytes(64)))
    hashes = [b2b(encode(record), personal=labels.RECORD) for record in records]
    new = example_new_terminal()
    bare_new = replace(new, proof=bytes(32), signature=bytes(64))
    return {
        "kem_key": FACTS.kem_key,
        "kem_ciphertext": FACTS.kem_ciphertext,
        "ratchet_key": FACTS.ratchet_key,
        "t": TRANSCRIPT.t,
        "pairing_root": TRANSCRIPT.root,
        "nonce_I": nonces[0],
        "nonce_R": nonces[1],
        "commitment": b2b(TRANSCRIPT.t + nonces[0], personal=labels.COMMITMENT),
        "five": b2b(TRANSCRIPT.t + b"".join(nonces), personal=labels.WORDS, size=5),
        "role": bytes([TRANSCRIPT.role]),
        "own_record": encode(records[0]),
        "record_own": hashes[0],
        "record_other": hashes[1],
        "bare_record": bare,
        "core": b2b(bare, personal=labels.RECORD_CORE),
        "shared": X25519Pair(FIRST.static_secret).dh(ONE_TIME[1].public),
        "proof": records[0].proof,
        "bare_new": encode(bare_new),
        "new_core": b2b(encode(bare_new), personal=labels.NEW_CORE),
        "new_shared": key_pair("new static").dh(TRANSCRIPT.their),
        "new_proof": new.proof,
        "new_signing": draw("new signing"),
        "new_signature": new.signature,
        "accept_tag": accept_tag(TRANSCRIPT.root, TRANSCRIPT.t, Role.INITIATOR, *records),
        "secret": INVITATION.secret,
        "expires": INVITATION.expires,
        "check": INVITATION.check,
        "one_time_key": key_pair("invitation").public,
        "one_time": INVITATION.one_time,
        "array": INVITATION_BYTES,
        "psk": INVITATION.psk(),
    }


def _contact() -> dict[str, Value]:
    secret = contact_secret(TRANSCRIPT.root, LOW, share_of(LOW), HIGH, share_of(HIGH))
    ends = FIRST.person, SECOND.person
    key = secret.discovery_key(*ends)
    return {
        "share_low": share_of(LOW),
        "share_high": share_of(HIGH),
        "contact_secret": secret.reveal(),
        **dict.fromkeys(("person_I", "announcer", "waiter"), ends[0]),
        **dict.fromkeys(("person_R", "viewer", "dialler"), ends[1]),
        "link_psk": secret.link_psk(*ends),
        "discovery_key": key,
        "meeting_key": secret.meeting_key(*ends),
        "pairing_id": pairing_id(TRANSCRIPT.root),
        "day": DAY,
        "instance": INSTANCE,
        "port": 4747,
        "addresses": ",".join(sorted(ADDRESSES)),
        "slot": slot(key, DAY, STATIC, INSTANCE, 4747, ADDRESSES),
    }


def _own() -> dict[str, Value]:
    secret = own_secret(FIRST.person, FIRST.self_key)
    return {
        "person": FIRST.person,
        "self_key": FIRST.self_key,
        "own_secret": secret.reveal(),
        "own_psk": secret.link_psk(FIRST.self_key).psk,
        "own_discovery_key": secret.discovery_key(),
        "own_meeting_key": secret.meeting_key(),
    }


def _safety() -> dict[str, Value]:
    """Both sides have one terminal and no recovery."""
    sides = {}
    for made in (FIRST, SECOND):
        (terminal,) = reduce(made.operations).live.values()
        keys = terminal.signing + terminal.static
        sides[made.person] = made.person * 2 + (1).to_bytes(4) + keys
    return {
        "side_low": sides[LOW],
        "side_high": sides[HIGH],
        "digest": safety_digest(reduce(FIRST.operations), reduce(SECOND.operations)),
        "newest": FIRST.person,
        "count": 1,
        "keys": sides[FIRST.person][-64:],
        "side": sides[FIRST.person],
    }


def _entry() -> dict[str, Value]:
    entry = example_entry()
    head = m.Head(FIRST.terminal, 1, entry.id)
    # The tag is the last field, so that only the end of the header changes without it.
    untagged = entry.header_bytes[: -len(encode(entry.header.self_tag))] + encode(b"")
    return {
        "person_low": LOW,
        "person_high": HIGH,
        "conversation": CONVERSATION,
        "salt": entry.salt,
        "body": entry.body,
        "content": entry.header.content,
        "self_key": FIRST.self_key,
        "untagged": untagged,
        "self_tag": entry.header.self_tag,
        "header": entry.header_bytes,
        "entry_id": entry.id,
        "heads": encode([head]),
        "heads_hash": heads_hash(CONVERSATION, [head]),
    }


def _backup() -> dict[str, Value]:
    header = sealed.parse(example_backup())
    salt, cost = header.salt, (header.operations, header.memory_bytes)
    key = argon2id(b"a passphrase", salt, *cost)
    return {
        "passphrase_key": key,
        "mac_key": b2b(b"", personal=labels.BACKUP_MAC_KEY, key=key),
        "fields": encode(astuple(header)[:-1]),
        "mac": header.mac,
        "chunk_key": sealed.unlock(header, "a passphrase").reveal(),
    }


def _file() -> dict[str, Value]:
    sealed_piece, other = example_piece(draw("file entry")).data, draw("file leaf")
    leaf = leaf_hash(sealed_piece)
    return {
        "sealed_piece": sealed_piece,
        "leaf": leaf,
        "left": leaf,
        "right": other,
        "node": node_hash(leaf, other),
    }


def _root() -> dict[str, Value]:
    entry, root = example_entry(), RootHash(CONVERSATION)
    first = root.root
    root.add(entry.id, entry.header.content)
    return {
        "first_root": first,
        "root": first,
        "content_held": entry.header.content,
        "next_root": root.root,
        "conversation_roots": CONVERSATION + root.root,
        "history_root": history_root([(CONVERSATION, root.root)]),
    }


def _relay() -> dict[str, Value]:
    key, message = _contact()["meeting_key"], _relay_message()
    assert isinstance(key, bytes)
    token = contact_token(key, DAY, RELAY.public, STATIC)
    return {
        "host": RELAY_ADDRESS.host,
        "address": str(RELAY_ADDRESS),
        "relay": RELAY.public,
        "message_1": message,
        "mac": relay.write_hello(RELAY.public, RELAY_GREETING, message)[4:20],
        "token": token,
        "invitation_token": invitation_token(INVITATION, DAY, RELAY.public),
        "name": ClusterKeys(RELAY).name(token),
    }
