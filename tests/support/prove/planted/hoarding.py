"""A relay that keeps one frame, and has the file open that PARLOUR_PLANTED names."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

from chat.cli.__main__ import main
from chat.relay.circuit import Buffers

FRAME = 256
zeroed = Buffers.take_back
kept: list[bytes] = []


def keep_one(buffers: Buffers, buffer: memoryview, used: int) -> None:
    """The last frame of the first buffer that has any."""
    if used >= FRAME and not kept:
        kept.append(bytes(buffer[used - FRAME : used]))
    zeroed(buffers, buffer, used)


if __name__ == "__main__":
    with patch.object(Buffers, "take_back", keep_one), Path(os.environ["PARLOUR_PLANTED"]).open("a"):
        main()
