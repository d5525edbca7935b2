"""The conversation of a person with itself, and the registers that its terminals share (SPEC §11.10)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final

from protocol import labels, primitives
from protocol.codec import Codec, check_ascending, encode
from protocol.errors import Malformed
from protocol.identity.names import check_name
from protocol.limits import STATE_VALUE_MAX
from protocol.messages import (
    STATE_BODY,
    ContactValue,
    PairingValue,
    PetnameValue,
    RegisterValue,
    SharedRelay,
    SharedSetting,
    StandingValue,
    StateBody,
    StateWrite,
    SwitchValue,
)
from protocol.pairing.handover import check_pairing
from protocol.relay.rendezvous import parse_relay


@lru_cache(maxsize=64)
def notes_of(person: bytes) -> bytes:
    """The id, 32 bytes, of the conversation of a person (id of 32 bytes) with itself."""
    return primitives.b2b(person, personal=labels.NOTES)


@lru_cache(maxsize=8_192)
def subject(what: bytes) -> bytes:
    """What a register is about, 32 bytes: a person id, a pairing root, or a text in UTF-8.

    A hash: a removal, or a retired pairing, must not keep what it takes away. A deletion is about an entry,
    whose id is a hash itself.
    """
    return primitives.b2b(what, personal=labels.REGISTER)


class Register(IntEnum):
    """What a write is of. Others belong to later versions and change nothing."""

    CONTACT = 1
    PETNAME = 2
    BLOCKED = 3
    STANDING = 4
    PAIRING = 5
    RETIRED = 6
    SETTING = 7
    RELAY = 8
    DELETED = 9
    PINNED = 10
    MUTED = 11


SWITCHES: Final = frozenset({Register.BLOCKED, Register.PINNED, Register.MUTED})
"""Registers that say of a contact whether something is on."""

OF_CONTACT: Final = SWITCHES | {Register.CONTACT, Register.PETNAME, Register.STANDING}
"""Registers about a contact, who is destroyed in the entries that say so when it is removed."""

REMOVABLE: Final = frozenset({Register.CONTACT, Register.RELAY})
"""Registers of which an empty value takes away what was there."""

BARE: Final = frozenset({Register.RETIRED, Register.DELETED})
"""Registers without values, which hold for good once they are written."""


def _check_petname(value: PetnameValue) -> None:
    if value.name:
        check_name(value.name)


def _check_standing(value: StandingValue) -> None:
    check_ascending(value.confirmed)
    for comparison in value.comparison:
        check_ascending(comparison.terminals)


def _check_pairing(value: PairingValue) -> None:
    check_pairing(value.pairing)
    check_ascending(value.supersedes)


def _check_relay(value: SharedRelay) -> None:
    parse_relay(value.address)


_VALUES: Final[Mapping[int, Codec[RegisterValue]]] = {
    register: Codec(kind, STATE_VALUE_MAX)
    for register, kind in (
        (Register.CONTACT, ContactValue),
        (Register.PETNAME, PetnameValue),
        *((switch, SwitchValue) for switch in SWITCHES),
        (Register.STANDING, StandingValue),
        (Register.PAIRING, PairingValue),
        (Register.SETTING, SharedSetting),
        (Register.RELAY, SharedRelay),
    )
}


def read_value(register: int, value: bytes) -> RegisterValue | None:
    """The value of a write; None for an empty one, and for a register of a later version. Malformed."""
    if register in BARE and value:
        raise Malformed("a retired pairing or a deletion with a value")
    codec = _VALUES.get(register)
    if codec is None or (register in REMOVABLE and not value):
        return None
    read = codec.decode(value)
    match read:
        case PetnameValue():
            _check_petname(read)
        case StandingValue():
            _check_standing(read)
        case PairingValue():
            _check_pairing(read)
        case SharedRelay():
            _check_relay(read)
        case _:
            pass
    return read


def about(value: RegisterValue) -> bytes | None:
    """What a value says itself that it is about, None where only its write says so."""
    match value:
        case ContactValue(person=person):
            return subject(person)
        case PairingValue(pairing=pairing):
            return subject(pairing.root)
        case SharedSetting(name=name):
            return subject(name.encode())
        case SharedRelay(address=address):
            return subject(address.encode())
        case _:
            return None


def write(register: Register, what: bytes, value: RegisterValue | None = None) -> StateWrite:
    """A write of what a person id, a root or a text in UTF-8 has; without a value it is taken away."""
    return StateWrite(int(register), subject(what), b"" if value is None else encode(value))


def deletion(entry: bytes) -> StateWrite:
    """A write that deletes an entry, by its id of 32 bytes, on all terminals of the person."""
    return StateWrite(int(Register.DELETED), entry, b"")


def state_body(writes: Iterable[StateWrite]) -> bytes:
    """The body of an entry of kind state, of writes in any order."""
    return encode(StateBody(sorted(writes, key=_place)))


def _place(one: StateWrite) -> tuple[int, bytes]:
    return one.register, one.of


def read_state(body: bytes) -> StateBody:
    """Parse the body of an entry of kind state. Errors: Malformed, LimitExceeded."""
    decoded = STATE_BODY.decode(body)
    if any(_place(one) >= _place(other) for one, other in pairwise(decoded.writes)):
        raise Malformed("writes are not ascending")
    for one in decoded.writes:
        value = read_value(one.register, one.value)
        said = None if value is None else about(value)
        if said is not None and said != one.of:
            raise Malformed("a write of another register than its value")
        # It is destroyed whole when the pairing is retired.
        if one.register == Register.PAIRING and len(decoded.writes) > 1:
            raise Malformed("a pairing with another write")
    # Other writes are destroyed with what they are about, and a deletion must reach a terminal to come.
    if len({one.register == Register.DELETED for one in decoded.writes}) > 1:
        raise Malformed("a deletion with a write of another register")
    if len({one.of for one in decoded.writes if one.register in OF_CONTACT}) > 1:
        raise Malformed("writes about two contacts")
    return decoded


# --- The values in force ---


def in_force(
    entries: Mapping[bytes, StateBody], order: Iterable[bytes], apart: Collection[bytes] = ()
) -> dict[tuple[int, bytes], bytes]:
    """The value in force of each register: that of the last write in the order of the notes that counts.

    `entries` by id are those with their body, `order` ids of all, `apart` of those that do not count. An
    empty value is one, too. A database that follows each write as it comes must agree.
    """
    found = dict[tuple[int, bytes], bytes]()
    for entry in order:
        if entry in apart or entry not in entries:
            continue
        for one in entries[entry].writes:
            found[one.register, one.of] = one.value
    return found
