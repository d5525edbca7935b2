"""kill -9 of either side at random moments, and disks that fail: what was acknowledged stays.

`tests/crash` kills either side at calls of a delivery.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from chat.assemble import marks_folder
from chat.interface import Messenger, Unreachable
from tests.support.e2e.programs import (
    PATIENCE,
    Station,
    created,
    end,
    pair,
    settle,
    until_nothing_waits,
    wait_event,
)
from tests.support.e2e.tracing import failing, steps, traced
from tests.support.lab.hosts import Lab
from tests.support.lab.programs import Program
from tests.support.machine import needs_root_network

pytestmark = [pytest.mark.network, pytest.mark.crash, pytest.mark.slow, pytest.mark.usefixtures("strace")]

HELLO = ("send", "Ben", "hello", "--wait", "60")
MOMENTS = 20


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The profiles of Ada and Ben, who have just paired; to be copied, never opened."""
    needs_root_network()
    folder = tmp_path_factory.mktemp("paired")
    with Lab(2) as lab:
        pair(*created(folder, lab.hosts, "Ada", "Ben"))
    return folder


def conversation(lab: Lab, paired: Path, folder: Path) -> tuple[Station, Station]:
    """Ada and Ben, paired and at rest, each on a host of the lab."""
    shutil.copytree(paired, folder)
    # Without its mark outside, this copy is the only one that the machine knows.
    shutil.rmtree(marks_folder(), ignore_errors=True)
    return Station("Ada", folder, lab.hosts[0]), Station("Ben", folder, lab.hosts[1])


def settled(ada: Station, ben: Station, acknowledged: list[str]) -> None:
    """Both run again, and everything is at both ends, once, in one order."""
    assert set(acknowledged) <= {text for _, text in settle(ada, ben)}


def test_attack_74_an_error_at_any_fsync_of_send_is_told_as_it_is(paired: Path, tmp_path: Path) -> None:
    """The disk fails from one fsync on, or at one. Nobody listens, so that it lies in Ada's profile alone.

    `make crash` has one error at each fsync. Here each second one begins to fail, each fourth fails once.
    """
    line = ("send", "Ben", "hello", "--wait", "0", "--id", "one")
    outcomes = set[bool]()
    with Lab(2) as lab:
        ada, _ = conversation(lab, paired, tmp_path / "whole")
        with ada.start(*line, under=traced(tmp_path / "log")) as sending:
            assert sending.wait_exit(PATIENCE) == 75
        syncs = [number for call, number in steps(tmp_path / "log") if call == "fsync"]
        for place, number in enumerate(syncs[::2]):
            for moment in (f"{number}+", f"{number}")[: 1 if place % 2 else 2]:
                ada, _ = conversation(lab, paired, tmp_path / moment)
                with ada.start(*line, under=failing("fsync", moment)) as sending:
                    sending.wait_exit(PATIENCE)
                    told = " ".join(sending.complained)
                stored = not sending.said or ada.run("history", "Ben").objects
                assert ada.run(*line).status == 75
                assert [entry["text"] for entry in ada.run("history", "Ben").objects] == ["hello"]
                # A restart may bring back what such a failure left in the log.
                assert stored if sending.said else "may have been stored" in told, (moment, told)
                outcomes.add(bool(sending.said))
    assert outcomes == {True, False}, "one error can be settled, and a disk that goes on failing cannot"


@pytest.mark.parametrize("log", [False, True], ids=["closed", "crashed"])
def test_attack_74_on_a_read_only_disk_history_reads_and_nothing_else_goes(
    paired: Path, tmp_path: Path, log: bool
) -> None:
    """After a crash the newest entries are in the log alone."""
    with Lab(2) as lab:
        ada, _ = conversation(lab, paired, tmp_path / "profiles")
        assert ada.run("send", "Ben", "hello", "--wait", "0").status == 75
        if log:
            with ada.start("listen") as listening_one:
                wait_event(listening_one, "ready")
                ada.say("after it")
                listening_one.kill()
        (ada.profile / "lock").unlink()
        folder = str(ada.profile)
        remount = f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}"
        read_only = ("unshare", "-m", "sh", "-c", f'{remount} && exec "$@"', "sh")
        told = []
        for line in (
            ("history", "Ben"),
            ("send", "Ben", "x", "--wait", "0"),
            ("delete", "Ben", "--last", "--yes"),
        ):
            with ada.start(*line, under=read_only) as reading:
                told.append((reading.wait_exit(PATIENCE), reading.said, reading.complained))
    (status, said, complained), *refused = told
    assert (status, complained) == (0, [])
    assert [json.loads(entry)["text"] for entry in said] == ["hello", "after it"][: 1 + log]
    problem = "The profile cannot be written: nothing was stored. Check its permissions and the disk."
    assert refused == [(1, [], [problem])] * 2


