"""Registry of domain-separation labels (SPEC §4.2): every use of B2b and every signature has its own."""

from __future__ import annotations

from typing import Final

from protocol.errors import LocalMisuse

PERSONAL_SIZE: Final = 16
"""Size of BLAKE2b's `personal` parameter, bytes; shorter labels are padded with zeros (BLAKE2 §2.8)."""

_registered: dict[bytes, str] = {}


def _register(label: bytes, use: str) -> bytes:
    if label in _registered:
        raise LocalMisuse(f"label {label!r} is registered twice")
    _registered[label] = use
    return label


def _personal(name: str, use: str) -> bytes:
    """The `personal` parameter `parlour.` + name, at most 16 bytes. LocalMisuse if longer or registered."""
    label = b"parlour." + name.encode("ascii")
    if len(label) > PERSONAL_SIZE:
        raise LocalMisuse(f"label {label!r} is longer than {PERSONAL_SIZE} bytes")
    return _register(label, use)


def _signature(name: str, use: str) -> bytes:
    """The prefix `parlour.sign.` + name + 0x00 of a signed message. LocalMisuse if registered.

    The zero byte ensures that no prefix is the beginning of another one.
    """
    return _register(b"parlour.sign." + name.encode("ascii") + b"\x00", use)


def registry() -> dict[bytes, str]:
    """A copy of all labels with their use, as in the table of SPEC §4.2."""
    return dict(_registered)


# Sessions (SPEC §9.1)
CHAIN: Final = _personal("chain", "chain step: chain key and message key")
RATCHET: Final = _personal("ratchet", "root step: root key and chain key")

# Links (SPEC §8)
LINK_ROOT: Final = _personal("linkroot", "S: the secret of a link, from KEM secret, shares and transcript")
SESSION_ID: Final = _personal("sess.id", "session id of a link")
SESSION_ROOT: Final = _personal("sessroot", "first root key of a session")

# Persons (SPEC §7)
PERSON: Final = _personal("person", "person id: hash of the genesis")
TERMINAL: Final = _personal("terminal", "terminal id: hash of its two public keys")
OPERATION: Final = _personal("log.op", "id of an operation of a person log but the genesis")
SIGN_OPERATION: Final = _signature("operation", "signatures of an operation of a person log")
RECOVERY: Final = _personal("recovery", "Ed25519 seed of a recovery key, from the recovery seed")
RECOVERY_MLDSA: Final = _personal("rec.pq", "ML-DSA-65 seed of a recovery key, from the recovery seed")
RECOVERY_KEY: Final = _personal("mldsakey", "hash of the ML-DSA-65 public key of a recovery key")
DRAWN: Final = _personal("drawn", "commitment of a Genesis or Renew to the secret that it draws")
SELF_KEY: Final = _personal("selfkey", "self key, from a drawn secret")
DRAWN_SHARE: Final = _personal("share", "share of a person in a pairing, from a drawn secret")
SHARE_NAME: Final = _personal("sh.name", "name of a share in message 1")
SEAL: Final = _personal("seal", "key under which a Renew hands its secret to one terminal")
RECOVERY_WORDS: Final = _personal("recwords", "check in the words of a recovery seed")
SAFETY: Final = _personal("safety", "safety number of two persons")

# Pairing (SPEC §7.4, §7.5)
PAIRING_TRANSCRIPT: Final = _personal("pair.t", "t: everything the two ends of a pairing link agreed on")
PAIRING_ROOT: Final = _personal("pairroot", "pairing root, from which contact secrets come")
PAIRING_ACCEPT: Final = _personal("accept", "tag over both records of a pairing")
COMMITMENT: Final = _personal("sas.com", "the initiator's commitment to its nonce")
WORDS: Final = _personal("saswords", "the five words to compare")
RECORD: Final = _personal("record", "hash of a record as it was sent")
RECORD_CORE: Final = _personal("rec.core", "hash of a record without its proof and signature")
RECORD_PROOF: Final = _personal("recproof", "proof that a record's sender holds the terminal's static key")
NEW_CORE: Final = _personal("new.core", "hash of a NewTerminal without its proof and signature")
NEW_PROOF: Final = _personal("newproof", "proof that a new terminal holds its static key")

