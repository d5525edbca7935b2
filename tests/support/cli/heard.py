"""What a program says at the other end of a terminal."""

from __future__ import annotations

import os
import select

from tests.support.lab.programs import Deadline

PATIENCE = 60.0


def heard_until(person: int, wanted: bytes, heard: bytes = b"") -> bytes:
    """Everything that a terminal shows until something wanted is in it."""
    deadline = Deadline(PATIENCE)
    while wanted not in heard:
        assert select.select([person], [], [], deadline.left())[0], (wanted, heard)
        heard += os.read(person, 65_536)
    return heard
