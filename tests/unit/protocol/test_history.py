"""Order, tips and heads by hand; what the other side lacks, against a plain model of sets."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from protocol.history import heads, lacking, order, tips
from protocol.messages import EntryHeader, Head


@dataclass
class Forest:
    """Chains that may fork; `looked` counts the entries that were looked up."""

    places: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    looked: int = 0

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        self.looked += 1
        return self.places.get(entry)

    def past(self, heads: set[bytes]) -> set[bytes]:
        seen: set[bytes] = set()
        left = [head for head in heads if head in self.places]
        while left:
            entry = left.pop()
            if entry and entry not in seen:
                seen.add(entry)
                left.append(self.places[entry][1])
        return seen


@st.composite
def forests(draw: st.DrawFn) -> Forest:
    forest = Forest()
    for number in range(draw(st.integers(0, 30))):
        entry = number.to_bytes(2, "big") + b"e"
        previous = draw(st.sampled_from([b"", *forest.places]))
        sequence = forest.places[previous][0] + 1 if previous else 1
        forest.places[entry] = (sequence, previous)
    return forest


@given(st.data())
def test_lacking_is_the_difference_of_the_pasts(data: st.DataObject) -> None:
    forest = data.draw(forests())
    known = sorted(forest.places)
    choice = st.sets(st.sampled_from(known)) if known else st.just(set())
    mine, theirs = (
        data.draw(choice),
        data.draw(choice) | data.draw(st.sets(st.binary(min_size=4, max_size=4))),
    )
    found = lacking(mine, theirs, forest)
    assert set(found) == forest.past(mine) - forest.past(theirs)
    assert len(found) == len(set(found))


def test_the_cost_is_the_difference_and_not_the_history() -> None:
    forest = Forest(
        {n.to_bytes(4, "big"): (n, (n - 1).to_bytes(4, "big") if n > 1 else b"") for n in range(1, 10_001)}
    )
    found = lacking([(10_000).to_bytes(4, "big")], [(9_990).to_bytes(4, "big")], forest)
    assert len(found) == 10
    assert forest.looked < 30


def test_heads_that_are_not_held_cover_nothing() -> None:
    forest = Forest({b"a": (1, b""), b"b": (2, b"a")})
    assert set(lacking([b"b"], [b"unknown"], forest)) == {b"a", b"b"}


def test_a_chain_whose_sequences_lie_is_walked_once() -> None:
    """Many entries after one, each with a sequence below that of the chain under them."""
    forest = Forest({n.to_bytes(2, "big"): (1_000 + n, (n - 1).to_bytes(2, "big")) for n in range(1, 100)})
    heads = [b"head %d" % number for number in range(100)]
    forest.places |= {head: (900 - number, (99).to_bytes(2, "big")) for number, head in enumerate(heads)}
    forest.places[(1).to_bytes(2, "big")] = (1_001, b"")
    found = lacking(heads, [], forest)
    assert sorted(found) == sorted(forest.places)
    assert forest.looked <= 2 * len(forest.places)


def header(author: str, time: int, previous: bytes = b"", *parents: bytes, sequence: int = 1) -> EntryHeader:
    who = author.encode().ljust(32, b"\0")
    return EntryHeader(
        bytes(32), who, bytes(8), sequence, previous, list(parents), [bytes(32)], time, 1, bytes(32), b""
    )


ONE, TWO, THREE, FOUR = (bytes([n]) * 32 for n in range(1, 5))


def test_order_puts_an_answer_after_what_it_answers_whatever_its_clock_says() -> None:
    late, answer = header("anna", 100), header("bob", 5, b"", THREE)
    assert order({THREE: late, ONE: answer}) == [THREE, ONE]
    assert order({ONE: answer, TWO: header("bob", 5)}) == [ONE, TWO]
    assert order({THREE: late, ONE: answer, TWO: header("bob", 100)}) == [TWO, THREE, ONE]


def test_tips_and_heads_are_ends_of_all_and_of_each_author() -> None:
    held = {
        ONE: header("anna", 1),
        TWO: header("anna", 2, ONE, sequence=2),
        THREE: header("bob", 3, b"", TWO),
        FOUR: header("anna", 4, ONE, sequence=2),
    }
    assert tips(held) == [THREE, FOUR]
    anna, bob = held[ONE].author, held[THREE].author
    assert heads(held) == [Head(anna, 2, TWO), Head(anna, 2, FOUR), Head(bob, 1, THREE)]


def test_a_previous_of_another_author_leaves_that_author_its_head() -> None:
    held = {ONE: header("anna", 1), TWO: header("bob", 2, ONE, sequence=2)}
    assert tips(held) == [TWO]
    assert [head.id for head in heads(held)] == [ONE, TWO]
