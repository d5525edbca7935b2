"""Changes in `protocol/` that a vector must catch."""

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

_NOT_SEEN_BY_OTHERS: Final = ("hotpath.py", "relay_cluster.py")
"""A second way to compute the same; and what the SPEC (§11.7.7) leaves to relays, with tests of its own."""


@dataclass(frozen=True)
class Plant:
    """One change in one file of `protocol/`; `old` stands there once."""

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
    yield Plant("label of the prologue", "greeting.py", 'b"parlour.link.v1"', 'b"parlour.link.v2"')


def constants() -> Iterator[Plant]:
    """Every specification constant, one more and one less."""
    source = (PROTOCOL / "limits.py").read_text(encoding="utf-8")
    specification = source[: source.index("# --- Implementation constants")]
    for name, value in re.findall(r"^(\w+): Final = (.+)$", specification, re.MULTILINE):
        for change in ("+ 1", "- 1"):
            old = f"{name}: Final = {value}\n"
            yield Plant(f"{name} {change}", "limits.py", old, f"{name}: Final = {value} {change}\n")


def checks() -> Iterator[Plant]:
    """Every refusal, by the line that makes it."""
    for path in sorted(PROTOCOL.glob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for line in lines:
            match = re.fullmatch(rf"\s+(raise (?:{ERRORS}|NoMagic|OtherVersion|Refused)\(.*)", line)
            if match and lines.count(line) == 1 and path.name not in _NOT_SEEN_BY_OTHERS:
                passing = line.replace(match[1], "pass")
                yield Plant(f"{path.name}:{line}", path.name, f"\n{line}\n", f"\n{passing}\n")


COMPUTED: Final = (
    Plant("canonical X25519 key", "primitives.py", ">= _P25519", ">= 2**256"),
    Plant(
        "Ed25519 key",
        "primitives.py",
        "or not bindings.crypto_core_ed25519_is_valid_point(public)",
        "or False",
    ),
    Plant("AEAD offered", "greeting.py", "or not greeting.offers(aead)", ""),
    Plant(
        "psk look-up",
        "contact_secret.py",
        "return max(common_own), max(common_theirs)",
        "return min(common_own), max(common_theirs)",
    ),
    Plant(
        "direction of a psk",
        "contact_secret.py",
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
        "person.py",
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
