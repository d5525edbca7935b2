"""The library for programs: to whom it gives its token."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from chat.client import connect
from chat.interface import Unreachable
from tests.support.machine import needs_root_network

NOBODY = 65_534


async def test_a_token_is_given_to_no_other_user_of_this_machine(tmp_path: Path) -> None:
    """In a folder that all write to, another user can be the first to take the name."""
    needs_root_network()
    path = tmp_path / "alerts.sock"
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
        os.seteuid(NOBODY)
        try:
            theirs.listen()
        finally:
            os.seteuid(0)
        theirs.settimeout(20)
        with pytest.raises(Unreachable, match="Another user"):
            async with asyncio.timeout(20), connect(token="secret", socket=path):
                pass
        reached, _ = theirs.accept()
        with reached:
            assert reached.recv(1) == b"", "it hung up and said nothing"
