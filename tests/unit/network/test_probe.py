"""The question of the doctor: what it says, where it goes, and whose answers count."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import Any
from unittest import mock

import pytest
from zeroconf._protocol.incoming import DNSIncoming

from chat.network import probe
from chat.network.interfaces import Interface, Kind
from chat.network.probe import GROUP_V4, GROUP_V6, PORT, Heard
from protocol.discovery import SERVICE

ETH = Interface("eth0", 7, Kind.LAN, True, ("fe80::7/64", "10.77.0.7/24"))
LO = Interface("lo", 1, Kind.LOOPBACK, True, ("127.0.0.1/8",))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """The socket that the probe makes."""
    one = mock.Mock()
    monkeypatch.setattr(socket, "socket", mock.Mock(return_value=one))
    return one


def options(made: mock.Mock) -> list[tuple[Any, ...]]:
    return [call.args for call in made.setsockopt.call_args_list]


def test_a_question_by_ipv4_goes_out_on_its_interface_and_stays_on_the_link(made: mock.Mock) -> None:
    assert probe._open(ETH, socket.AF_INET) is made
    socket.socket.assert_called_once_with(socket.AF_INET, socket.SOCK_DGRAM)  # type: ignore[attr-defined]
    here = socket.inet_aton("10.77.0.7")
    assert options(made) == [
        (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1),
        (socket.SOL_SOCKET, socket.SO_REUSEPORT, 1),
        (socket.IPPROTO_IP, 49, 0),
        (socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP_V4) + here),
        (socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here),
        (socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1),
        (socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255),
    ]
    made.setblocking.assert_called_once_with(False)
    made.bind.assert_called_once_with((GROUP_V4, PORT))
    made.close.assert_not_called()


def test_a_question_by_ipv6_goes_out_on_its_interface_and_stays_on_the_link(made: mock.Mock) -> None:
    probe._open(ETH, socket.AF_INET6)
    index = struct.pack("@I", 7)
    assert options(made)[2:] == [
        (socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, GROUP_V6) + index),
        (socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index),
        (socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1),
        (socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255),
    ]
    made.bind.assert_called_once_with((GROUP_V6, PORT, 0, 7))


def test_elsewhere_the_socket_is_bound_to_the_port_alone(
    made: mock.Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    monkeypatch.delattr(socket, "AF_NETLINK")
    probe._open(ETH, socket.AF_INET)
    made.bind.assert_called_once_with(("", PORT))
    assert [number for _, number, _ in options(made)] == [
        socket.SO_REUSEADDR,
        socket.IP_ADD_MEMBERSHIP,
        socket.IP_MULTICAST_IF,
        socket.IP_MULTICAST_LOOP,
        socket.IP_MULTICAST_TTL,
    ]


def test_a_socket_that_cannot_be_bound_is_closed(made: mock.Mock) -> None:
    made.bind.side_effect = OSError
    with pytest.raises(OSError):
        probe._open(ETH, socket.AF_INET)
    made.close.assert_called_once_with()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The questions, which go from a socket on loopback to itself and to a second one that answers."""
    questions: list[bytes] = []
    opened: list[socket.socket] = []

    def open_socket(interface: Interface, family: socket.AddressFamily) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.bind(("127.0.0.1", 0))
        opened.append(made)
        address = made.getsockname()

        def group(family: socket.AddressFamily, index: int) -> tuple[str, int]:
            assert (family, index) == (socket.AF_INET, interface.index)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.2", 0))
                other.sendto(b"an answer", address)
            return address[0], address[1]

        monkeypatch.setattr(probe, "_group", group)
        return made

    def keep(ear: probe._Ear, data: bytes, addr: tuple[str, int]) -> None:
        questions.append(data)
        heard(ear, data, addr)

    async def listen(seconds: float) -> None:
        """Until both packets of a question have come, however long that takes."""
        assert seconds == 1.5
        while len(questions) < 2 * len(opened):
            await sleep(0)

    heard, sleep = probe._Ear.datagram_received, asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", listen)
    monkeypatch.setattr(probe._Ear, "datagram_received", keep)
    monkeypatch.setattr(probe, "_open", open_socket)
    return questions


async def test_it_hears_itself_and_others_and_says_nothing_about_this_machine(sent: list[bytes]) -> None:
    assert await probe.ask(LO, socket.AF_INET, 1.5) == Heard(True, frozenset({"127.0.0.2"}))
    answer, question = sorted(sent)[::-1]
    assert answer == b"an answer"
    read = DNSIncoming(question)
    assert read.valid
    assert (read.id, read.flags, read.num_answers, len(question)) == (0, 0, 0, len(question))
    name, kinds = read.questions
    assert [each.type for each in read.questions] == [12, 12]
    assert [each.class_ for each in read.questions] == [1, 1]
    label, _, service = name.name.partition(".")
    assert (len(label), service) == (16, SERVICE)
    assert kinds.name == "_services._dns-sd._udp.local."
    assert await probe.ask(LO, socket.AF_INET, 1.5) == Heard(True, frozenset({"127.0.0.2"}))
    assert len({each for each in sent if each != b"an answer"}) == 2, "each question has its own name"


async def test_a_question_that_cannot_be_sent_is_an_error_and_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = mock.Mock()
    made.sendto.side_effect = OSError
    monkeypatch.setattr(probe, "_open", lambda *_: made)
    with pytest.raises(OSError):
        await probe.ask(ETH, socket.AF_INET, 0.0)
    made.close.assert_called_once_with()


async def test_it_listens_as_long_as_it_is_asked_to_and_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    transport, slept = mock.Mock(), mock.AsyncMock(side_effect=asyncio.CancelledError)
    loop = mock.Mock()
    loop.create_datagram_endpoint = mock.AsyncMock(return_value=(transport, mock.Mock()))
    monkeypatch.setattr(probe, "_open", mock.Mock())
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    monkeypatch.setattr(asyncio, "sleep", slept)
    with pytest.raises(asyncio.CancelledError):
        await probe.ask(ETH, socket.AF_INET6, 1.5)
    slept.assert_awaited_once_with(1.5)
    transport.close.assert_called_once_with()


def test_only_the_question_itself_counts_as_itself_and_senders_are_bounded() -> None:
    ear = probe._Ear(b"question")
    ear.datagram_received(b"other", ("fe80::1%eth0", 5353))
    assert (ear.itself, ear.senders) == (False, {"fe80::1"})
    ear.datagram_received(b"question", ("fe80::2", 5353))
    ear.datagram_received(b"other", ("fe80::2", 5353))
    assert (ear.itself, ear.senders) == (True, {"fe80::1", "fe80::2"})
    for number in range(1000):
        ear.datagram_received(b"", (f"10.0.{number // 256}.{number % 256}", 5353))
    assert len(ear.senders) == 256


def test_each_family_has_its_group() -> None:
    assert probe._group(socket.AF_INET, 3) == ("224.0.0.251", 5353)
    assert probe._group(socket.AF_INET6, 3) == ("ff02::fb", 5353, 0, 3)
