"""What is read from rtnetlink, by messages as Linux writes them."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from unittest import mock

import pytest

from chat.network import netlink
from chat.network.netlink import FRESH, GET_ADDRESS, GET_LINK, GET_NEIGHBOUR, GET_ROUTE, Record, Router
from tests.support import machine

ERROR, DONE = 2, 3
INTERRUPTED = 0x10


def message(kind: int, payload: bytes = b"", flags: int = 0) -> bytes:
    whole = struct.pack("=IHHII", 16 + len(payload), kind, flags, 1, 0) + payload
    return whole + bytes(-len(whole) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    whole = struct.pack("=HH", 4 + len(value), kind) + value
    return whole + bytes(-len(whole) % 4)


class Kernel:
    """Answers each conversation with its next datagrams, and keeps what was asked."""

    def __init__(self) -> None:
        self.conversations: list[list[bytes]] = []
        self.asked: list[bytes] = []

    def talk(self) -> mock.MagicMock:
        answers = iter(self.conversations.pop(0))
        talk = mock.MagicMock()
        talk.__enter__.return_value = talk
        talk.send.side_effect = self.asked.append
        talk.recv.side_effect = lambda size: next(answers)
        return talk


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(netlink, "_talk", made.talk)
    monkeypatch.setattr(netlink, "AVAILABLE", True)
    return made


def answers(kernel: Kernel, kind: int, *payloads: bytes) -> None:
    kernel.conversations.append([*(message(kind - 2, each) for each in payloads), message(DONE)])


@pytest.mark.parametrize(
    ("kind", "size"), [(GET_LINK, 16), (GET_ADDRESS, 8), (GET_ROUTE, 12), (GET_NEIGHBOUR, 12)]
)
def test_a_list_is_asked_for_once_and_read_to_its_end(kernel: Kernel, kind: int, size: int) -> None:
    fixed = bytes(range(size))
    one = message(kind - 2, fixed + attribute(3, b"eth0\0") + attribute(7 | 0x8000, b"nested"))
    other = message(kind - 2, fixed)
    kernel.conversations = [[one + other, other, message(DONE, bytes(4))]]
    assert netlink.dump(kind) == [
        Record(fixed, {3: b"eth0\0", 7: b"nested"}),
        Record(fixed, {}),
        Record(fixed, {}),
    ]
    assert kernel.asked == [struct.pack("=IHHII", 16 + size, kind, 0x301, 1, 0) + bytes(size)]


def test_a_list_that_changed_meanwhile_is_read_again_five_times_at_most(kernel: Kernel) -> None:
    changed = [message(16, bytes(16), INTERRUPTED), message(16, bytes(16)), message(DONE)]
    kernel.conversations = [[*changed] for _ in range(4)] + [[message(16, b"\1" * 16, 2), message(DONE)]]
    assert netlink.dump(GET_LINK) == [Record(b"\1" * 16, {})]
    kernel.conversations = [[*changed] for _ in range(5)]
    with pytest.raises(InterruptedError):
        netlink.dump(GET_LINK)
    assert kernel.conversations == []


def test_a_refusal_is_an_os_error_with_its_number(kernel: Kernel) -> None:
    kernel.conversations = [[message(ERROR, struct.pack("=i", -errno.EPERM))]]
    with pytest.raises(OSError) as caught:
        netlink.dump(GET_LINK)
    assert caught.value.errno == errno.EPERM


@pytest.mark.parametrize(
    "broken", [b"", bytes(15), struct.pack("=IHHII", 15, 16, 0, 1, 0), struct.pack("=IHHII", 0, 16, 0, 1, 0)]
)
def test_a_broken_message_ends_its_datagram(broken: bytes) -> None:
    whole = message(16, b"12345")
    assert list(netlink._messages(whole + broken)) == [(16, 0, b"12345")]
    assert list(netlink._messages(message(16) + whole)) == [(16, 0, b""), (16, 0, b"12345")]


@pytest.mark.parametrize(
    "broken", [b"", bytes(3), struct.pack("=HH", 3, 1) + bytes(8), struct.pack("=HH", 0, 1)]
)
def test_a_broken_attribute_ends_the_attributes(broken: bytes) -> None:
    whole = attribute(5, b"12345") + attribute(1, b"") + attribute(5 | 0x4000, b"last")
    assert netlink.attributes(whole + broken) == {5: b"last", 1: b""}


def test_the_kernels_route_is_asked_for_with_the_whole_address(kernel: Kernel) -> None:
    fixed = bytes(12)
    kernel.conversations = [[message(24, fixed + attribute(4, struct.pack("=I", 9)))]]
    assert netlink.way_to("10.1.2.3") == 9
    body = bytes([socket.AF_INET, 32]) + bytes(10) + attribute(1, bytes([10, 1, 2, 3]))
    assert kernel.asked == [struct.pack("=IHHII", 16 + len(body), GET_ROUTE, 1, 1, 0) + body]


@pytest.mark.parametrize(
    "answer",
    [
        message(ERROR, struct.pack("=i", -errno.ENETUNREACH)),
        message(24, bytes(12)),
        message(24, bytes(12) + attribute(4, b"123")),
        b"",
    ],
    ids=["refused", "no interface", "an index of three bytes", "nothing"],
)
def test_without_a_route_there_is_no_way(kernel: Kernel, answer: bytes) -> None:
    kernel.conversations = [[answer]]
    assert netlink.way_to("10.1.2.3") == 0


def neighbour(index: int, state: int, *attributes: bytes) -> bytes:
    return struct.pack("=BBHiHBB", 2, 0, 0, index, state, 0, 0) + b"".join(attributes)


V4 = attribute(1, bytes([10, 0, 0, 7]))
V6 = attribute(1, b"\xfe\x80" + bytes(13) + b"\1")
HARDWARE = attribute(2, b"\2\0\0\0\0\1")


def used(hundredths: int) -> bytes:
    return attribute(3, struct.pack("=IIII", hundredths, 0, 0, 0))


@pytest.mark.parametrize(
    ("state", "cache", "present"),
    [
        (0x02, b"", True),
        (0x80, b"", True),
        *((state, used(int(FRESH * 100)), True) for state in (0x04, 0x08, 0x10)),
        *((state, used(int(FRESH * 100) + 1), False) for state in (0x04, 0x08, 0x10)),
        (0x04, b"", False),
        (0x04, attribute(3, bytes(3)), False),
        (0x04, attribute(3, bytes(4)), True),
        (0x01, used(0), False),
        (0x20, used(0), False),
        (0x40, used(0), False),
    ],
)
def test_a_neighbour_that_answered_within_a_minute_is_present(
    kernel: Kernel, state: int, cache: bytes, present: bool
) -> None:
    answers(kernel, GET_NEIGHBOUR, neighbour(3, state, V4, HARDWARE, cache))
    assert netlink.neighbours() == ({(3, "10.0.0.7"): b"\2\0\0\0\0\1"} if present else {})


def test_a_neighbour_has_an_address_and_a_link_address(kernel: Kernel) -> None:
    short = attribute(1, bytes(5))
    others = [neighbour(4, 2, V4), neighbour(4, 2, HARDWARE), neighbour(4, 2, short, HARDWARE)]
    answers(kernel, GET_NEIGHBOUR, *others, neighbour(4, 2, V6, HARDWARE))
    assert netlink.neighbours() == {(4, "fe80::1"): b"\2\0\0\0\0\1"}


def default(length: int = 0, kind: int = 1, *attributes: bytes) -> bytes:
    return bytes([2, length, 0, 0, 254, 3, 0, kind, 0, 0, 0, 0]) + b"".join(attributes)


GATEWAY = attribute(5, bytes([10, 0, 0, 1]))
OUT = attribute(4, struct.pack("=I", 6))


def test_default_gateways_are_unicast_routes_to_everywhere_each_once(kernel: Kernel) -> None:
    v6 = attribute(5, b"\xfe\x80" + bytes(13) + b"\1")
    answers(
        kernel,
        GET_ROUTE,
        default(0, 1, GATEWAY, OUT),
        default(0, 1, GATEWAY, OUT),
        default(0, 1, v6, OUT),
        default(8, 1, GATEWAY, OUT),
        default(1, 1, GATEWAY, OUT),
        default(0, 2, GATEWAY, OUT),
        default(0, 1, OUT),
        default(0, 1, GATEWAY),
        default(0, 1, GATEWAY, attribute(4, bytes(5))),
        default(0, 1, attribute(5, bytes(5)), OUT),
    )
    assert netlink.routers() == (Router("10.0.0.1", 6), Router("fe80::1", 6))


@pytest.mark.parametrize(
    ("ask", "nothing"),
    [(netlink.neighbours, {}), (netlink.routers, ()), (lambda: netlink.way_to("10.0.0.1"), 0)],
)
def test_elsewhere_nothing_is_asked(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object], nothing: object
) -> None:
    monkeypatch.setattr(netlink, "AVAILABLE", False)
    assert ask() == nothing


def test_the_kernel_itself_answers() -> None:
    machine.needs_rtnetlink()
    assert any(b"lo\0" in record.attributes.values() for record in netlink.dump(GET_LINK))
    assert netlink.way_to("127.0.0.1") == socket.if_nametoindex("lo")
    listening = netlink.subscribe()
    with listening:
        assert listening.getsockname()[1] == 0x111
        assert not listening.getblocking()
        netlink.drain(listening)


def test_draining_reads_to_the_end() -> None:
    left = [b"one", b"two"]

    def recv(size: int) -> bytes:
        assert size >= 1 << 16
        if not left:
            raise BlockingIOError
        return left.pop()

    netlink.drain(mock.Mock(recv=recv))
    assert left == []


def test_a_subscription_that_the_system_forbids_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    made = mock.Mock()
    made.bind.side_effect = PermissionError
    monkeypatch.setattr(socket, "socket", mock.Mock(return_value=made))
    with pytest.raises(PermissionError):
        netlink.subscribe()
    made.close.assert_called_once_with()
