"""The address of a relay (SPEC §11.7.1): one text for a value, and nothing that only looks like one."""

from __future__ import annotations

import pytest

from protocol.errors import LimitExceeded, LocalMisuse, Malformed
from protocol.keys import X25519Pair
from protocol.limits import RELAY_ADDRESS_MAX
from protocol.relay.rendezvous import RelayAddress, format_relay, key_text, parse_relay

KEY = X25519Pair(bytes(range(32))).public
TEXT = key_text(KEY)


@pytest.mark.parametrize(
    ("host", "written", "is_name"),
    [
        ("192.0.2.7", "192.0.2.7", False),
        ("2001:db8::7", "[2001:db8::7]", False),
        ("relay.example.org", "relay.example.org", True),
        ("localhost", "localhost", True),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", True),
        ("3com.example", "3com.example", True),
        ("a" * 63 + "." + "b" * 63 + "." + "c" * 54, "a" * 63 + "." + "b" * 63 + "." + "c" * 54, True),
    ],
)
def test_a_value_has_one_text(host: str, written: str, is_name: bool) -> None:
    relay = RelayAddress(host, 4748, KEY)
    assert format_relay(relay) == f"parlour-relay:{written}:4748#{TEXT}" == str(relay)
    assert parse_relay(str(relay)) == relay
    assert relay.is_name == is_name


@pytest.mark.parametrize("port", [1, 65_535])
def test_ports(port: int) -> None:
    assert parse_relay(f"parlour-relay:h:{port}#{TEXT}").port == port


@pytest.mark.parametrize(
    "text",
    [
        "",
        "parlour-relay:",
        f"relay.example:4748#{TEXT}",
        f"PARLOUR-RELAY:h:4748#{TEXT}",
        f"parlour-relay:h#{TEXT}",
        f"parlour-relay:h:4748:{TEXT}",
        f" parlour-relay:h:4748#{TEXT}",
        f"parlour-relay:h:4748#{TEXT}\n",
        *(
            f"parlour-relay:{host}:4748#{TEXT}"
            for host in (
                "", "H.example", "h..example", ".h", "h.", "-h", "h-", "a" * 64, "h_x", "hé",
                "10.0.0.01", "10.0.1", "1", "0x7f000001", "1.2.3.0x4", "1.2.3.4.5", "::1", "[10.0.0.1]",
                "[h]", "[::01]", "[::ffff:10.0.0.1]", "[FE80::1]", "[fe80::1%2]", "user@h", "h/x",
            )
        ),
        *(f"parlour-relay:h:{port}#{TEXT}" for port in ("", "0", "01", "65536", "+1", "1_0", "٣")),
        *(
            f"parlour-relay:h:1#{key}"
            for key in (
                "", TEXT[:-1], TEXT + "a", TEXT.upper(), TEXT[:-1] + "1", TEXT + "====", TEXT[:-1] + "b",
                key_text(bytes(32)), key_text(b"\x01" + bytes(31)), key_text(b"\xff" * 32),
            )
        ),
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_relay(text: str) -> None:
    with pytest.raises(Malformed):
        parse_relay(text)


def test_a_text_that_is_too_long() -> None:
    most = f"parlour-relay:{'a.' * 90}aa:65535#{TEXT}"
    assert len(most) <= RELAY_ADDRESS_MAX
    parse_relay(most)
    with pytest.raises(LimitExceeded):
        parse_relay(most + "a" * RELAY_ADDRESS_MAX)


@pytest.mark.parametrize(("host", "port"), [("Host", 1), ("h", 0), ("h", 65_536), ("fe80::1%2", 1)])
def test_a_value_without_a_text_is_our_own_mistake(host: str, port: int) -> None:
    with pytest.raises(LocalMisuse):
        format_relay(RelayAddress(host, port, KEY))
