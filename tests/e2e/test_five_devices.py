"""Two persons with three and two devices: one is cut off, one stolen, removed and replaced, and all agree."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.e2e.programs import Station, end, is_event, link, listening, pair, wait_event
from tests.support.lab.hosts import Lab

HOSTS = 6
A_DAY = 24
"""Texts of each person while a device is cut off."""

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_after_a_cut_a_theft_and_a_removal_live_devices_show_one_history(lab: Lab, tmp_path: Path) -> None:
    def device(number: int, person: str, name: str) -> Station:
        station = Station(person, tmp_path, lab.hosts[number])
        station.profile = tmp_path / name
        return station

    desk, laptop, phone = (device(n, "Ada", name) for n, name in enumerate(("desk", "laptop", "phone")))
    pc, tablet = device(3, "Ben", "pc"), device(4, "Ben", "tablet")
    thief, second = device(5, "Ada", "stolen"), device(1, "Ada", "second")
    for founder in (desk, pc):
        founder.create()
    pair(desk, pc)
    with listening(pc):
        stolen = link(desk, laptop, "laptop")
        link(desk, phone, "phone")
    with listening(desk):
        link(pc, tablet, "tablet")

    with ExitStack() as stack:
        honest = (desk, phone, pc, tablet)
        running = {station: stack.enter_context(station.start("listen")) for station in honest}
        theirs = stack.enter_context(laptop.start("listen"))
        for program in (*running.values(), theirs):
            wait_event(program, "ready")
        for speaker in (desk, laptop, tablet):
            speaker.say(text := f"from the {speaker.profile.name}")
            for station in (desk, laptop, phone, pc, tablet):
                station.until_said(text)

        lab.cut(phone.host)  # type: ignore[arg-type]  # it has one
        for number in range(A_DAY):
            desk.say(f"Ada's hour {number}")
            pc.say(f"Ben's hour {number}")
        tablet.until_said(f"Ada's hour {A_DAY - 1}")

        end(theirs)
        shutil.copytree(laptop.profile, thief.profile, ignore=shutil.ignore_patterns("*.sock"))
        copied = stack.enter_context(thief.start("listen"))
        wait_event(copied, "ready")
        thief.say("by the thief")
        for station in (desk, pc):
            station.until_said("by the thief")
        (removed,) = desk.run("terminal", "remove", "laptop", "--yes").objects
        assert (removed["removed"], removed["added"]) == (stolen, [])
        for station in (pc, tablet):
            wait_event(running[station], "identity", cause='removed the device "laptop"')
        link(desk, second, "second")
        running[second] = stack.enter_context(second.start("listen"))
        wait_event(running[second], "ready")
        desk.say("after the removal")

        lab.heal(phone.host)  # type: ignore[arg-type]  # it has one
        everyone = (desk, phone, second, pc, tablet)
        pc.say("to all who are left")
        for station in everyone:
            for text in ("to all who are left", "after the removal", f"Ben's hour {A_DAY - 1}"):
                station.until_said(text)
        agreed(everyone)
        held = [text for _, text in thief.said()]
        assert "by the thief" in held
        assert {"after the removal", "to all who are left"}.isdisjoint(held)
        gone = is_event("peer", present=False)  # some device of each person was there all the time
        assert not any(gone(line) for station in (desk, pc, tablet) for line in running[station].said)
        end(copied, *running.values())


def agreed(stations: Sequence[Station]) -> None:
    """All devices hold the same entries in the same order, to the hash."""
    roots = {station.profile.name: station.run("terminal", "compare").objects[0] for station in stations}
    shown = {(one["entries"], one["root"]) for one in roots.values()}
    assert len(shown) == 1, json.dumps(roots, indent=1)
