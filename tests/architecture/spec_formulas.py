"""Computes the formulas of SPEC.md as they are written, with nothing of the protocol's code.

Rules: BLAKE2b comes from hashlib, Ed25519 from PyNaCl; a label is taken from the formula, never from
labels.py, so that a formula that differs from the code gives another value.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nacl.signing import SigningKey

Value = bytes | int | str

_FORMULA: Final = re.compile(r"(\w+) = (?:(\w+)\((.*)\)|(.+))")
_ARGUMENT: Final = re.compile(r"(\w+) = (.*?)(?:, (?=\w+ = )|$)")
_TERM: Final = re.compile(r'"(.*)"|0x([0-9a-f]{2})|(u16|u32)\((\w+)\)|(\w+)')
_WIDTHS: Final = {"u16": 2, "u32": 4}


@dataclass(frozen=True)
class Formula:
    """One line: what it defines, the function (empty: a concatenation), its arguments."""

    name: str
    function: str
    arguments: Mapping[str, str]

    @property
    def label(self) -> str:
        """The `personal` label, or the text that begins a signed message."""
        written = self.arguments.get("personal", self.arguments.get("message", ""))
        return written.split('"')[1] if self.function else ""

    def compute(self, values: Mapping[str, Value]) -> bytes:
        """The value, from the values of the names that occur in it."""
        if not self.function:
            return _bytes(self.arguments["input"], values)
        return (_b2b if self.function == "B2b" else _ed25519)(self.arguments, values)


def parse(line: str) -> Formula:
    match = _FORMULA.fullmatch(line)
    assert match, line
    name, function, arguments, plain = match.groups()
    if function is None:
        return Formula(name, "", {"input": plain})
    assert function in ("B2b", "Ed25519"), line
    return Formula(name, function, dict(_ARGUMENT.findall(arguments)))


def _b2b(arguments: Mapping[str, str], values: Mapping[str, Value]) -> bytes:
    assert arguments.keys() <= {"key", "personal", "size", "input"}
    return hashlib.blake2b(
        _bytes(arguments["input"], values),
        digest_size=int(arguments.get("size", "32")),
        key=_bytes(arguments.get("key", "empty"), values),
        person=_bytes(arguments["personal"], values),
    ).digest()


def _ed25519(arguments: Mapping[str, str], values: Mapping[str, Value]) -> bytes:
    assert arguments.keys() == {"seed", "message"}
    seed, message = (_bytes(arguments[name], values) for name in ("seed", "message"))
    return SigningKey(seed).sign(message).signature


def _bytes(expression: str, values: Mapping[str, Value]) -> bytes:
    return b"".join(_term(term, values) for term in expression.split(" ‖ "))


def _term(term: str, values: Mapping[str, Value]) -> bytes:
    match = _TERM.fullmatch(term)
    assert match, term
    text, byte, width, number, name = match.groups()
    if text is not None:
        return text.replace("\\0", "\0").encode()
    if byte is not None:
        return bytes.fromhex(byte)
    if width is not None:
        value = values[number]
        assert isinstance(value, int)
        return value.to_bytes(_WIDTHS[width], "big")
    return b"" if name == "empty" else _plain(values[name])


def _plain(value: Value) -> bytes:
    assert not isinstance(value, int), "a number needs a width"
    return value.encode() if isinstance(value, str) else value
