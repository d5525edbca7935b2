"""Announcements as records: what is written is read back, and nothing else is (attack 16, 36, 65)."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chat.network.interfaces import MAX_ADDRESSES
from chat.network.mdns import decode, encode_text
from chat.network.mdns_browser import instance_of
from chat.ports import Announcement
from protocol.discovery import SERVICE, SLOT_COUNTS, TEXT_MAX
from protocol.errors import Malformed

PLAIN = Announcement("k3q9z", ("10.77.0.1", "fe80::1"), 4747, tuple(bytes([n]) * 8 for n in range(32)))
NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=64)


def strings(*each: bytes) -> bytes:
    """A TXT record of these strings (RFC 6763 §6.1)."""
    return b"".join(bytes([len(string)]) + string for string in each)


def pieces(slots: bytes) -> list[bytes]:
    return [b"s%d=" % number + slots[at : at + 248] for number, at in enumerate(range(0, len(slots), 248))]


def read(text: bytes) -> Announcement:
    return decode(PLAIN.instance, PLAIN.port, PLAIN.addresses, text)


@given(st.sampled_from(SLOT_COUNTS), st.one_of(st.just(""), NAMES))
def test_what_is_announced_is_what_is_found(count: int, name: str) -> None:
    announced = replace(PLAIN, slots=tuple(os.urandom(8) for _ in range(count)), name=name)
    text = encode_text(announced)
    assert len(text) <= TEXT_MAX
    found = read(text)
    assert replace(found, name="") == replace(announced, name="")
    # A name is cut only where one string of a TXT record cannot hold it, and never inside a character.
    assert name.startswith(found.name)
    assert found.name == name or len(found.name.encode()) > 253 - 4


def test_addresses_are_sorted_and_a_later_version_may_say_more() -> None:
    turned = replace(PLAIN, addresses=tuple(reversed(PLAIN.addresses)))
    assert read(encode_text(turned)) == PLAIN
    assert read(strings(b"v=1", *GOOD, b"z=new")) == PLAIN, "a later version may say more"


def test_attack_65_the_size_tells_the_number_of_slots_and_nothing_else() -> None:
    """Nobody can count contacts; a hidden terminal's record has no name and no room for one."""
    for count in SLOT_COUNTS:
        records = [
            encode_text(replace(PLAIN, slots=tuple(os.urandom(8) for _ in range(count)))) for _ in range(9)
        ]
        assert len({len(record) for record in records}) == 1
    assert b"n=" not in encode_text(replace(PLAIN, slots=(b"\0" * 8,) * 32))


GOOD = pieces(b"".join(PLAIN.slots))
MALFORMED = {
    "empty": b"",
    "cut": strings(b"v=1", *GOOD)[:-1],
    "a string longer than the rest": strings(b"v=1", *GOOD) + b"\xff",
    "an empty string": strings(b"v=1", *GOOD) + b"\0",
    "no version": strings(*GOOD),
    "another version": strings(b"v=2", *GOOD),
    "a version with more": strings(b"v=1 ", *GOOD),
    "no slots": strings(b"v=1"),
    "a slot too few": strings(b"v=1", *pieces(bytes(31 * 8))),
    "a slot too many": strings(b"v=1", *pieces(bytes(33 * 8))),
    "half a slot": strings(b"v=1", *pieces(bytes(32 * 8 + 4))),
    "more slots than there may be": strings(b"v=1", *pieces(bytes(129 * 8))),
    "a missing piece": strings(b"v=1", b"s1=" + bytes(248), b"s2=" + bytes(8)),
    "a key twice": strings(b"v=1", b"v=1", *GOOD),
    "a key without a value": strings(b"v=1", b"n", *GOOD),
    "a name that is not UTF-8": strings(b"v=1", *GOOD, b"n=\xff\xfe"),
    "a name with a control character": strings(b"v=1", *GOOD, b"n=\x1b[31mred"),
    "a name with a line break": strings(b"v=1", *GOOD, b"n=two\nlines"),
    "a name of 65 characters": strings(b"v=1", *GOOD, b"n=" + b"a" * 65),
    "longer than any": strings(b"v=1", *GOOD, *[b"x%d=" % n + b"x" * 200 for n in range(6)]),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_attack_36_a_malformed_record_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        read(text)
    assert "red" not in str(caught.value)


@given(st.binary(max_size=1500))
def test_no_bytes_do_anything_but_be_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        read(text)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"port": port} for port in (None, 0, -1, 65536)),
        *({"instance": name} for name in ("", "A", "a.b", "a_b", "a b", "é", "a" * 64, "\x1b[31m", "a\n")),
        *({"addresses": found} for found in ([], ["8.8.8.8"], ["nonsense"])),
        {"addresses": [f"10.0.0.{n}" for n in range(MAX_ADDRESSES + 1)]},
    ],
)
def test_what_comes_with_a_record_is_checked_too(wrong: dict[str, Any]) -> None:
    given = {"instance": PLAIN.instance, "port": 4747, "addresses": PLAIN.addresses, **wrong}
    with pytest.raises(Malformed):
        decode(**given, text=encode_text(PLAIN))


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        (["8.8.8.8", "10.0.0.1"], ("10.0.0.1",)),  # an address that somebody added changes nothing
        (["10.0.0.1", "10.0.0.1", "::ffff:10.0.0.1"], ("10.0.0.1",)),
        (["fe80::1%3", "FE80::1"], ("fe80::1",)),
        (["127.0.0.1", "10.0.0.1"], ("10.0.0.1",)),  # dialling loopback is dialling oneself
        (["127.0.0.1", "::1"], ("127.0.0.1", "::1")),
    ],
)
def test_attack_16_only_local_addresses_count(addresses: list[str], found: tuple[str, ...]) -> None:
    assert decode("a", 1, addresses, encode_text(PLAIN)).addresses == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"slots": ()},
        {"slots": (bytes(8),) * 31},
        {"slots": (bytes(7),) * 32},
        {"instance": "Host.Name"},
        {"port": 0},
        {"port": 65_536},
        {"addresses": ()},
        {"addresses": ("8.8.8.8",)},
        {"addresses": ("fe80::1%eth0",)},
        {"addresses": tuple(f"10.0.0.{n}" for n in range(9))},
        {"name": "a" * 65},
        {"name": "bell\a"},
    ],
)
def test_what_no_peer_would_accept_is_not_announced(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        encode_text(replace(PLAIN, **wrong))


@pytest.mark.parametrize(
    "just",
    [
        {"instance": "a" * 63},
        {"port": 1},
        {"port": 65_535},
        {"addresses": tuple(f"10.0.0.{n}" for n in range(8))},
        {"slots": tuple(bytes([n]) * 8 for n in range(128))},
        {"name": "a" * 64},
    ],
)
def test_what_a_peer_just_accepts_is_announced(just: dict[str, object]) -> None:
    announced = replace(PLAIN, **just)
    said = decode(announced.instance, announced.port, announced.addresses, encode_text(announced))
    assert (said.instance, said.port, said.addresses) == (
        announced.instance,
        announced.port,
        announced.addresses,
    )


def test_instance_of() -> None:
    assert instance_of(f"k3q9z.{SERVICE}") == "k3q9z"
    others = ("", SERVICE, "k3q9z", "k3q9z._http._tcp.local.")
    for name in (*others, f"a.b.{SERVICE}", f"k3q9z.{SERVICE}x", f"Q \x1b[m.{SERVICE}"):
        assert instance_of(name) == ""
