"""Every decoder gives a value or a typed error for what lies near a real input, and for anything else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import FOLDER, TARGETS, Target

STORED = [(name, path.name) for name in TARGETS for path in sorted((FOLDER / name).iterdir())]


def outcome(target: Target, data: bytes) -> bool:
    """Whether it was accepted; anything but a typed error goes through."""
    try:
        target.decode(data)
    except target.errors:
        return False
    return True


def neighbours(data: bytes) -> Iterator[bytes]:
    """One bit turned in each byte, every cut, a byte more at every place, and the whole thing twice."""
    for place in range(len(data)):
        turned = bytearray(data)
        turned[place] ^= 1 << (place % 8)
        yield bytes(turned)
        yield data[:place]
        yield data[:place] + b"\xff" + data[place:]
    yield data + b"\x00"
    yield data + data


@pytest.mark.parametrize("name", TARGETS)
def test_the_stored_inputs_are_those_that_are_made(name: str) -> None:
    """`python -m tests.fuzz.make` writes them anew."""
    stored = {path.name: path.read_bytes() for path in (FOLDER / name).iterdir()}
    assert stored == TARGETS[name].inputs()


def test_every_folder_feeds_a_target() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(TARGETS)


@pytest.mark.parametrize(("name", "label"), STORED)
def test_near_a_real_input(name: str, label: str) -> None:
    target, data = TARGETS[name], (FOLDER / name / label).read_bytes()
    assert outcome(target, data)
    for changed in neighbours(data):
        outcome(target, changed)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=2_000))
def test_anything(name: str, data: bytes) -> None:
    outcome(TARGETS[name], data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_that_fails_otherwise_is_seen(name: str) -> None:
    def broken(data: bytes) -> object:
        raise IndexError

    with pytest.raises(IndexError):
        outcome(Target(broken, TARGETS[name].errors, dict), b"")
