"""A paste is text, whatever bytes are in it: none of them may act as a key.

Rules: Textual's parser takes an escape character inside of a bracketed paste, and what follows it, for keys,
so that a pasted line could be sent or a program left; it never sees one from here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Final

from textual._xterm_parser import XTermParser
from textual.message import Message

_ESCAPE: Final = "\x1b"
_BEGIN: Final = "\x1b[200~"
_END: Final = "\x1b[201~"
_DRIVER: Final = "win32" if sys.platform == "win32" else "linux_driver"


class PasteParser(XTermParser):
    """Reads keys as Textual does; a paste loses its escape characters first."""

    def __init__(self, debug: bool = False) -> None:
        self._pasting = False
        self._rest = ""
        super().__init__(debug)

    def feed(self, data: str) -> Iterable[Message]:
        seen = self._cleaned(data)
        return super().feed(seen) if seen or not data else ()  # nothing is the end of all input to Textual

    def _cleaned(self, data: str) -> str:
        """What of the input the parser may see now; pieces of input end anywhere."""
        seen = ""
        while data:
            kept, data = self._of_paste(data) if self._pasting else self._of_keys(data)
            seen += kept
        return seen

    def _of_keys(self, data: str) -> tuple[str, str]:
        """The input up to the begin of a paste, all of which the parser sees, and what follows."""
        looked_at = self._rest + data
        keys, begin, _paste = looked_at.partition(_BEGIN)
        if not begin:
            self._rest = looked_at[1 - len(_BEGIN) :]
            return data, ""
        end = len(keys) + len(begin) - len(self._rest)
        self._pasting, self._rest = True, ""
        return data[:end], data[end:]

    def _of_paste(self, data: str) -> tuple[str, str]:
        """The paste up to its end, and what follows; what may be a part of its end is held back."""
        text, end, keys = (self._rest + data).partition(_END)
        self._pasting, self._rest = not end, ""
        if not end:
            held = next((n for n in range(len(_END) - 1, 0, -1) if text.endswith(_END[:n])), 0)
            text, self._rest = text[: len(text) - held], text[len(text) - held :]
        return text.replace(_ESCAPE, "") + end, keys


def heed_pastes() -> None:
    """Let the terminal be read by `PasteParser` from the next start of an application on."""
    setattr(import_module(f"textual.drivers.{_DRIVER}"), XTermParser.__name__, PasteParser)
