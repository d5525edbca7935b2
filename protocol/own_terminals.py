"""What the terminals of one person pass on to each other: digests, and receipts of others (SPEC §7.8)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Set
from enum import Enum
from itertools import groupby
from typing import Final, NamedTuple

from protocol import labels, primitives
from protocol.codec import check_ascending, encode
from protocol.entries_and_receipts import READ, STORED
from protocol.errors import Unexpected
from protocol.identity.reduction import PersonState
from protocol.limits import RECEIPT_IDS_MAX
from protocol.messages import (
    Digests,
    HeadsHash,
    Message,
    PassedReceipt,
    Receipt,
    RenewedShare,
    SignedEntry,
    Typing,
)

READ_UNTOLD: Final = 3
"""Kind of a read mark of which the contact is not told."""

NOT_HELD: Final = 4
"""Kind of the statement of a terminal that does not hold the bodies of some entries."""


class Standing(Enum):
    """Which link a caller has that knows a secret of the person (SPEC §7.8.2)."""

    LIVE = "live"
    PROVISIONAL = "provisional"
    REMOVED = "removed"
    STRANGER = "stranger"


def doubted(log: PersonState, confirmed: Set[bytes]) -> set[bytes]:
    """Ids of the terminals that could be a thief's, by the operations (ids) that this person confirmed.

    A recovery that is not confirmed brought them in, or one of these terminals did.
    """
    recoveries = frozenset(log.path) - confirmed
    found = set[bytes]()
    for one in sorted(log.terminals(), key=lambda terminal: terminal.rank) if recoveries else ():
        if one.operation not in confirmed and (one.operation in recoveries or one.adder in found):
            found.add(one.id)
    return found


def standing(log: PersonState, confirmed: Set[bytes], own_static: bytes, static: bytes) -> Standing:
    """That of a static key, by the log of its person and the ids of the operations in it that are confirmed.

    Keys have 32 bytes.
    """
    if static == own_static:
        return Standing.STRANGER
    # Several may claim one key: a terminal that was never added together with another one, and removed.
    known = {one.id for one in log.terminals() if one.static == static}
    if sure := known & log.live.keys():
        return Standing.PROVISIONAL if sure <= doubted(log, confirmed) else Standing.LIVE
    return Standing.REMOVED if known else Standing.PROVISIONAL


class Mark(NamedTuple):
    """A terminal (id) has stored an entry (id), or its person has read it: kind STORED, READ, READ_UNTOLD."""

    entry: bytes
    terminal: bytes
    kind: int


def marks_hash(conversation: bytes, marks: Iterable[Mark]) -> bytes:
    """The hash, 32 bytes, of marks in any order."""
    ordered = sorted(set(marks))
    return primitives.b2b(conversation + encode(ordered), personal=labels.OWN_MARKS)


def passed_receipts(conversation: bytes, marks: Iterable[Mark]) -> list[PassedReceipt]:
    """The marks in messages: one per terminal and kind, or more for over RECEIPT_IDS_MAX entries."""
    said = list[PassedReceipt]()
    ordered = sorted(set(marks), key=lambda mark: (mark.terminal, mark.kind, mark.entry))
    for (terminal, kind), some in groupby(ordered, key=lambda mark: (mark.terminal, mark.kind)):
        ids = [mark.entry for mark in some]
        for start in range(0, len(ids), RECEIPT_IDS_MAX):
            said.append(PassedReceipt(conversation, terminal, kind, ids[start : start + RECEIPT_IDS_MAX]))
    return said


class Passed(Enum):
    """What a receipt that an own terminal passed on says here."""

    RECEIPT = "the contact's terminal has the entries of this person"
    READING = "this person has read the entries of the contact"
    NOTHING = "nothing"


def check_place(message: Message, *, own: bool) -> None:
    """Unexpected unless it may come on a link of own terminals, or on one with a contact (V-MS-05)."""
    if isinstance(message, Digests | PassedReceipt | SignedEntry):
        misplaced = not own
    else:
        told = isinstance(message, Receipt) and message.kind == READ
        misplaced = own and (told or isinstance(message, HeadsHash | Typing | RenewedShare))
    if misplaced:
        raise Unexpected("a message that has no place on this link")


def check_digests(message: Digests) -> None:
    """Malformed unless the conversations are strictly ascending (V-DG-01)."""
    check_ascending([one.conversation for one in message.digests])


def check_passed(message: PassedReceipt) -> None:
    """Malformed unless the ids are strictly ascending (V-PR-01)."""
    check_ascending(message.ids)


def accept_passed(message: PassedReceipt, own: Collection[bytes], contact: Collection[bytes]) -> Passed:
    """What it says. `own` and `contact`: ids of all terminals of the two persons, former ones included.

    A terminal in both is this person's. NOTHING for a terminal that no log names here, or a kind that it does
    not use.
    """
    if message.terminal in own:
        return Passed.READING if message.kind in (READ, READ_UNTOLD) else Passed.NOTHING
    told = message.terminal in contact and message.kind in (STORED, READ)
    return Passed.RECEIPT if told else Passed.NOTHING


def is_of_holding(message: PassedReceipt, receiver: bytes, sender: bytes) -> bool:
    """Whether it asks what its receiver holds, or says what its sender does (SPEC §7.8.4).

    `receiver` and `sender`: ids of the terminals at the ends of the link.
    """
    if message.kind == NOT_HELD:
        return message.terminal == sender
    return message.kind == STORED and message.terminal in (receiver, sender)


_AN_ID: Final = re.compile("[0-9a-f]{64}")


def keeper(value: str, live: Collection[bytes]) -> bytes:
    """The id of the terminal that the setting `keeper` names, b"" if it names none of the `live` ones."""
    named = bytes.fromhex(value) if _AN_ID.fullmatch(value) else b""
    return named if named in live else b""