SIGN_RECORD: Final = _signature("record", "a terminal's signature on its record")
SIGN_NEW: Final = _signature("newterminal", "a new terminal's signature on its NewTerminal")
INVITE_CHECK: Final = _personal("invcheck", "who made an invitation: person and static key")
INVITE_KEY: Final = _personal("inv.key", "hash of an invitation's one-time static key")
INVITE_PSK: Final = _personal("inv.psk", "psk of a pairing by invitation")

# Contact secret (SPEC §7.6) and discovery (SPEC §13)
CONTACT: Final = _personal("contact", "contact secret of two persons")
PAIRING_ID: Final = _personal("pair.id", "what names a pairing root")
LINK_PSK: Final = _personal("link.psk", "psk of a link, from the contact secret")
DISCOVER: Final = _personal("discover", "discovery key of a direction, from the contact secret")
SLOT: Final = _personal("slot", "one slot of an announcement")

# Relays (SPEC §11.7)
RELAY_KEY: Final = _personal("relaykey", "meeting key of a direction, from the contact secret")
RELAY_TOKEN: Final = _personal("relaytok", "token of a terminal that waits for a contact at a relay")
RELAY_INVITATION: Final = _personal("relayinv", "token of an inviter that waits for its joiner at a relay")
RELAY_MAC: Final = _personal("relaymac", "proof before the handshake that the caller knows the relay's key")
RELAY_CLUSTER: Final = _personal("relaypsk", "psk of the relays of a cluster, from the key that they share")
RELAY_NAMES: Final = _personal("relaynam", "what stands for a token where a cluster's messages pass")

# Attachments (SPEC §12)
PIECE: Final = _personal("aleaf", "hash of a sealed piece of a file: a leaf of its tree")
PIECES: Final = _personal("anode", "hash of two neighbours in the tree of a file")

# Several terminals of one person (SPEC §7.8)
OWN_SECRET: Final = _personal("own", "own secret of a person, from a self key")
OWN_PSK: Final = _personal("own.psk", "psk of links among a person's terminals, from the own secret")
OWN_DISCOVER: Final = _personal("own.disc", "discovery key among a person's terminals, from the own secret")
OWN_RELAY: Final = _personal("own.rlay", "meeting key among a person's terminals, from the own secret")
OWN_MARKS: Final = _personal("own.mark", "hash of the newest marks of a conversation")
NOTES: Final = _personal("notes", "id of a person's conversation with itself")
REGISTER: Final = _personal("register", "what a register is about")

# Entries (SPEC §11)
CONVERSATION: Final = _personal("conv", "id of the conversation of two persons")
CONTENT: Final = _personal("content", "an entry's salt and body")
SELF_TAG: Final = _personal("self", "self tag of an entry")
ENTRY: Final = _personal("entry", "entry id: hash of the header")
HEADS: Final = _personal("heads", "hash of all heads of a conversation")
SIGN_ENTRY: Final = _signature("entry", "a terminal's signature on an entry that it wrote")
SIGN_TAKEN: Final = _signature("taken", "a terminal's signature on an entry that its person took as own")

# Profile (SPEC §21)
PROFILE_HEADER: Final = _personal(
    "header", "checksum that tells a damaged profile header from a wrong passphrase"
)

# Backup (SPEC §21.1)
BACKUP_MAC_KEY: Final = _personal("bmackey", "key of the MAC over the header of a backup")
BACKUP_MAC: Final = _personal("bmac", "MAC over the header of a backup, which commits to its key")
BACKUP_CHUNKS: Final = _personal("bchunks", "key of the chunks of a backup")
HISTORY_ROOT: Final = _personal("broot", "root hash of a conversation, and of all")
