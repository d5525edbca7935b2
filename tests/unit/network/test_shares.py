"""Fair shares of a bounded set of keys."""

from __future__ import annotations

import pytest

from chat.network.limits import FairShares


def full(bound: int = 8) -> FairShares:
    shares = FairShares(bound)
    shares.add("honest", "neighbour")
    for number in range(bound - 1):
        shares.add(f"n{number}", "flooder")
    return shares


def test_attack_16_the_source_with_the_most_keys_loses_its_oldest() -> None:
    shares = full()
    for number in range(7, 100):
        assert shares.add(f"n{number}", "flooder") == f"n{number - 7}"
    assert shares.add("late", "latecomer") == "n93"
    assert "honest" in shares
    assert "late" in shares
    assert len(shares) == 8


def test_a_source_that_has_as_many_as_any_other_evicts_its_own() -> None:
    shares = FairShares(4)
    for key in ("a1", "a2", "b1", "b2"):
        shares.add(key, key[0])
    assert shares.add("b3", "b") == "b1"
    assert shares.add("c1", "c") == "a1"


def test_a_key_that_is_there_keeps_its_source_and_place() -> None:
    shares = full()
    assert shares.add("honest", "flooder") is None
    shares.add("n7", "flooder")
    assert "honest" in shares


def test_sources_take_turns() -> None:
    shares = full(4)
    assert [shares.take(newest=True) for _ in range(4)] == ["honest", "n2", "n1", "n0"]
    shares = full(4)
    assert [shares.take(newest=False) for _ in range(4)] == ["honest", "n0", "n1", "n2"]
    with pytest.raises(KeyError):
        shares.take(newest=True)


def test_what_is_removed_makes_room() -> None:
    shares = full()
    shares.remove("n0")
    shares.remove("never there")
    assert shares.add("n7", "flooder") is None
    shares.clear()
    assert len(shares) == 0
    assert shares.add("honest", "neighbour") is None
