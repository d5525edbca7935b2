"""Entries (SPEC §11.1 to §11.4) beyond their vectors: ids, what texts show, order and heads."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol import limits
from protocol.entries_and_receipts import (
    KIND_TEXT,
    EntryPlace,
    Facts,
    ParsedEntry,
    conversation_of_two,
    cut_body,
    heads_hash,
    parse_ahead,
    parse_entry,
    rank,
    read_cut,
    read_text,
    text_body,
    write_entry,
)
from protocol.errors import AuthenticationFailed, LocalMisuse, ProtocolError
from protocol.history import check_page, lacking, named, on_page, pages
from protocol.limits import CUT_HEADS_MAX, TEXT_CHARACTERS_MAX
from protocol.messages import CutBody, CutHead, Entry, Head, TextBody
from tests.support.protocol.samples import flipped, seeded


def some(label: str) -> bytes:
    return seeded(label)(32)


ANNA, BOB, CAROL = (some(f"person {name}") for name in ("anna", "bob", "carol"))
KEY = some("self key")
CONVERSATION = conversation_of_two(ANNA, BOB)
TIME = 1_800_000_000_000


def written(text: str = "Hello", label: str = "entry") -> ParsedEntry:
    place = EntryPlace(CONVERSATION, some("terminal of bob"), bytes(8), None, [], [some("head of bob")])
    return write_entry(place, TIME, KIND_TEXT, text_body(text), KEY, seeded(label))


@pytest.mark.parametrize("reply", [b"x", bytes(31), bytes(33)])
def test_a_reply_carries_an_id_and_no_quotation(reply: bytes) -> None:
    with pytest.raises(LocalMisuse):
        text_body("Yes", reply)


@pytest.mark.parametrize("text", ["", "x" * (limits.TEXT_CHARACTERS_MAX + 1)])
def test_attack_36_a_text_of_a_wrong_length_is_not_written(text: str) -> None:
    with pytest.raises(LocalMisuse):
        text_body(text)


def test_attack_37_a_duplicate_has_the_same_id() -> None:
    entry = written()
    assert parse_entry(entry.message()).id == entry.id
    assert written(label="another salt").id != entry.id


@given(st.data())
def test_attack_19_every_flipped_bit_of_an_entry_is_refused_or_another_entry(data: st.DataObject) -> None:
    """A flip in salt or body never passes; one in the header makes an entry of another id, or none."""
    entry = written()
    parts = [entry.header_bytes, entry.salt, entry.body]
    which = data.draw(st.integers(0, 2))
    place = data.draw(st.integers(0, 8 * len(parts[which]) - 1))
    parts[which] = flipped(parts[which], place)
    if which:
        with pytest.raises(AuthenticationFailed):
            parse_entry(Entry(*parts))
        return
    try:
        other = parse_entry(Entry(*parts))
    except ProtocolError:
        return
    assert other.id != entry.id


def test_an_entry_that_was_parsed_ahead_is_the_same_and_a_wrong_one_is_refused_in_its_turn() -> None:
    entry = written()
    message = entry.message()
    ahead = parse_ahead(message)
    assert (ahead.header, ahead.salt, ahead.body) == (message.header, message.salt, message.body)
    assert parse_entry(ahead) == parse_entry(message)
    assert str(entry.body) not in repr(ahead)
    wrong = parse_ahead(Entry(message.header, message.salt, message.body + b"x"))
    with pytest.raises(AuthenticationFailed):
        parse_entry(wrong)


def test_a_deleted_body_confirms_no_guess() -> None:
    """The same text twice has two content hashes: what remains of a deleted entry cannot be tried out."""
    assert written(label="a").header.content != written(label="b").header.content


def test_neither_salt_nor_body_is_in_a_text() -> None:
    entry = written(text="needle in a haystack")
    assert "needle" not in repr(entry)
    assert repr(entry.salt) not in repr(entry)


def test_the_self_key_is_in_no_text() -> None:
    assert repr(KEY) not in repr(Facts(ANNA, set(), BOB, set(), BOB, [KEY], True))


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


AUTHORS = st.sampled_from([bytes([number]) * 32 for number in range(150)])
HEADS = st.lists(
    st.builds(Head, AUTHORS, st.integers(0, 9), st.binary(min_size=32, max_size=32)),
    max_size=600,
    unique_by=lambda head: (head.author, head.sequence, head.id),
)


def test_case_95_forks_of_one_author_leave_every_other_author_in_the_heads() -> None:
    forks = [Head(bytes(32), 1, bytes([number // 256, number % 256]) + bytes(30)) for number in range(300)]
    honest = [Head(bytes([author]) * 32, 9, some("head")) for author in range(1, 50)]
    (page,) = pages(CONVERSATION, [*forks, *honest])
    assert page.heads == [*forks[-4:], *honest]


MANY = [
    Head(bytes([author]) * 32, 7, bytes([author, fork]) * 16) for author in range(150) for fork in range(4)
]


@given(HEADS)
@example(MANY)
def test_pages_name_four_heads_of_each_author_and_cover_each_author_once(heads: list[Head]) -> None:
    made = pages(CONVERSATION, heads)
    for page in made:
        check_page(page)
        assert len(page.heads) <= limits.HEADS_MAX
        assert on_page(page, named(heads)) == page.heads
    assert [head for page in made for head in page.heads] == named(heads)
    assert [page.more for page in made] == [True] * (len(made) - 1) + [False]
    assert len(made) <= 1 + len(named(heads)) // (limits.HEADS_MAX - 3)
    everybody = [Head(bytes([author]) * 32, 1, some("any")) for author in range(256)]
    covered = [head for page in made for head in on_page(page, everybody)]
    assert covered == everybody[1 if made[0].after else 0 :]


def test_what_both_sides_name_is_the_same_once_each_has_what_the_other_named() -> None:
    """Forks beyond the four of an author are sent for no heads, so that the comparison ends."""
    forks = [Head(bytes(32), number % 3, bytes([number]) * 32) for number in range(20)]
    mine, theirs = forks[::2], forks[1::2]
    assert named([*mine, *named(theirs)]) == named([*theirs, *named(mine)]) == named(forks)


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


def test_a_chain_ends_before_a_sequence_that_is_not_lower() -> None:
    """Many entries after one, each with a sequence below that of the chain under them."""
    forest = Forest({n.to_bytes(2, "big"): (1_000 + n, (n - 1).to_bytes(2, "big")) for n in range(1, 100)})
    heads = [b"head %d" % number for number in range(100)]
    forest.places |= {head: (900 - number, (99).to_bytes(2, "big")) for number, head in enumerate(heads)}
    forest.places[(1).to_bytes(2, "big")] = (1_001, b"")
    found = lacking(heads, [], forest)
    assert sorted(found) == sorted(heads)
    assert forest.looked <= 2 * len(forest.places)


def test_the_longest_text_and_the_largest_cut_are_read_as_they_were_written() -> None:
    text, reply = "x" * TEXT_CHARACTERS_MAX, bytes(32)
    assert read_text(text_body(text, reply)) == TextBody(text, reply)
    heads = [CutHead(bytes(8), number, bytes([number]) * 32) for number in range(CUT_HEADS_MAX)]
    assert read_cut(cut_body(bytes(32), heads[::-1])) == CutBody(bytes(32), heads)
