"""What the other side lacks, against a plain model of sets."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from chat.delivery.heads import lacking


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
