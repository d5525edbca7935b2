"""Announcement slots (SPEC §13): known to contacts, noise to everybody else."""

from __future__ import annotations

import re

from protocol.discovery import Known, make_slots, new_instance, recognise, slot
from tests.support.protocol.samples import seeded

DAY = 20_000
STATIC = bytes([7]) * 32
ADDRESSES = ("192.168.1.20", "fe80::1")
INSTANCE, PORT = "0123456789abcdef", 4747


def key(index: int) -> bytes:
    return seeded(f"key {index}")(32)


def known(index: int, static: bytes = STATIC) -> Known:
    return Known(f"person {index}".encode(), f"terminal {index}".encode(), static, key(index))


def announced(count: int, label: str = "x", day: int = DAY) -> tuple[bytes, ...]:
    keys = [key(index) for index in range(count)]
    return make_slots(keys, day, STATIC, INSTANCE, PORT, ADDRESSES, seeded(label))


def seen(
    slots: tuple[bytes, ...],
    by: list[Known],
    *,
    instance: str = INSTANCE,
    port: int = PORT,
    addresses: tuple[str, ...] = ADDRESSES,
    day: int = DAY,
) -> Known | None:
    return recognise(slots, instance, port, addresses, by, day)


def test_attack_65_announcements_of_one_terminal_share_nothing() -> None:
    """Neither the fillings nor the real ones of two instances can be brought together."""
    first = announced(3, "one")
    other = make_slots(
        [key(index) for index in range(3)],
        DAY,
        STATIC,
        new_instance(seeded("instance")),
        PORT,
        ADDRESSES,
        seeded("two"),
    )
    assert not set(first) & set(other)
    tomorrow = announced(3, "three", day=DAY + 1)
    assert not set(first) & set(tomorrow)


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
    assert key(1).hex() not in repr(known(1))
    assert repr(key(1)) not in repr(known(1))


def test_what_a_stranger_announces_cannot_stop_the_search() -> None:
    slots = announced(1)
    for instance, port, addresses in (
        ("\ud800", PORT, ADDRESSES),
        (INSTANCE, -1, ADDRESSES),
        (INSTANCE, 2**16, ADDRESSES),
        (INSTANCE, PORT, ("\udfff",)),
        (INSTANCE, PORT, ()),
    ):
        assert seen(slots, [known(0)], instance=instance, port=port, addresses=addresses) is None
    assert seen((), [known(0)]) is None
    assert seen((b"", b"short"), [known(0)]) is None
