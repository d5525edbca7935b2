"""Announcements of a contact's terminal that somebody repeats or withdraws (SPEC §13)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from chat.network.connector import PLACES_AT_ONCE, places_of_turn
from chat.ports import Announcement
from chat.service.discovery import PLACES_FOUND
from protocol.discovery import make_slots, utc_day
from tests.integration.steps import in_touch
from tests.support.engines.engines import Person, in_virtual_time, links, talk

MOVED = "10.0.0.77"


def announced(person: Person, instance: str, *hosts: str) -> Announcement:
    """What the person's terminal announced today at other addresses, as anybody could record it."""
    parts = person.engine._use_cases
    day, static = utc_day(person.clock.wall()), parts.keyring.identity.static.public
    slots = make_slots(parts.keyring.viewers(), day, static, instance, 4747, hosts, parts.runtime.random)
    return Announcement(instance, hosts, 4747, slots, "")


def repeat(at: Person, *announcements: Announcement) -> None:
    for announcement in announcements:
        at.network.watchers[at.host].found(announcement)


def hosts(at: Person, of: Person) -> list[str]:
    return [host for host, _ in at.engine._use_cases.keyring.hints(of.peer)]


@pytest.mark.parametrize("count", [1, 2 * PLACES_AT_ONCE])
@in_virtual_time(limit=600)
async def test_case_93_older_announcements_repeated_do_not_replace_the_newer_one(
    tmp_path: Path, count: int
) -> None:
    """Ben comes back at another address, where only Ada can dial; somebody repeats this morning's."""
    async with in_touch(tmp_path) as (network, ada, ben):
        old = [announced(ben, f"{number:016x}", f"10.0.1.{number}") for number in range(count)]
        await ben.stop()
        ben.host = MOVED
        network.cut(MOVED)
        await ben.start()
        ben.engine._use_cases.dialer.follow([])
        await asyncio.sleep(1)
        repeat(ada, *old)
        assert links(ada) == 0
        network.heal(MOVED)
        await asyncio.wait_for(talk(ada, ben, "at the new address"), 60)


@in_virtual_time(limit=600)
async def test_a_goodbye_in_the_contacts_name_takes_no_address_away(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        await ben.stop()
        ben.host = MOVED
        network.cut(MOVED)
        await ben.start()
        ben.engine._use_cases.dialer.follow([])
        await asyncio.sleep(1)
        network.watchers[ada.host].lost(network.announced[MOVED].instance)
        network.heal(MOVED)
        await asyncio.wait_for(talk(ada, ben, "at the new address"), 60)


@in_virtual_time(limit=600)
async def test_the_address_that_worked_last_stays_first_whatever_is_announced(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        repeat(ada, announced(ben, "one", "10.0.0.50", "10.0.0.51"), announced(ben, "two", "10.0.0.60"))
        assert hosts(ada, ben) == [ben.host, "10.0.0.60", "10.0.0.50", "10.0.0.51"]


@in_virtual_time(limit=600)
async def test_a_flood_of_repeated_announcements_fills_a_bound_and_leaves_what_worked(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        repeat(ada, *(announced(ben, f"n{number}", f"10.0.1.{number}") for number in range(PLACES_FOUND + 9)))
        assert hosts(ada, ben)[0] == ben.host
        assert len(hosts(ada, ben)) == 1 + PLACES_FOUND


def tried(places: Sequence[tuple[str, int]], turns: int) -> set[tuple[str, int]]:
    return {place for turn in range(turns) for place in places_of_turn(places, turn)}


def test_every_address_has_its_turn_and_the_first_one_each_time() -> None:
    for count in range(80):
        places = [(f"10.0.2.{number}", 4747) for number in range(count)]
        assert tried(places, 1 + count // (PLACES_AT_ONCE - 1)) == set(places)
        for turn in range(9):
            attempt = places_of_turn(places, turn)
            assert len(attempt) == len(set(attempt)) == min(count, PLACES_AT_ONCE)
            assert attempt[:1] == places[:1]


@in_virtual_time
async def test_case_94_a_change_of_a_log_checks_the_announcements_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers make as many as are remembered, and a contact renames itself again and again."""
    async with in_touch(tmp_path) as (_, ada, ben):
        announcer, checked = ada.engine._use_cases.announcer, list[str]()
        repeat(ada, *(announced(ben, f"{number:016x}", "10.0.1.1") for number in range(60)))

        def look(_slots: Sequence[bytes], instance: str, *_others: object) -> None:
            checked.append(instance)

        monkeypatch.setattr("chat.service.discovery.recognise", look)
        for _ in range(3):
            announcer.recognise_again()
        for turns in range(1, 10):
            await asyncio.sleep(0)
            assert len(checked) <= turns
        await asyncio.sleep(1)
        assert len(checked) == len(set(checked)) == announcer.heard >= 60