def test_attack_74_on_a_full_disk_the_engine_lives_and_a_deletion_has_room(
    paired: Path, tmp_path: Path
) -> None:
    with Lab(2) as lab:
        ada, _ = conversation(lab, paired, tmp_path / "profiles")
        place, reserve = str(ada.profile), f"{ada.profile}/reserve"
        mount = f"cp -a {place} {place}.copy && mount -t tmpfs -o size=24m none {place}"
        small = ("unshare", "-m", "sh", "-c", f'{mount} && cp -a {place}.copy/. {place}/ && exec "$@"', "sh")
        with ada.start("listen", under=small) as engine:
            wait_event(engine, "ready")
            inside = ("nsenter", "-t", str(engine.pid), "-m")

            def run(*line: str) -> tuple[int, list[str], list[str]]:
                with ada.start(*line, under=inside) as command:
                    return command.wait_exit(PATIENCE), command.said, command.complained

            assert run("send", "Ben", "before", "--wait", "0")[0] == 75
            fill = f"until [ -s {reserve} ]; do :; done; dd if=/dev/zero of={place}/filler bs=4k"
            subprocess.run([*inside, "sh", "-c", fill], check=False, capture_output=True)
            full = "The disk is full: nothing was stored. Free some space and try again."
            assert run("send", "Ben", "x" * 16_000, "--wait", "0") == (1, [], [full])
            status, _, told = run("delete", "Ben", "--last", "--yes")
            assert (status, told) == (0, [])
            subprocess.run([*inside, "sh", "-c", f"! [ -e {reserve} ] && rm {place}/filler"], check=True)
            assert run("send", "Ben", "after", "--wait", "0")[0] == 75
            texts = [json.loads(entry)["text"] for entry in run("history", "Ben")[1]]
            assert texts == ["", "after"]
            end(engine)


def test_attack_74_a_file_system_without_locks_is_named(paired: Path, tmp_path: Path) -> None:
    with Lab(2) as lab:
        ada, _ = conversation(lab, paired, tmp_path / "profiles")
        for line in (("history", "Ben"), ("listen",)):
            with ada.start(*line, under=failing("flock", "1+", "EOPNOTSUPP")) as told:
                assert told.wait_exit(PATIENCE) == 73
            assert told.said == []
            (problem,) = told.complained
            assert "does not support file locks (flock)" in problem


def test_either_dies_at_moments_from_a_seed_while_both_write(paired: Path, tmp_path: Path) -> None:
    seed = int(os.environ.get("PARLOUR_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
    sys.stdout.write(f"PARLOUR_TEST_SEED={seed} draws the same moments again\n")
    moments = random.Random(seed)
    with Lab(2) as lab, ExitStack() as stack:
        ada, ben = conversation(lab, paired, tmp_path / "profiles")
        running = {station: stack.enter_context(started(station)) for station in (ada, ben)}
        acknowledged: list[str] = []
        for number in range(MOMENTS):
            victim, survivor = moments.sample([ada, ben], 2)
            kill = Kill(running[victim], moments.randrange(1, 60), moments.random() / 200)
            acknowledged += asyncio.run(write_until(kill, victim, survivor, str(number)))
            running[victim].close()
            running[victim] = stack.enter_context(started(victim))
        for station in (ada, ben):
            station.ask(until_nothing_waits)
        end(*running.values())
        settled(ada, ben, acknowledged)
    assert len(acknowledged) > MOMENTS


def started(station: Station) -> Program:
    program = station.start("listen")
    wait_event(program, "ready")
    return program


@dataclass(frozen=True)
class Kill:
    """Kills a program after so many of its events, and a little later still: `seconds`, less than 5 ms."""

    program: Program
    events: int
    seconds: float

    async def watch(self, messenger: Messenger) -> None:
        left = self.events
        async for _ in messenger.events():
            left -= 1
            if left == 0:
                at = time.perf_counter() + self.seconds
                while time.perf_counter() < at:
                    pass  # the moment lies between two events, and the test must not give way before it
                self.program.process.kill()


async def write_until(kill: Kill, victim: Station, survivor: Station, mark: str) -> list[str]:
    """Both write without a pause until one is dead; the texts that were acknowledged as committed."""
    acknowledged: list[str] = []
    async with victim.opened() as dying_one, survivor.opened() as other:
        watching = asyncio.ensure_future(kill.watch(dying_one))
        writing = asyncio.ensure_future(write(other, f"{survivor.name} {mark}", acknowledged))
        with suppress(Unreachable):
            await write(dying_one, f"{victim.name} {mark}", acknowledged)
        for task in (watching, writing):
            task.cancel()
        await asyncio.wait({watching, writing})
    return acknowledged


async def write(messenger: Messenger, mark: str, acknowledged: list[str]) -> None:
    (contact,) = await messenger.contacts()
    for number in count(1):
        await messenger.send(contact.person, f"{mark}-{number}")
        acknowledged.append(f"{mark}-{number}")
