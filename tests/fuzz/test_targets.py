"""Every decoder gives a value or a typed error for what lies near a real input, and for anything else."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tracemalloc
from collections.abc import Iterator
from random import Random
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chat
import protocol
from protocol.codec import Codec
from tests.fuzz.mutate import mutated
from tests.fuzz.target import FOLDER, FOUND, Target
from tests.fuzz.targets import TARGETS

STORED = [(name, path.name) for name in TARGETS for path in sorted((FOLDER / name).iterdir())]
MADE = [row for row in STORED if not row[1].startswith(FOUND)]
NEARBY_OF_SLOW = 60
MEMORY_AT_MOST = 4 << 20
"""Bytes that looking at one input may take: two links of 300,000 bytes a message, with room."""


def neighbours(data: bytes, step: int) -> Iterator[bytes]:
    """At every `step`th byte a bit turned, a cut, a byte more; then one at the end, and the whole twice."""
    for place in range(0, len(data), step):
        turned = bytearray(data)
        turned[place] ^= 1 << (place // step % 8)
        yield bytes(turned)
        yield data[:place]
        yield data[:place] + b"\xff" + data[place:]
        yield from wider(data, place)
    yield data + b"\x00"
    yield data + data


def wider(data: bytes, place: int) -> Iterator[bytes]:
    """The same MessagePack written with a longer head than it needs, where a head may stand at this place."""
    head = data[place]
    if head < 0x80:
        yield data[:place] + b"\xcc" + data[place:]
    elif head >> 4 == 0x9:
        yield data[:place] + bytes((0xDC, 0, head & 0xF)) + data[place + 1 :]
    elif head >> 5 == 0b101:
        yield data[:place] + bytes((0xD9, head & 0x1F)) + data[place + 1 :]
    elif head in (0xC4, 0xCC, 0xD9):
        yield data[:place] + bytes((head + 1, 0)) + data[place + 1 :]


@pytest.mark.parametrize("name", TARGETS)
def test_the_stored_inputs_are_those_that_are_made(name: str) -> None:
    """`python -m tests.fuzz.make` writes them."""
    stored = {path.name: path.read_bytes() for path in (FOLDER / name).iterdir()}
    made = {label: data for label, data in stored.items() if not label.startswith(FOUND)}
    assert made == TARGETS[name].inputs()


def test_every_folder_feeds_a_target() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(TARGETS)


def codecs() -> dict[int, str]:
    """Every codec of the program, by its identity; vectors and benchmarks read nothing from outside."""
    found = [
        module.name
        for package in (protocol, chat)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    aside = ("protocol.vectors", "chat.tools.bench.crypto", "chat.tools.bench", "chat.cli")
    modules = [importlib.import_module(name) for name in found if not name.startswith(aside)]
    return {
        id(value): f"{module.__name__}.{name}"
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Codec)
    }


def test_every_codec_is_reached_by_a_target() -> None:
    reached: set[int] = set()

    def look(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code is Codec.decode.__code__:
            reached.add(id(frame.f_locals["self"]))

    for name, label in STORED:
        data = (FOLDER / name / label).read_bytes()
        sys.setprofile(look)
        try:
            TARGETS[name].accepts(data)
        finally:
            sys.setprofile(None)
    assert sorted(name for identity, name in codecs().items() if identity not in reached) == []


@pytest.mark.parametrize(("name", "label"), STORED)
def test_near_a_stored_input(name: str, label: str) -> None:
    target, data = TARGETS[name], (FOLDER / name / label).read_bytes()
    for changed in neighbours(data, max(1, len(data) // NEARBY_OF_SLOW) if target.slow else 1):
        target.accepts(changed)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_decodes_what_the_program_makes(name: str) -> None:
    labels = [label for owner, label in MADE if owner == name]
    assert any(TARGETS[name].accepts((FOLDER / name / label).read_bytes()) for label in labels)


REACHED = [
    ("envelope", "one-chain", 2),
    ("envelope", "answered", 2),
    ("envelope", "shuffled", 3),
    ("envelope", "repeated", 1),
    ("link-recording", "unspoiled-0", 3),
    ("link-recording", "unspoiled-1", 3),
    ("link-recording", "unspoiled-2", 3),
    ("link-contents", "talk", 2),
    ("pairing", "words-initiator", 6),
    ("pairing", "words-responder", 6),
    ("pairing", "joiner", 4),
    ("pairing", "inviter", 4),
    ("relay-recording", "unspoiled-0", 2),
    ("relay-recording", "unspoiled-1", 1),
    ("relay-contents", "relay-is-waited-at", 2),
    ("relay-contents", "relay-calls", 2),
    ("relay-contents", "relay-is-dialled", 3),
    ("relay-contents", "terminal-waits", 2),
    ("relay-contents", "terminal-dials", 2),
]


@pytest.mark.parametrize(("name", "label", "depth"), REACHED)
def test_scripts_come_as_far_as_they_should(name: str, label: str, depth: int) -> None:
    """What is fuzzed is not only the first refusal."""
    assert TARGETS[name].decode((FOLDER / name / label).read_bytes()) == depth


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=50)
@given(data=st.binary(max_size=2_000))
def test_anything(name: str, data: bytes) -> None:
    TARGETS[name].accepts(data)


@pytest.mark.parametrize("name", TARGETS)
def test_memory_is_bounded(name: str) -> None:
    """Whatever lengths an input claims: each stored one, with the largest claims put in at its places."""
    target = TARGETS[name]
    inputs = [(FOLDER / name / label).read_bytes() for owner, label in STORED if owner == name]
    for data in inputs:
        target.accepts(data)
    tracemalloc.start()
    try:
        for data in inputs:
            for place in {0, 1, 2, len(data) // 2, len(data) - 1}:
                for claim in (
                    b"\xdd\xff\xff\xff\xff",
                    b"\xc6\xff\xff\xff\xff",
                    b"\xdb\xff\xff\xff\xff",
                    b"\xff\xff",
                ):
                    target.accepts(data[:place] + claim + data[place:])
        assert tracemalloc.get_traced_memory()[1] < MEMORY_AT_MOST
    finally:
        tracemalloc.stop()


def test_changes_of_structure_reach_what_blind_ones_do_not() -> None:
    """Changed entries are still messages in many cases, and in some cases still entries."""
    (data,) = (path.read_bytes() for path in (FOLDER / "entry").iterdir() if path.name == "own")
    random = Random(1)
    changed = [mutated(data, 4_096, random, lambda part, size: part[::-1][:size]) for _ in range(300)]
    assert len(set(changed)) > 50
    assert sum(TARGETS["message"].accepts(each) for each in changed) > 50
    for each in changed:
        TARGETS["entry"].accepts(each)


def broken(_data: bytes) -> object:
    raise IndexError


@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_that_fails_otherwise_is_seen(name: str) -> None:
    with pytest.raises(IndexError):
        Target(broken, TARGETS[name].errors, dict).accepts(b"")


@pytest.mark.parametrize("one_form", [True, False])
def test_a_decoder_that_takes_a_second_form_is_seen(one_form: bool) -> None:
    careless = Target(lambda data: data.strip(), (), dict, lambda text: text + b"!", one_form)
    with pytest.raises(AssertionError):
        careless.accepts(b"text ")
