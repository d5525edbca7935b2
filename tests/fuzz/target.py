"""What a fuzz target is, and the few tools that several of them share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from protocol.codec import Codec, encode
from protocol.errors import ProtocolError
from protocol.vectors import own
from protocol.vectors.frame import SUCCESS, read_bytes
from tests.architecture.imports import ROOT

FOLDER: Final = ROOT / "seeds" / "fuzz"
PHRASE: Final = "Parlour fuzzing inputs, first edition"
FOUND: Final = "found-"
"""How the name of an input begins that fuzzing or an attack brought: kept, and not made."""
LENGTH: Final = 2
PUBLISHED_MAX: Final = 2_000
"""The longest input, in bytes, that is taken from the vectors: the tests try every neighbour of each."""


@dataclass(frozen=True)
class Target:
    """A decoder, what it may raise, and its starting inputs by name.

    `encode` gives back the very bytes that were decoded; where a value has several forms, `one_form` is false
    and what is encoded decodes to an equal value. `slow`: a run takes milliseconds, not microseconds.
    """

    decode: Callable[[bytes], Any]
    errors: tuple[type[Exception], ...]
    inputs: Callable[[], Mapping[str, bytes]]
    encode: Callable[[Any], bytes] | None = None
    one_form: bool = True
    slow: bool = False

    def accepts(self, data: bytes) -> bool:
        """Whether it was decoded; anything but a typed error goes through, and so does a broken promise."""
        try:
            value = self.decode(data)
        except self.errors:
            return False
        if self.encode is not None:
            encoded = self.encode(value)
            assert encoded == data if self.one_form else self.decode(encoded) == value
        return True


def of_codec(codec: Codec[Any], inputs: Callable[[], Mapping[str, bytes]]) -> Target:
    """The target of a codec: its one form is what was decoded."""
    return Target(codec.decode, (ProtocolError,), inputs, encode)


def published(area: str, flag: str, action: str, part: str, *types: str) -> Callable[[], dict[str, bytes]]:
    """What an action reads, of some types if any, in successful vectors with a flag; by their comments."""

    def read() -> dict[str, bytes]:
        found = {}
        for test in (test for group in own.load(area)["groups"] for test in group["tests"]):
            for step in test["steps"] if test["expect"] == SUCCESS and flag in test["flags"] else ():
                if step["do"] == action and step.get("type") in (types or (None,)):
                    data = step[part].encode() if part == "text" else read_bytes(step[part])
                    label = test["comment"].rpartition(": ")[2].lower()
                    found[re.sub(r"\W+", "-", label)] = data
        return {label: data for label, data in found.items() if len(data) <= PUBLISHED_MAX}

    return read


def drawn(label: str) -> Callable[[int], bytes]:
    """Bytes from the public phrase and a label, as many as are asked for."""
    counter = 0

    def draw(size: int) -> bytes:
        nonlocal counter
        out = b""
        while len(out) < size:
            out += sha256(f"{PHRASE}\0{label}\0{counter}".encode()).digest()
            counter += 1
        return out[:size]

    return draw


def cut(data: bytes) -> Iterator[bytes]:
    """The parts that a script of bytes holds: two bytes of length each, the last one as long as is left."""
    while data:
        size = LENGTH + int.from_bytes(data[:LENGTH], "big")
        yield data[LENGTH:size]
        data = data[size:]


def joined(*parts: bytes) -> bytes:
    """The script that `cut` takes apart."""
    return b"".join(len(part).to_bytes(LENGTH, "big") + part for part in parts)


def text_of(data: bytes) -> str:
    """Text that a person may have typed or pasted: UTF-8 where it is, else a character a byte."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
