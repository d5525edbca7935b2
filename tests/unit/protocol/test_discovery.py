"""Announcement slots (SPEC §13): known to contacts, noise to everybody else."""

from __future__ import annotations

import re

import pytest

from protocol.discovery import Known, is_shown_name, make_slots, new_instance, recognise, slot
from tests.support.protocol.samples import seeded

DAY = 20_000
STATIC = bytes([7]) * 32
ADDRESSES = ("192.168.1.20", "fe80::1")
INSTANCE, PORT = "0123456789abcdef", 4747


def key(index: int) -> bytes:
    return seeded(f"key {index}")(32)


KNOWN = Known(b"person", b"terminal", STATIC, key(0))


def announced(count: int, label: str, day: int = DAY, instance: str = INSTANCE) -> tuple[bytes, ...]:
    keys = [key(index) for index in range(count)]
    return make_slots(keys, day, STATIC, instance, PORT, ADDRESSES, seeded(label))


def test_attack_65_announcements_of_one_terminal_share_nothing() -> None:
    """Neither the fillings nor the real ones of two instances can be brought together."""
    first = set(announced(3, "one"))
    assert len(first) == 32
    assert not first & set(announced(3, "two", instance=new_instance(seeded("instance"))))
    assert not first & set(announced(3, "three", day=DAY + 1))


def test_attack_65_the_place_of_a_slot_is_random() -> None:
    """Over many announcements a contact's slot stands everywhere, first and last included."""
    real = slot(key(0), DAY, STATIC, INSTANCE, PORT, ADDRESSES)
    places = {announced(1, f"{index}").index(real) for index in range(400)}
    assert places == set(range(32))


def test_attack_65_an_instance_name_names_nobody() -> None:
    random = seeded("instances")
    names = {new_instance(random) for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)


def test_a_discovery_key_is_not_shown() -> None:
    assert KNOWN.key.hex() not in repr(KNOWN)
    assert repr(KNOWN.key) not in repr(KNOWN)


def test_what_a_stranger_announces_cannot_stop_the_search() -> None:
    slots = announced(1, "x")
    assert recognise(slots, INSTANCE, PORT, ADDRESSES, [KNOWN], DAY) == KNOWN
    for found, instance, port, addresses in (
        (slots, "\ud800", PORT, ADDRESSES),
        (slots, INSTANCE, -1, ADDRESSES),
        (slots, INSTANCE, 2**16, ADDRESSES),
        (slots, INSTANCE, PORT, ("\udfff",)),
        (slots, INSTANCE, PORT, ()),
        ((), INSTANCE, PORT, ADDRESSES),
        ((b"", b"short"), INSTANCE, PORT, ADDRESSES),
    ):
        assert recognise(found, instance, port, addresses, [KNOWN], DAY) is None


@pytest.mark.parametrize(("port", "possible"), [(-1, False), (0, True), (65_535, True), (65_536, False)])
def test_a_terminal_is_recognised_at_any_port_of_two_bytes(port: int, possible: bool) -> None:
    slots = [slot(key(0), DAY, STATIC, INSTANCE, port, ADDRESSES)] if possible else announced(1, "x")
    assert (recognise(slots, INSTANCE, port, ADDRESSES, [KNOWN], DAY) is KNOWN) is possible


@pytest.mark.parametrize(
    ("name", "shown"), [("", False), ("a", True), ("a" * 64, True), ("a" * 65, False), ("bell\a", False)]
)
def test_a_name_for_strangers_has_1_to_64_characters(name: str, shown: bool) -> None:
    assert is_shown_name(name) is shown
