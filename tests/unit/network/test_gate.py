"""Bounds on who may come in, with a clock that the test moves."""

from __future__ import annotations

from chat.network.limits import UNPROVEN, Gate
from protocol.limits import HANDSHAKE_SECONDS


class Guest:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_address_gets_its_share_and_no_more() -> None:
    gate = Gate(total=10, an_address=2, now=Clock())
    guests = [Guest() for _ in range(3)]
    assert [gate.enter(guest, "10.0.0.1") for guest in guests] == [True, True, False]
    assert gate.enter(Guest(), "10.0.0.2")
    gate.left(guests[0])
    assert gate.enter(guests[2], "10.0.0.1")


def test_a_scope_makes_no_other_address() -> None:
    gate = Gate(total=10, an_address=1, now=Clock())
    assert gate.enter(Guest(), "fe80::1%eth0")
    assert not gate.enter(Guest(), "fe80::1%eth1")


def test_when_it_is_full_the_oldest_that_has_proved_nothing_gives_way() -> None:
    clock = Clock()
    gate = Gate(total=3, an_address=9, now=clock)
    settled, first, second, new = (Guest() for _ in range(4))
    gate.enter(settled, "10.0.0.1")
    clock.now += UNPROVEN
    gate.enter(first, "10.0.0.2")
    clock.now += 1
    gate.enter(second, "10.0.0.3")
    assert gate.enter(new, "10.0.0.4")
    assert [guest.aborted for guest in (settled, first, second, new)] == [False, True, False, False]
    assert len(gate) == 3


def test_when_all_have_lived_long_the_newcomer_waits() -> None:
    clock = Clock()
    gate = Gate(total=2, an_address=9, now=clock)
    inside = [Guest(), Guest()]
    for guest in inside:
        gate.enter(guest, "10.0.0.1")
    clock.now += UNPROVEN
    assert not gate.enter(Guest(), "10.0.0.2")
    assert not any(guest.aborted for guest in inside)


def test_leaving_twice_or_never_having_entered_does_no_harm() -> None:
    gate = Gate(total=1, an_address=1, now=Clock())
    guest = Guest()
    gate.enter(guest, "10.0.0.1")
    gate.left(guest)
    gate.left(guest)
    gate.left(Guest())
    assert len(gate) == 0
    assert gate.enter(Guest(), "10.0.0.1")


def test_a_flood_from_everywhere_takes_no_more_than_the_total() -> None:
    clock = Clock()
    gate = Gate(total=8, an_address=2, now=clock)
    guests = [Guest() for _ in range(1000)]
    for number, guest in enumerate(guests):
        clock.now += 0.001
        assert gate.enter(guest, f"10.0.{number // 250}.{number % 250}")
        assert len(gate) <= 8
    assert sum(not guest.aborted for guest in guests) == 8


def test_whoever_opened_a_link_is_older_than_what_gives_way() -> None:
    assert UNPROVEN > HANDSHAKE_SECONDS
