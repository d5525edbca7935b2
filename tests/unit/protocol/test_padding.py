"""Padding: sizes seen on the wire, one padded form a content, and every other form refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalMisuse, Malformed
from protocol.limits import CONTENT_MAX, PADDED_MAX, PADDED_MIN
from protocol.link.framing import pad, padded_size, padme, unpad

# Padded sizes worked out by hand from Padmé's definition.
BY_HAND = [(0, 256), (254, 256), (255, 272), (270, 272), (271, 288), (1022, 1024), (1023, 1088)]


@pytest.mark.parametrize(("content", "padded"), BY_HAND)
def test_sizes_by_hand(content: int, padded: int) -> None:
    assert padded_size(content) == padded
    assert len(pad(bytes(content))) == padded


def test_padme_keeps_the_leading_bits_that_its_definition_says() -> None:
    """For L of E + 1 bits only the first S + 1 with S = floor(log2 E) + 1 may be set (Padmé)."""
    for size in range(2, 70_000):
        padded = padme(size)
        exponent = padded.bit_length() - 1
        free = exponent - exponent.bit_length()
        assert size <= padded
        assert padded % (1 << free) == 0
        assert padded == size or padme(padded) == padded


def test_overhead_is_at_most_twelve_percent() -> None:
    assert max(padme(size) / size for size in range(256, PADDED_MAX + 1)) < 1.12


def test_the_largest_content_fills_the_largest_payload() -> None:
    assert len(pad(bytes(CONTENT_MAX))) == PADDED_MAX
    with pytest.raises(LocalMisuse):
        pad(bytes(CONTENT_MAX + 1))


@given(st.binary(max_size=3_000))
def test_round_trip(content: bytes) -> None:
    assert unpad(pad(content)) == content


@given(st.integers(0, CONTENT_MAX))
def test_round_trip_of_every_size(size: int) -> None:
    content = b"\x01" * size
    padded = pad(content)
    assert len(padded) == padded_size(size) <= PADDED_MAX
    assert unpad(padded) == content


def test_attack_29_few_sizes_are_seen() -> None:
    """All contents up to 254 bytes look alike, and of 61,439 sizes under 150 are left."""
    sizes = {padded_size(size) for size in range(CONTENT_MAX + 1)}
    assert {padded_size(size) for size in range(255)} == {PADDED_MIN}
    assert len(sizes) < 150


@pytest.mark.parametrize("size", [0, 1, 2, 255, PADDED_MAX + 1, 2 * PADDED_MAX])
def test_attack_29_impossible_sizes(size: int) -> None:
    with pytest.raises(Malformed):
        unpad(bytes(size))


def test_attack_29_every_other_size_for_a_content() -> None:
    """Bytes stripped or added, even zeros that would come off again."""
    for size in (0, 3, 254, 255, 700):
        padded = pad(bytes(size))
        for other in (padded[:-1], padded + b"\x00", padded.ljust(padded_size(size + 300), b"\x00")):
            with pytest.raises(Malformed):
                unpad(other)


def test_attack_29_length_beyond_the_payload() -> None:
    for length in (255, 256, 0x7FFF, 0xFFFF):
        with pytest.raises(Malformed):
            unpad(length.to_bytes(2, "big").ljust(PADDED_MIN, b"\x00"))


def test_attack_29_every_byte_of_the_filling_counts() -> None:
    padded = pad(b"content")
    for position in range(2 + len(b"content"), len(padded)):
        changed = bytearray(padded)
        changed[position] = 1
        with pytest.raises(Malformed):
            unpad(bytes(changed))


@given(st.binary(min_size=PADDED_MIN, max_size=600))
def test_what_is_accepted_is_the_one_padded_form(padded: bytes) -> None:
    try:
        content = unpad(padded)
    except Malformed:
        return
    assert pad(content) == padded
