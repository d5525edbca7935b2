"""Who may begin a handshake while others flood this terminal."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from chat.config import Config
from chat.network.acceptor import Acceptor
from chat.network.links import Peer
from chat.service.keyring import Keyring
from protocol.keys import X25519Pair

THIEF, OWNER = Peer(b"t" * 32, b"1" * 32), Peer(b"o" * 32, b"2" * 32)


def keyring() -> Keyring:
    """Of the thief many addresses are known, of the owner one, and one is known of both."""
    own: Any = SimpleNamespace(person=b"p" * 32, static_secret=bytes(32))
    ring = Keyring(own, mock.Mock(), mock.Mock(), lambda: 0)
    ring.found[THIEF] = (*((f"10.0.0.{number}", 1) for number in range(100)), ("fe80::7%eth0", 1))
    ring.remembered[OWNER] = (("10.0.1.1", 4747), ("fe80::7", 4747))
    return ring


def test_the_terminals_at_a_host_are_those_that_were_found_or_answered_there() -> None:
    ring = keyring()
    assert ring.known_at("10.0.0.5") == [THIEF]
    assert ring.known_at("10.0.1.1") == [OWNER]
    assert set(ring.known_at("fe80::7")) == {THIEF, OWNER}
    assert ring.known_at("10.0.2.1") == []


@pytest.mark.parametrize("dialled", [True, False])
def test_a_dialled_terminal_is_answered_whatever_other_contacts_do(dialled: bool) -> None:
    ring = keyring()
    runtime: Any = SimpleNamespace(
        config=Config(), clock=SimpleNamespace(monotonic=lambda: 5.0), random=lambda size: bytes(size)
    )
    directory: Any = SimpleNamespace(
        identity=SimpleNamespace(static=X25519Pair(bytes(32))),
        known_at=ring.known_at,
        is_dialled=lambda peer: peer == THIEF or dialled,
    )
    refused: Any = mock.Mock()
    acceptor = Acceptor(runtime, directory, refused, refused, refused)

    async def accepted(host: str) -> bool:
        connection = mock.Mock(peer=host)
        acceptor.accept(connection).close()
        return not connection.close.called

    async def flood() -> tuple[int, bool]:
        entered = [await accepted(f"10.0.0.{number}") for number in range(100)]
        return sum(entered), await accepted("10.0.1.1")

    assert asyncio.run(flood()) == (1 + Config().handshakes_total, dialled)
