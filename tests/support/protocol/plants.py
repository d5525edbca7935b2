"""Changes in `protocol/` that a vector must catch: labels, constants, checks, and computed values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import protocol
from protocol.errors import ProtocolError

PROTOCOL: Final = Path(protocol.__file__).parent
ERRORS: Final = "|".join(kind.__name__ for kind in ProtocolError.__subclasses__())

_WITHOUT_VECTORS: Final = ("hotpath.py", "relay/cluster.py")
"""A second implementation of the ratchet, and what SPEC §11.7.7 leaves to relays. Both have other tests."""


@dataclass(frozen=True)
class Plant:
    """One change in one file of `protocol/`, whose path is relative to it; `old` occurs there once."""

    name: str
    file: str
    old: str
    new: str


def labels() -> Iterator[Plant]:
    """Every label with another last letter."""
    source = (PROTOCOL / "labels.py").read_text(encoding="utf-8")
    for call, name in re.findall(r' = (_\w+\(\s*)"([\w.]+)",', source):
        other = name[:-1] + ("x" if name[-1] != "x" else "y")
        yield Plant(f'label {call}"{name}")', "labels.py", f'{call}"{name}",', f'{call}"{other}",')
    yield Plant("label of the prologue", "link/framing.py", 'b"parlour.link.v1"', 'b"parlour.link.v2"')


def constants() -> Iterator[Plant]:
    """Every specification constant, one more and one less."""
    source = (PROTOCOL / "limits.py").read_text(encoding="utf-8")
    specification = source[: source.index("# --- Implementation constants")]
    for name, value in re.findall(r"^(\w+): Final = (.+)$", specification, re.MULTILINE):
        for change in ("+ 1", "- 1"):
            old = f"{name}: Final = {value}\n"
            yield Plant(f"{name} {change}", "limits.py", old, f"{name}: Final = {value} {change}\n")


def checks() -> Iterator[Plant]:
    """Every `raise` of a ProtocolError, replaced by `pass`, so that the refused input is accepted."""
    for path in sorted(PROTOCOL.rglob("*.py")):
        file = path.relative_to(PROTOCOL).as_posix()
        if file.startswith("vectors/") or file in _WITHOUT_VECTORS:
            continue
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for number, line in enumerate(lines):
            match = re.fullmatch(rf"\s+(raise (?:{ERRORS}|NoMagic|OtherVersion|Refused)\(.*)", line)
            if match:
                before = _unique_context(text, lines, number)
                passing = line.replace(match[1], "pass")
                yield Plant(f"{file}:{before}{line}", file, f"\n{before}{line}\n", f"\n{before}{passing}\n")


def _unique_context(text: str, lines: list[str], number: int) -> str:
    """As many lines before a line as make both together unique in their file."""
    for first in range(number, -1, -1):
        before = "".join(f"{line}\n" for line in lines[first:number])
        if text.count(f"\n{before}{lines[number]}\n") == 1:
            return before
    raise ValueError(f"line {number} is not unique")


COMPUTED: Final = (
    Plant("canonical X25519 key", "primitives.py", ">= _P25519", ">= 2**256"),
    Plant(
        "Ed25519 key",
        "primitives.py",
        "or not bindings.crypto_core_ed25519_is_valid_point(public)",
        "or False",
    ),
    Plant("AEAD offered", "link/framing.py", "or not greeting.offers(aead)", ""),
    Plant(
        "psk look-up",
        "pairing/contact_secret.py",
        "return max(common_own), max(common_theirs)",
        "return min(common_own), max(common_theirs)",
    ),
    Plant(
        "direction of a psk",
        "pairing/contact_secret.py",
        "if initiates else (self.their_person",
        "if not initiates else (self.their_person",
    ),
    Plant(
        "ratchet keys in the root step",
        "ratchet.py",
        "b2b(dh_output + sender + receiver,",
        "b2b(dh_output + receiver + sender,",
    ),
    Plant(
        "removal by a junior",
        "identity/reduction.py",
        "ranks[operation.author] >= target",
        "ranks[operation.author] > 2**60",
    ),
    Plant("order of persons", "codec.py", "return (a, b) if a < b else (b, a)", "return a, b"),
    Plant(
        "addresses of a slot sorted",
        "discovery.py",
        '",".join(sorted(set(addresses)))',
        '",".join(addresses)',
    ),
)
