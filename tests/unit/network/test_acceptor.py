"""Who may begin a handshake, who takes the open link, and that each place is given back."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from chat.config import Config
from chat.network import acceptor as module
from chat.network.acceptor import Acceptor
from chat.network.links import Peer
from chat.service.keyring import Keyring
from chat.tasks import Beat, Tasks
from protocol.keys import X25519Pair
from protocol.link.framing import Pattern
from protocol.link.states import LinkOpen, Role

THIEF, OWNER = Peer(b"t" * 32, b"1" * 32), Peer(b"o" * 32, b"2" * 32)


def keyring() -> Keyring:
    """Of the thief many addresses are known, of the owner one, and one is known of both."""
    own: Any = SimpleNamespace(person=b"p" * 32, terminal=b"t" * 32, static_secret=bytes(32), drawn=())
    ring = Keyring(own, mock.Mock(gone={}, drawn={}), mock.Mock(), lambda: 0)
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
        beat=Beat(),
        config=Config(),
        clock=SimpleNamespace(monotonic=lambda: 5.0),
        random=lambda size: bytes(size),
        tasks=Tasks(mock.Mock()),
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


class Door:
    """An acceptor with two places for strangers in all, one of them per address, among mocks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.drivers: list[mock.Mock] = []
        monkeypatch.setattr(module, "Driver", self._driver)
        self.directory = mock.Mock()
        self.directory.known_at.side_effect = lambda host: [OWNER] * (host == "10.0.0.7")
        self.directory.is_dialled.return_value = False
        self.directory.identity.static = None
        monkeypatch.setattr(module, "Responder", mock.Mock())
        monkeypatch.setattr(module, "Link", mock.Mock())
        clock = SimpleNamespace(monotonic=lambda: 100.0)
        config = Config(handshakes_total=4, handshakes_address=2)
        runtime: Any = SimpleNamespace(
            beat=Beat(), config=config, clock=clock, random=None, tasks=Tasks(mock.Mock())
        )
        self.adopt, self.pair = mock.AsyncMock(return_value="link"), mock.AsyncMock(return_value="pairing")
        self.acceptor = Acceptor(runtime, self.directory, self.adopt, self.pair, mock.AsyncMock())

    def _driver(self, connection: Any, link: Any, clock: Any, beat: Any, opening: Any) -> mock.Mock:
        driver = mock.Mock(connection=connection, opening=opening, run=mock.AsyncMock())
        self.drivers.append(driver)
        return driver

    async def enters(self, address: str, relay: str = "") -> bool:
        """Whether a connection begins a handshake; else it is closed."""
        connection, count = mock.Mock(peer="" if relay else address), len(self.drivers)
        await self.acceptor.accept(connection, relay)
        entered = len(self.drivers) > count
        assert connection.close.called is not entered
        if entered:
            self.drivers[-1].run.assert_awaited_once_with()
        return entered


async def test_strangers_leave_a_share_to_contacts_and_relays(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch)
    assert [await door.enters(f"10.0.0.{number}") for number in (1, 1, 1, 2, 3)] == [
        True, True, False, True, False
    ]  # fmt: skip
    assert await door.enters("10.0.0.7%eth0")
    door.drivers[0].opening.result.set_result(None)
    await asyncio.sleep(0)
    assert await door.enters("", relay="a relay")
    assert not await door.enters("10.0.0.7")
    assert len(door.acceptor._opening) == 4


async def test_after_the_stop_nobody_enters_and_handshakes_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(monkeypatch)
    await door.enters("10.0.0.1")
    await door.enters("10.0.0.2")
    door.drivers[0].opening.result.set_result(None)
    await asyncio.sleep(0)
    door.acceptor.stop()
    assert [driver.abort.call_count for driver in door.drivers] == [0, 1]
    assert not await door.enters("10.0.0.7")
    opened = LinkOpen(bytes(16), Role.RESPONDER, Pattern.IKPSK2, bytes(32))
    assert await door.acceptor._adopt(mock.Mock(), opened) is None


@pytest.mark.parametrize(
    ("pattern", "address", "taken"),
    [
        (Pattern.IKPSK2, "10.0.0.1", "link"),
        (Pattern.IKPSK2, "", "link"),
        (Pattern.XX, "10.0.0.1", "pairing"),
        (Pattern.XX, "", None),
        (Pattern.XXPSK0, "10.0.0.1", "pairing"),
        (Pattern.XXPSK0, "", "pairing"),
    ],
)
async def test_an_open_link_goes_to_contacts_or_to_pairing(
    monkeypatch: pytest.MonkeyPatch, pattern: Pattern, address: str, taken: str | None
) -> None:
    door = Door(monkeypatch)
    driver = mock.Mock(connection=mock.Mock(peer=address))
    opened = LinkOpen(bytes(16), Role.RESPONDER, pattern, bytes(32))
    handler: Any = await door.acceptor._adopt(driver, opened)
    assert handler == taken
    asked = {"link": door.adopt, "pairing": door.pair}
    assert [name for name, one in asked.items() if one.await_count] == ([taken] if taken else [])
