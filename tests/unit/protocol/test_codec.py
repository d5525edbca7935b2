"""The first elements of an array of a later version: each has one encoding, as in the forms of this one."""

from __future__ import annotations

import pytest

from protocol.codec import Beginning, encode
from protocol.errors import Malformed


@pytest.mark.parametrize("number", [0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1])
def test_an_integer_of_any_size_is_read(number: int) -> None:
    beginning = Beginning(encode([number, b"opaque"]))
    assert (beginning.array(), beginning.integer()) == (2, number)


@pytest.mark.parametrize(
    "wrong",
    ["cc7f", "cd00ff", "ce0000ffff", "cf0000000100000000", "d0ff", "ff", "a0", "cc", "cd01", "ce010000"],
)
def test_an_integer_has_its_shortest_encoding(wrong: str) -> None:
    with pytest.raises(Malformed):
        Beginning(bytes.fromhex(wrong)).integer()


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_an_array_of_any_size_is_read(count: int) -> None:
    assert Beginning(encode([0] * count)).array() == count


@pytest.mark.parametrize("wrong", ["dc000f", "dd0000ffff", "dc00", "81", "a0", "c0", ""])
def test_an_array_has_its_shortest_encoding(wrong: str) -> None:
    with pytest.raises(Malformed):
        Beginning(bytes.fromhex(wrong)).array()


@pytest.mark.parametrize("wrong", ["c41f" + "00" * 32, "c421" + "00" * 33, "a0" * 34, "c420" + "00" * 31])
def test_an_id_has_32_bytes(wrong: str) -> None:
    assert Beginning(bytes.fromhex("c420" + "07" * 32)).id() == bytes([7]) * 32
    with pytest.raises(Malformed):
        Beginning(bytes.fromhex(wrong)).id()
