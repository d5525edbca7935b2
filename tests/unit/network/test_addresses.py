"""Which addresses are local, and how addresses are written."""

from __future__ import annotations

import errno
import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chat.network.connection import NotLocal, format_address, parse
from protocol.addresses import canonical, is_link_local_v6, is_local, is_loopback

# First and last address of each range of the design, and the neighbours just outside.
EDGES = [
    ("10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
    ("172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"),
    ("192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"),
    ("169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"),
    ("100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"),
    ("127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe7f:ffff::", "fec0::"),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fbff:ffff::", "fe00::"),
    ("::1", "::1", "::", "::2"),
]

STRANGE = [
    *("", " 10.0.0.1", "10.0.0.1 ", "10.0.0.1\n", "10.0.0", "010.0.0.1", "0x0a000001", "167772161"),
    *("10.0.0.1%eth0", "10.0.0.1:80", "localhost", "router.local", "[::1]", "\0", "1" * 10_000),
    *("fe80::1%", "fe80::1%eth0%eth1", "fe80::1%a b", "fe80::1%" + "e" * 33, "fe80::1%\x1b[31m"),
    "fc00::1%eth0",
]


@pytest.mark.parametrize(("first", "last", "before", "after"), EDGES)
def test_the_ranges_of_the_design_and_nothing_else(first: str, last: str, before: str, after: str) -> None:
    assert [is_local(address) for address in (first, last, before, after)] == [True, True, False, False]


@pytest.mark.parametrize(
    "host",
    ["8.8.8.8", "0.0.0.0", "224.0.0.251", "255.255.255.255", "2001:db8::1", "ff02::fb", "2002:a00:1::"],
)
def test_everything_else_is_not_local(host: str) -> None:
    assert not is_local(host)


@pytest.mark.parametrize(
    ("mapped", "local"), [("::ffff:10.0.0.1", True), ("::ffff:8.8.8.8", False), ("::10.0.0.1", False)]
)
def test_an_ipv4_address_in_ipv6_clothes_is_what_it_reaches(mapped: str, local: bool) -> None:
    assert is_local(mapped) == local


def test_a_scope_is_part_of_link_local_addresses_alone() -> None:
    assert is_local("fe80::1%eth0")
    assert is_local("fe80::1%3")
    assert is_link_local_v6("fe80::1%eth0")
    assert not is_link_local_v6("fc00::1")
    assert not is_link_local_v6("169.254.1.1")


@pytest.mark.parametrize("host", STRANGE)
def test_what_is_no_ip_literal_is_not_local(host: str) -> None:
    assert not is_local(host)
    with pytest.raises(ValueError):
        canonical(host)


@given(st.text(max_size=60))
def test_no_text_makes_it_raise(host: str) -> None:
    assert is_local(host) in (True, False)


@given(st.ip_addresses())
@example(ipaddress.ip_address("::ffff:127.0.0.1"))
def test_no_public_address_is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Every local address is outside the public internet: the list opens no way there."""
    real = address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address
    assert not (is_local(str(address)) and real.is_global)


def test_one_spelling_and_loopback() -> None:
    assert canonical("FE80:0:0:0::00A1%eth0") == "fe80::a1%eth0"
    assert canonical("::FFFF:192.168.1.1") == "192.168.1.1"
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("10.0.0.1", "x")))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1:4747", ("10.0.0.1", 4747)),
        ("  192.168.1.20:1 ", ("192.168.1.20", 1)),
        ("[fe80::1]:65535", ("fe80::1", 65535)),
        ("[FE80::0:1%wlan0]:4747", ("fe80::1%wlan0", 4747)),
        ("[::1]:4747", ("::1", 4747)),
    ],
)
def test_parse(text: str, address: tuple[str, int]) -> None:
    assert parse(text) == address
    assert parse(format_address(*address)) == address


NOT_PARSED = [
    *("", "10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.1:+80"),
    *("10.0.0.1:８０", "10.0.0.1:1_0", "fe80::1:4747", "[10.0.0.1]:80", "[fe80::1:80", "host:80", ":80"),
    *("[]:80", "a" * 5000 + ":80"),
]


@pytest.mark.parametrize("text", NOT_PARSED)
def test_parse_refuses_with_one_line(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 120


def test_not_local_is_an_oserror_that_quotes_nothing_but_an_address() -> None:
    error = NotLocal("8.8.8.8")
    assert isinstance(error, OSError)
    assert error.errno == errno.EACCES
    assert "8.8.8.8" in str(error)
    assert "\x1b" not in str(NotLocal("\x1b[31mevil"))
