"""Entries (SPEC §11.1 to §11.4): form, ids, deletion, whose entries count, order and heads."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol import limits
from protocol.codec import encode
from protocol.entries import (
    KIND_TEXT,
    EntryPlace,
    Facts,
    ParsedEntry,
    accept_entry,
    conversation_of_two,
    heads_hash,
    parse_entry,
    rank,
    read_text,
    text_body,
    write_entry,
)
from protocol.errors import (
    AuthenticationFailed,
    LimitExceeded,
    LocalMisuse,
    Malformed,
    ProtocolError,
    Untrusted,
)
from protocol.history import lacking
from protocol.messages import Entry, Head
from tests.support.protocol.samples import seeded


def some(label: str) -> bytes:
    return seeded(label)(32)


ANNA, BOB, CAROL = (some(f"person {name}") for name in ("anna", "bob", "carol"))
ANNA_TERMINAL, BOB_TERMINAL, CAROL_TERMINAL = (some(f"terminal {name}") for name in ("anna", "bob", "carol"))
ANNA_KEY, BOB_KEY = some("self key anna"), some("self key bob")
CONVERSATION = conversation_of_two(ANNA, BOB)
TIME = 1_800_000_000_000


def place(
    author: bytes = BOB_TERMINAL, previous: tuple[int, bytes] | None = None, **changed: object
) -> EntryPlace:
    values: dict[str, object] = {
        "conversation": CONVERSATION,
        "author": author,
        "incarnation": bytes(8),
        "previous": previous,
        "parents": [],
        "membership": [some("head of bob")],
    }
    return EntryPlace(**(values | changed))  # type: ignore[arg-type]


def written(
    at: EntryPlace | None = None, text: str = "Hello", key: bytes = BOB_KEY, label: str = "entry"
) -> ParsedEntry:
    return write_entry(at or place(), TIME, KIND_TEXT, text_body(text), key, seeded(label))


def facts(**changed: object) -> Facts:
    """What Anna's terminal knows about a link with Bob's."""
    values: dict[str, object] = {
        "own_person": ANNA,
        "own_terminals": {ANNA_TERMINAL},
        "contact": BOB,
        "contact_terminals": {BOB_TERMINAL},
        "carrier": BOB,
        "self_key": ANNA_KEY,
        "welcome": True,
    }
    return Facts(**(values | changed))  # type: ignore[arg-type]


# --- Writing and reading ---


def test_a_reply_carries_an_id_and_no_quotation() -> None:
    answered = written()
    assert read_text(text_body("Yes", answered.id)).reply == answered.id
    for wrong in (b"x", bytes(31), bytes(33)):
        with pytest.raises(LocalMisuse):
            text_body("Yes", wrong)
        with pytest.raises(Malformed):
            read_text(encode(["Yes", wrong]))


@pytest.mark.parametrize("text", ["", "x" * (limits.TEXT_CHARACTERS_MAX + 1)])
def test_attack_36_a_text_of_a_wrong_length_is_refused(text: str) -> None:
    with pytest.raises(LocalMisuse):
        text_body(text)
    with pytest.raises(Malformed):
        read_text(encode([text, b""]))
    entry = Entry(written().header_bytes, bytes(16), bytes(limits.BODY_BYTES_MAX + 1))
    with pytest.raises(ProtocolError):
        parse_entry(entry)


# --- Form ---


def test_attack_36_a_header_too_long_is_refused_unread() -> None:
    with pytest.raises(LimitExceeded):
        parse_entry(Entry(bytes(limits.HEADER_BYTES_MAX + 1), b"", b""))


def test_attack_37_the_same_header_in_other_bytes_is_refused() -> None:
    """A second encoding would be a second id of one content."""
    entry = written()
    assert entry.header_bytes.count(b"\x01") >= 1
    longer = entry.header_bytes.replace(encode(TIME), b"\xd3" + TIME.to_bytes(8, "big"))
    assert longer != entry.header_bytes
    for other in (longer, entry.header_bytes + b"\x00", b"\xdc\x00\x0b" + entry.header_bytes[1:]):
        with pytest.raises(Malformed):
            parse_entry(Entry(other, entry.salt, entry.body))
    body = b"\xdc\x00\x02" + entry.body[1:]
    with pytest.raises(ProtocolError):
        read_text(body)


def test_attack_37_a_duplicate_has_the_same_id() -> None:
    entry = written()
    assert parse_entry(entry.message()).id == entry.id
    assert written(label="entry").id == entry.id
    assert written(label="another salt").id != entry.id


@given(st.data())
def test_attack_19_every_flipped_bit_of_an_entry_is_refused_or_another_entry(data: st.DataObject) -> None:
    """A flip in salt or body never passes; one in the header makes an entry of another id, or none."""
    entry = written()
    parts = [entry.header_bytes, entry.salt, entry.body]
    which = data.draw(st.integers(0, 2))
    place = data.draw(st.integers(0, 8 * len(parts[which]) - 1))
    flipped = bytearray(parts[which])
    flipped[place // 8] ^= 1 << place % 8
    parts[which] = bytes(flipped)
    if which:
        with pytest.raises(AuthenticationFailed):
            parse_entry(Entry(*parts))
        return
    try:
        other = parse_entry(Entry(*parts))
    except ProtocolError:
        return
    assert other.id != entry.id


# --- Deletion ---


def test_a_deleted_entry_keeps_its_id_and_its_place() -> None:
    entry = written()
    deleted = parse_entry(Entry(entry.header_bytes, b"", b""))
    assert deleted.deleted
    assert not entry.deleted
    assert deleted.id == entry.id
    accept_entry(deleted, facts())


def test_a_deleted_body_confirms_no_guess() -> None:
    """The same text twice has two content hashes: what remains of a deleted entry cannot be tried out."""
    assert written(label="a").header.content != written(label="b").header.content


def test_neither_salt_nor_body_is_in_a_text() -> None:
    entry = written(text="needle in a haystack")
    assert "needle" not in repr(entry)
    assert repr(entry.salt) not in repr(entry)


# --- Whose entries count ---


def test_attack_38_a_contact_cannot_hand_over_entries_of_a_third() -> None:
    with pytest.raises(Untrusted):
        accept_entry(written(place(CAROL_TERMINAL)), facts())


def test_attack_38_a_third_cannot_hand_over_a_contacts_entries() -> None:
    with pytest.raises(Untrusted):
        accept_entry(written(), facts(carrier=CAROL))


def test_nothing_is_taken_from_somebody_who_is_no_contact_any_more() -> None:
    with pytest.raises(Untrusted):
        accept_entry(written(), facts(welcome=False))


def test_attack_38_a_contact_cannot_invent_entries_of_ones_own() -> None:
    """Only the person's own key makes the tag; without it an own entry that comes back does not count."""
    forged = written(place(ANNA_TERMINAL), key=BOB_KEY)
    with pytest.raises(AuthenticationFailed):
        accept_entry(forged, facts())
    own = written(place(ANNA_TERMINAL), key=ANNA_KEY)
    accept_entry(own, facts())


