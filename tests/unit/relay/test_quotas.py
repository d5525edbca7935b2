"""Fair shares by numbers alone: who gets in, who makes room, and who is refused."""

from __future__ import annotations

import random
from unittest import mock

import pytest

from chat.relay.quotas import BURST, Handshakes, Limits, Places, Shares, Weights, place_of


class Door:
    def __init__(self, total: int = 8, an_address: int = 100, unproven: int = 2) -> None:
        limits = Limits(
            connections=total, connections_address=an_address, unproven=unproven, unproven_address=2
        )
        self.places: Places[mock.Mock] = Places(limits)

    def is_open(self, place: str) -> bool:
        return self.places.enter(mock.Mock(), place)

    def enter(self, place: str) -> mock.Mock:
        guest = mock.Mock()
        assert self.places.enter(guest, place)
        return guest

    def settle(self, *places: str) -> list[mock.Mock]:
        guests = []
        for place in places:
            guests.append(self.enter(place))
            assert self.places.prove(guests[-1])
        return guests


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::"),
    ],
)
def test_an_address_counts_as_what_one_host_cannot_change(host: str, place: str) -> None:
    assert place_of(host) == place


def test_one_address_has_a_bound_whatever_its_connections_have_shown() -> None:
    door = Door(an_address=3)
    door.settle("a", "a")
    assert [door.is_open(place) for place in "aab"] == [True, False, True]


def test_one_address_has_a_bound_of_handshakes_that_are_not_done() -> None:
    door = Door(unproven=100)
    first = door.enter("a")
    assert [door.is_open("a") for _ in range(2)] == [True, False]
    door.places.leave(first, "a")
    assert door.is_open("a")


def test_the_oldest_that_is_unproven_makes_room_for_a_newcomer() -> None:
    door = Door()
    guests = [door.enter(place) for place in "abc"]
    assert [guest.give_way.called for guest in guests] == [True, False, False]
    assert door.places.unproven == 2


@pytest.mark.parametrize(("inside", "newcomer"), [("abcdef", "g"), ("aaaabb", "b")])
def test_where_nobody_has_far_more_a_newcomer_comes_to_its_handshake(inside: str, newcomer: str) -> None:
    door = Door()
    settled = door.settle(*inside)
    assert not door.places.prove(door.enter(newcomer)), "4 are not over twice what it would have"
    assert not any(guest.give_way.called for guest in settled)


def test_where_one_address_has_far_more_its_newest_makes_room() -> None:
    door = Door()
    settled = door.settle(*"aaaaabc")
    assert [guest.give_way.called for guest in settled] == [False] * 4 + [True, False, False]
    assert len(door.places) == 6


def test_few_descriptors_lower_all_bounds() -> None:
    places: Places[mock.Mock] = Places(Limits(), connections=8)
    assert all(places.enter(mock.Mock(), str(number)) for number in range(4))
    assert places.unproven == 2


def test_leaving_twice_does_no_harm_and_leaves_nothing() -> None:
    door = Door()
    (guest,), unproven = door.settle("a"), door.enter("a")
    for each in (guest, unproven, guest, unproven):
        door.places.leave(each, "a")
    assert len(door.places) == 0
    assert list(door.places.newest("a")) == []


def test_an_address_that_asks_much_is_slowed_and_another_is_not() -> None:
    shakes = Handshakes(Limits(handshakes=400, handshakes_address=8))
    taken = sum(shakes.take("a", 10.0) for _ in range(100))
    assert taken == 8 * BURST
    assert shakes.take("b", 10.0)
    assert sum(shakes.take("a", 11.0) for _ in range(100)) == 8


def test_many_addresses_that_ask_much_leave_half_for_those_that_do_not() -> None:
    shakes = Handshakes(Limits(handshakes=40, handshakes_address=8))
    for place in "abcdefgh":
        for _ in range(50):
            shakes.take(place, 10.0)
    assert not shakes.take("a", 10.0)
    assert [shakes.take(f"new {number}", 10.0) for number in range(3)].count(True) == 0, "all is gone"
    for place in "abcdefgh":
        for _ in range(50):
            shakes.take(place, 11.0)
    assert shakes.take("newer", 11.0), "of what comes in a second, half is not theirs"


def test_garbage_makes_its_sender_wait_longer() -> None:
    shakes = Handshakes(Limits(handshakes=400, handshakes_address=8))
    for _ in range(20):
        assert shakes.take("a", 10.0)
        shakes.fine("a")
    assert not shakes.take("a", 10.0)
    shakes.fine("a")
    assert not shakes.take("a", 10.1), "nor does its debt grow for ever"
    assert shakes.take("a", 10.3)


def test_addresses_are_not_remembered_without_end() -> None:
    shakes = Handshakes(Limits(handshakes=1e9, handshakes_address=8))
    for number in range(65_536 + 10):
        shakes.take(str(number), 10.0)
    assert len(shakes._asked) == 65_536


def test_shares_are_bounded_in_all_and_an_address() -> None:
    shares = Shares(10, 6)
    changes = [("a", 6), ("a", 1), ("b", 4), ("c", 1), ("a", -6), ("c", 1)]
    assert [shares.change(*each) for each in changes] == [True, False, True, False, True, True]
    assert shares.count == 5


def test_where_all_is_taken_who_has_far_more_must_give() -> None:
    shares = Shares(10, 8)
    shares.change("a", 7)
    shares.change("b", 3)
    assert shares.must_give("c", 1) == "a"
    assert shares.must_give("c", 3) == "a"
    assert shares.must_give("c", 4) is None
    assert shares.must_give("a", 2) is None, "at its own bound nobody else helps"
    shares.change("b", -1)
    assert shares.must_give("c", 1) is None, "there is room"


def test_weights_are_right_after_any_changes() -> None:
    chance, weights, plain = random.Random(7), Weights(), dict[str, int]()
    for _ in range(5_000):
        place = chance.choice("abcdefgh")
        held = plain.get(place, 0)
        number = chance.randint(-held, 12)
        weights.change(place, number)
        plain[place] = held + number
        most = max(plain.values())
        assert weights.total == sum(plain.values())
        assert {one: weights.of(one) for one in plain} == plain
        richest = weights.far_richer("nobody", 0)
        assert plain[richest] == most if richest else most == 0
    assert set(weights) == {place for place, held in plain.items() if held}
