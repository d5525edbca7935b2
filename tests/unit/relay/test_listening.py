"""Where a relay listens, and which addresses it tells."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from chat.network.interfaces import Interface, Kind
from chat.relay import run
from chat.relay.run import listen, port_of, reached_at

LO = Interface("lo", 1, Kind.LOOPBACK, True, ("127.0.0.1/8", "::1/128"))
LAN = Interface("eth0", 2, Kind.LAN, True, ("10.77.0.2/24", "fe80::2/64"))
PUBLIC = Interface("eth1", 3, Kind.LAN, True, ("2001:db8::5/64", "203.0.113.5/24"))
DOWN = Interface("eth2", 4, Kind.LAN, False, ("203.0.113.9/24",))


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_on_one_address_it_is_one_socket_that_does_not_block(host: str, family: int) -> None:
    (server,) = listen(host, 0)
    with server:
        assert server.family == family
        assert not server.getblocking()
        with socket.create_connection((host, port_of(server))):
            accepted, _ = server.accept()
            accepted.close()


def test_without_a_host_both_families_have_one_port() -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(server) for server in listen("", 0)]
        assert {port_of(server) for server in servers} == {port_of(servers[0])}
        assert [server.family for server in servers] == [socket.AF_INET, socket.AF_INET6][: len(servers)]


@pytest.mark.parametrize("host", ["localhost", "relay.example", "127.0.0.1:80", "1", "127.1"])
def test_names_are_not_looked_up(host: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        listen(host, 0)


def test_a_port_that_is_taken_is_an_error_and_nothing_stays_open() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            listen("", port_of(taken))


@pytest.mark.parametrize(
    ("host", "found", "told"),
    [
        ("192.0.2.1", [LO, LAN], ["192.0.2.1"]),
        ("fe80::2%eth0", [LO, LAN], ["fe80::2"]),
        ("", [LO, LAN], ["10.77.0.2", "fe80::2"]),
        ("0.0.0.0", [LO, LAN], ["10.77.0.2"]),
        ("::", [LO, LAN], ["fe80::2"]),
        ("", [LO, LAN, PUBLIC, DOWN], ["203.0.113.5", "2001:db8::5", "10.77.0.2", "fe80::2"]),
        ("", [LO, PUBLIC], ["203.0.113.5", "2001:db8::5"]),
        ("0.0.0.0", [LO, PUBLIC], ["203.0.113.5"]),
        ("", [LO], ["127.0.0.1"]),
        ("", [], []),
    ],
)
def test_it_tells_where_others_reach_it(
    monkeypatch: pytest.MonkeyPatch, host: str, found: list[Interface], told: list[str]
) -> None:
    monkeypatch.setattr(run, "interfaces", lambda: found)
    assert reached_at(host) == told