def test_attack_38_a_tag_of_another_entry_does_not_serve() -> None:
    own = written(place(ANNA_TERMINAL), key=ANNA_KEY)
    other = written(place(ANNA_TERMINAL), text="I owe you", key=BOB_KEY, label="forged")
    stolen = encode(replace(other.header, self_tag=own.header.self_tag))
    with pytest.raises(AuthenticationFailed):
        accept_entry(parse_entry(Entry(stolen, other.salt, other.body)), facts())


def test_attack_15_entries_of_a_terminal_that_is_not_live_do_not_count() -> None:
    for live in (set(), {some("a new terminal")}):
        with pytest.raises(Untrusted):
            accept_entry(written(), facts(contact_terminals=live))


def test_attack_38_an_entry_of_another_conversation_is_refused() -> None:
    elsewhere = conversation_of_two(BOB, CAROL)
    with pytest.raises(Untrusted):
        accept_entry(written(place(conversation=elsewhere)), facts())


def test_the_self_key_is_in_no_text() -> None:
    assert repr(ANNA_KEY) not in repr(facts())


# --- Order and heads ---


def test_attack_41_a_clock_set_back_does_not_turn_answers_around() -> None:
    year = 365 * 86_400_000
    question = rank(TIME + year, [])
    answer = rank(TIME, [question])
    assert answer == question + 1
    assert rank(TIME + 2 * year, [question, answer]) == TIME + 2 * year
    assert rank(0, []) == 0


@given(st.lists(st.tuples(st.integers(0, 50), st.sets(st.integers(0, 20), max_size=3)), max_size=20))
def test_the_order_is_causal_whatever_the_clocks_say(shape: list[tuple[int, set[int]]]) -> None:
    ranks: list[int] = []
    for index, (time, links) in enumerate(shape):
        ranks.append(rank(time, [ranks[link] for link in links if link < index]))
    for index, (time, links) in enumerate(shape):
        assert ranks[index] >= time
        assert all(ranks[link] < ranks[index] for link in links if link < index)


def test_the_hash_of_heads_knows_no_order_and_every_difference() -> None:
    heads = [Head(some("a"), 3, some("x")), Head(some("b"), 1, some("y")), Head(some("b"), 1, some("z"))]
    hashes = {heads_hash(CONVERSATION, list(order)) for order in itertools.permutations(heads)}
    assert len(hashes) == 1
    others = [
        heads_hash(conversation_of_two(ANNA, CAROL), heads),
        heads_hash(CONVERSATION, heads[:2]),
        heads_hash(CONVERSATION, [replace(heads[0], sequence=4), *heads[1:]]),
        heads_hash(CONVERSATION, []),
    ]
    assert len({*hashes, *others}) == 5


@dataclass
class Forest:
    """Chains that may fork; `looked` counts the entries that were looked up."""

    places: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    looked: int = 0

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        self.looked += 1
        return self.places.get(entry)


def test_the_cost_is_the_difference_and_not_the_history() -> None:
    forest = Forest(
        {n.to_bytes(4, "big"): (n, (n - 1).to_bytes(4, "big") if n > 1 else b"") for n in range(1, 10_001)}
    )
    found = lacking([(10_000).to_bytes(4, "big")], [(9_990).to_bytes(4, "big")], forest)
    assert len(found) == 10
    assert forest.looked < 30


def test_a_chain_whose_sequences_lie_is_walked_once() -> None:
    """Many entries after one, each with a sequence below that of the chain under them."""
    forest = Forest({n.to_bytes(2, "big"): (1_000 + n, (n - 1).to_bytes(2, "big")) for n in range(1, 100)})
    heads = [b"head %d" % number for number in range(100)]
    forest.places |= {head: (900 - number, (99).to_bytes(2, "big")) for number, head in enumerate(heads)}
    forest.places[(1).to_bytes(2, "big")] = (1_001, b"")
    found = lacking(heads, [], forest)
    assert sorted(found) == sorted(forest.places)
    assert forest.looked <= 2 * len(forest.places)
