"""What is known of others: bounded, told once, doubted after a change of network."""

from __future__ import annotations

from dataclasses import replace

from chat.network.mdns_browser import KNOWN_MAX, PeerTable
from chat.ports import Announcement

ONE = Announcement("one", ("10.0.0.1",), 4747, (bytes(8),) * 32)


class Ears:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def found(self, announcement: Announcement) -> None:
        self.heard.append(announcement)

    def lost(self, instance: str) -> None:
        self.heard.append(instance)

    def network_changed(self) -> None:
        raise AssertionError("not theirs to tell")


def test_each_thing_is_told_once() -> None:
    ears = Ears()
    sightings = PeerTable(ears)
    moved = replace(ONE, port=4748)
    for announcement in (ONE, ONE, moved, moved):
        sightings.found(announcement)
    for _ in range(2):
        sightings.lost("one")
    sightings.lost("never seen")
    assert ears.heard == [ONE, moved, "one"]


def test_attack_16_a_flood_pushes_out_the_oldest_and_keeps_no_more() -> None:
    """Invented announcements cost memory for 256 of them, never more."""
    ears = Ears()
    sightings = PeerTable(ears)
    for number in range(KNOWN_MAX + 10):
        sightings.found(replace(ONE, instance=f"n{number}"))
        assert len(sightings) <= KNOWN_MAX
    assert [each for each in ears.heard if isinstance(each, str)] == [f"n{number}" for number in range(10)]


def test_after_a_change_of_network_only_who_is_heard_again_stays() -> None:
    ears = Ears()
    sightings = PeerTable(ears)
    two = replace(ONE, instance="two")
    sightings.found(ONE)
    sightings.found(two)
    sightings.doubt()
    sightings.found(two)
    sightings.found(replace(ONE, instance="three"))
    ears.heard.clear()
    sightings.settle()
    assert ears.heard == ["one"]
    sightings.settle()
    assert ears.heard == ["one"]
