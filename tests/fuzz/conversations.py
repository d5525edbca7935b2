"""Targets of what contacts say: messages, entries and whether they count, heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol import messages as m
from protocol.codec import encode
from protocol.entries_and_receipts import (
    KIND_TEXT,
    EntryPlace,
    Facts,
    ParsedEntry,
    accept_entry,
    conversation_of_two,
    heads_hash,
    parse_entry,
    text_body,
    write_entry,
)
from protocol.errors import Malformed, ProtocolError
from protocol.history import check_page, lacking, named, pages
from protocol.notes import Register, deletion, read_state, state_body, write
from protocol.own_terminals import (
    Mark,
    Passed,
    accept_passed,
    check_digests,
    check_passed,
    check_place,
    marks_hash,
    passed_receipts,
)
from tests.fuzz.target import Target, drawn, of_codec, published

OWN, CONTACT, OWN_TERMINAL, CONTACT_TERMINAL, SELF_KEY = (
    drawn("conversation")(32 * n)[-32:] for n in range(1, 6)
)
CONVERSATION: Final = conversation_of_two(OWN, CONTACT)
FACTS: Final = Facts(OWN, {OWN_TERMINAL}, CONTACT, {CONTACT_TERMINAL}, CONTACT, [SELF_KEY], True)


def _entry(data: bytes) -> ParsedEntry:
    message = m.MESSAGE.decode(data)
    if not isinstance(message, m.Entry):
        raise Malformed("not an entry")
    entry = parse_entry(message)
    accept_entry(entry, FACTS)
    return entry


def _entries() -> dict[str, bytes]:
    draw = drawn("entries")
    found = {}
    for name, author in (("own", OWN_TERMINAL), ("contacts", CONTACT_TERMINAL)):
        place = EntryPlace(CONVERSATION, author, draw(8), (1, draw(32)), [draw(32)], [draw(32)])
        entry = write_entry(place, 1_795_000_000_000, KIND_TEXT, text_body("Good morning"), SELF_KEY, draw)
        found[name] = encode(entry.message())
        found[f"{name}-deleted"] = encode(m.Entry(entry.header_bytes, b"", b""))
    return found


ENTRY_SIZE: Final = 2


class History:
    """Entries from a script, two bytes each: its sequence, and how far back its previous entry stands.

    A sequence up to 127 is the right one, a higher one a lie, as a contact may tell it. Ids are the places.
    """

    def __init__(self, data: bytes) -> None:
        self.places: dict[bytes, tuple[int, bytes]] = {}
        self.looked = 0
        for number, start in enumerate(range(0, len(data) - ENTRY_SIZE + 1, ENTRY_SIZE)):
            sequence, back = data[start : start + ENTRY_SIZE]
            previous = self.named(max(0, number - back)) if number and back else b""
            right = 1 + (self.places[previous][0] if previous else 0)
            self.places[self.named(number)] = (sequence if sequence > 0x7F else right, previous)

    @staticmethod
    def named(number: int) -> bytes:
        return number.to_bytes(32, "big")

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        self.looked += 1
        return self.places.get(entry)

    def chains(self, heads: list[bytes]) -> set[bytes]:
        """All held entries in the chains of these."""
        seen: set[bytes] = set()
        for entry in heads:
            above = 2**53
            while entry in self.places and entry not in seen and self.places[entry][0] < above:
                seen.add(entry)
                above, entry = self.places[entry]
        return seen


def _heads(data: bytes) -> list[bytes]:
    """Two counts of heads, the places of both, then the history."""
    counts = [count % 8 for count in data[:2].ljust(2, b"\0")]
    mine, theirs = data[2 : 2 + counts[0]], data[2 + counts[0] : 2 + sum(counts)]
    history = History(data[2 + sum(counts) :])
    own, other = ([history.named(place) for place in places] for places in (mine, theirs))
    found = lacking(own, other, history)
    assert len(found) == len(set(found))
    assert history.looked <= len(own) + len(other) + len(history.places)
    assert set(found) == history.chains(own) - history.chains(other)
    heads = [m.Head(entry, sequence, entry) for entry, (sequence, _) in history.places.items()]
    assert heads_hash(CONVERSATION, heads) == heads_hash(CONVERSATION, heads[::-1])
    told = pages(CONVERSATION, heads)
    for page in told:
        check_page(page)
    assert [head for page in told for head in page.heads] == named(heads)
    return found


def _histories() -> dict[str, bytes]:
    chain = bytes((0, 0)) + bytes((0, 1)) * 9
    return {
        "one-chain": bytes((1, 1, 9, 3)) + chain,
        "forked": bytes((2, 2, 8, 9, 2, 99)) + chain[:8] + bytes((0, 2)) * 6,
        "lying": bytes((3, 1, 4, 5, 6, 1)) + bytes((0, 0, 200, 1, 255, 1, 220, 1, 210, 2, 190, 3, 180, 4)),
    }


def _passed(data: bytes) -> m.Message:
    """What own terminals pass on: digests, and receipts of others."""
    message = m.MESSAGE.decode(data)
    check_place(message, own=True)
    if isinstance(message, m.Digests):
        check_digests(message)
    elif isinstance(message, m.PassedReceipt):
        check_passed(message)
        says = accept_passed(message, {OWN_TERMINAL}, {CONTACT_TERMINAL})
        assert says is Passed.NOTHING or message.terminal in (OWN_TERMINAL, CONTACT_TERMINAL)
        marks = [Mark(entry, message.terminal, message.kind) for entry in message.ids]
        assert passed_receipts(message.conversation, marks[::-1]) == [message]
        assert marks_hash(CONVERSATION, marks) == marks_hash(CONVERSATION, marks[::-1])
    return message


def _passed_on() -> dict[str, bytes]:
    draw = drawn("passed on")
    ids = sorted(draw(32) for _ in range(3))
    digests = [m.Digest(entry, draw(32), draw(32), 70_000, 2, entry == ids[0]) for entry in ids]
    return {
        "digests": encode(m.Digests(digests)),
        "stored": encode(m.PassedReceipt(CONVERSATION, CONTACT_TERMINAL, 1, ids)),
        "read": encode(m.PassedReceipt(CONVERSATION, OWN_TERMINAL, 3, ids)),
        "of-nobody": encode(m.PassedReceipt(CONVERSATION, draw(32), 2, ids[:1])),
        "not-held": encode(m.PassedReceipt(CONVERSATION, OWN_TERMINAL, 4, ids)),
    }


def _state(data: bytes) -> m.StateBody:
    """What a terminal of this person writes into the notes, with the value of each register."""
    state = read_state(data)
    deletions = [one for one in state.writes if one.register == Register.DELETED]
    assert len(deletions) in (0, len(state.writes))
    assert not any(one.value for one in deletions)
    return state


def _states() -> dict[str, bytes]:
    draw = drawn("states")
    person = draw(32)
    facts = [
        write(Register.CONTACT, person, m.ContactValue(person, 1_795_000_000_000)),
        write(Register.PETNAME, person, m.PetnameValue("Cleo")),
        write(Register.BLOCKED, person, m.SwitchValue(False)),
        write(Register.PINNED, person, m.SwitchValue(True)),
        write(Register.MUTED, person, m.SwitchValue(False)),
    ]
    return {
        "contact": state_body(facts),
        "removed": state_body([write(Register.CONTACT, person), write(Register.RETIRED, draw(32))]),
        "pinned": state_body([write(Register.PINNED, person, m.SwitchValue(True))]),
        "muted": state_body([write(Register.MUTED, person, m.SwitchValue(True))]),
        "deleted": state_body([deletion(draw(32))]),
        "two-deleted": state_body([deletion(draw(32)), deletion(draw(32))]),
        "later": state_body([m.StateWrite(200, draw(32), b"later")]),
    }


TARGETS: Final[Mapping[str, Target]] = {
    "message": of_codec(m.MESSAGE, published("codec", "Value", "decode", "bytes", "message")),
    "entry-header": of_codec(m.ENTRY_HEADER, published("codec", "Value", "decode", "bytes", "EntryHeader")),
    "text-body": of_codec(m.TEXT_BODY, published("codec", "Value", "decode", "bytes", "TextBody")),
    "cut-body": of_codec(m.CUT_BODY, published("codec", "Value", "decode", "bytes", "CutBody")),
    "timer-body": of_codec(m.TIMER_BODY, published("codec", "Value", "decode", "bytes", "TimerBody")),
    "bot-body": of_codec(m.BOT_BODY, published("codec", "Value", "decode", "bytes", "BotBody")),
    "state-body": of_codec(m.STATE_BODY, published("codec", "Value", "decode", "bytes", "StateBody")),
    "state": Target(_state, (ProtocolError,), _states, lambda state: state_body(state.writes)),
    "delete-body": of_codec(m.DELETE_BODY, published("codec", "Value", "decode", "bytes", "DeleteBody")),
    "edit-body": of_codec(m.EDIT_BODY, published("codec", "Value", "decode", "bytes", "EditBody")),
    "entry": Target(_entry, (ProtocolError,), _entries, lambda entry: encode(entry.message())),
    "heads": Target(_heads, (), _histories),
    "passed-on": Target(_passed, (ProtocolError,), _passed_on, encode),
}
