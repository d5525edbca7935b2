"""The names of persons and of their terminals (SPEC §7.2), which are text of a peer."""

from __future__ import annotations

import re
from typing import Final

from protocol import limits
from protocol.errors import Malformed

_FORBIDDEN_IN_NAMES: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Controls, line separators, marks that change the direction of text, and lone surrogates.

A fixed list, since Unicode categories change between versions and all terminals must agree.
"""


def is_name(name: str) -> bool:
    """Whether a name is valid: 1 to 64 characters, none of _FORBIDDEN_IN_NAMES, no space at either end."""
    return 1 <= len(name) <= limits.NAME_CHARACTERS_MAX and is_line(name)


def is_line(text: str) -> bool:
    """Whether a text of any length has none of _FORBIDDEN_IN_NAMES, and no space at either end."""
    return not _FORBIDDEN_IN_NAMES.search(text) and text == text.strip(" ")


def is_terminal_name(name: str) -> bool:
    """Whether a name of a terminal is valid: as is_name, of at most 32 characters."""
    return is_name(name) and len(name) <= limits.TERMINAL_NAME_CHARACTERS_MAX


def check_name(name: str) -> None:
    """Malformed unless is_name(name)."""
    if not is_name(name):
        raise Malformed("not a name")
