"""A relay that keeps something, in the way that PARLOUR_PLANTED names: one frame, or an open file."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

from chat.cli.__main__ import main
from chat.relay.buffers import Buffers

FRAME = 256
zeroed = Buffers.take_back
kept: list[bytes] = []


def keep_one(buffers: Buffers, buffer: memoryview, used: int) -> None:
    """The last frame of the first buffer that has any."""
    if used >= FRAME and not kept:
        kept.append(bytes(buffer[used - FRAME : used]))
    zeroed(buffers, buffer, used)


if __name__ == "__main__":
    if os.environ["PARLOUR_PLANTED"] == "a frame":
        with patch.object(Buffers, "take_back", keep_one):
            main()
    with Path(os.environ["PARLOUR_PLANTED"]).open("a"):
        main()
