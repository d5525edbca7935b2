"""The memory that forwarded bytes pass through: buffers lent for as long as bytes stand in them.

Rules: a buffer is zeroed before it is lent again, only as far as it was used; none is ever freed, so nothing
of what passed stays in memory that nobody owns; a lane holds one at most, and an idle circuit none.
"""

from __future__ import annotations

from typing import Final

from protocol import primitives

BUFFER_SIZE: Final = 1 << 18
"""Bytes of a buffer. Measured beside a bare splice, which reads as much: 64 KiB forward half as much."""
BUFFERS_MAX: Final = 128
"""Buffers in all: 32 MiB, of which a relay whose readers keep up uses one."""


class Buffers:
    """At most `most` buffers of `size` bytes each, made when they are first needed; and one for all."""

    __slots__ = ("_free", "_left", "_size", "_spare", "lent")

    def __init__(self, most: int = BUFFERS_MAX, size: int = BUFFER_SIZE) -> None:
        self._size, self._left = size, most
        self.lent = 0
        self._free: list[memoryview] = []
        self._spare: memoryview | None = None

    def lend(self) -> memoryview | None:
        """A buffer of zeros, or None while all are lent."""
        if self._free:
            self.lent += 1
            return self._free.pop()
        if not self._left:
            return None
        self._left -= 1
        self.lent += 1
        return memoryview(bytearray(self._size))

    def take_back(self, buffer: memoryview, used: int) -> None:
        """The end of a loan; the first `used` bytes were written to."""
        primitives.wipe(buffer[:used])
        self._free.append(buffer)
        self.lent -= 1

    @property
    def spare(self) -> memoryview:
        """The one that is never lent: whoever writes to it has wiped it before the next may."""
        if self._spare is None:
            self._spare = memoryview(bytearray(self._size))
        return self._spare

    def wipe(self) -> None:
        """Zero the spare one."""
        primitives.wipe(self.spare)
