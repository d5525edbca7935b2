"""A few points of every flow, drawn from a seed; `make crash` tries them all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash.flows.every import FLOWS
from tests.crash.points import FAULTS, Call, Fault, Point, calls, chosen, points, struck, unsettled
from tests.crash.run import EXPECTED, Stage, Trial, trials

pytestmark = [pytest.mark.network, pytest.mark.crash, pytest.mark.slow]

SEED = "1"
STRIKING = {"kill": 1, "EIO": 1, "ENOSPC": 1}
"""Points that are drawn per fault."""


@pytest.mark.parametrize("flow", FLOWS)
def test_laws_hold_after_faults_at_drawn_points(stage: Stage, flow: str) -> None:
    unharmed = stage.play(Trial(flow))
    draws = random.Random(f"{SEED} {flow}")
    at_all = {fault: trials(unharmed, [fault], 4, SEED) for fault in STRIKING}
    drawn = [one for fault, number in STRIKING.items() for one in draws.sample(at_all[fault], number)]
    results = [unharmed, *stage.play_all(drawn)]
    broken = {one.trial.command(): one.broken for one in results if one.laws - EXPECTED.keys()}
    assert broken == {}


FOLDER_OF_ALL = [
    Call("1", "pwrite64", "7", "history.db-wal"),
    Call("1", "fsync", "7", "history.db-wal"),
    Call("2", "pwrite64", "8", "history.db-wal"),
    Call("1", "write", "9", "header.next"),
    Call("1", "fsync", "9", "header.next"),
    Call("1", "rename", "", "header.next"),
    Call("1", "fsync", "5", "."),
    Call("1", "write", "4", ""),
]


def test_a_point_is_counted_per_call_and_file() -> None:
    found = points(FOLDER_OF_ALL)
    assert found["pwrite64"] == [Point("pwrite64", "history.db-wal", 1)]  # the threads hide each other
    assert found["fsync"] == [Point("fsync", file, 1) for file in (".", "header.next", "history.db-wal")]
    assert Point.parse("fsync:header.next:12") == Point("fsync", "header.next", 12)
    assert all(str(Point.parse(str(point))) == str(point) for points in found.values() for point in points)


def test_a_line_waits_for_the_disk() -> None:
    said = Call("3", "write", "1", "")
    in_order = [one for one in FOLDER_OF_ALL if one.thread == "1"]
    assert list(unsettled([*in_order, said])) == []
    for left_out in ("fsync", "rename"):
        for place, call in enumerate(in_order):
            if call.name == left_out == "fsync":
                assert list(unsettled([*in_order[:place], *in_order[place + 1 :], said]))
    renamed_first = [one for one in in_order if one.name != "fsync" or one.file != "header.next"]
    assert "header.next is renamed before it is synced" in list(unsettled(renamed_first))


def test_the_folder_that_holds_a_renamed_file_is_synced_after_it() -> None:
    def renamed(file: str, *synced: str) -> list[str]:
        calls = [Call("1", "fsync", "5", folder) for folder in synced]
        return list(unsettled([Call("1", "rename", "", file), *calls, Call("1", "write", "1", "")]))

    assert renamed("header.next", ".") == renamed("../backup.parlour-part", "..") == []
    assert renamed("header.next", "..")
    assert renamed("../backup.parlour-part", ".")
    assert renamed("../backup.parlour-part")
    assert renamed("", "") == []  # it stands elsewhere, as the mark outside of the profile


def test_files_in_the_profile_and_next_to_it_are_watched(tmp_path: Path) -> None:
    log, profile = tmp_path / "log", tmp_path / "ada"
    log.write_text(
        f'31 write(9<{tmp_path}/backup.parlour-part>, "OD", 4096) = 4096\n'
        f'31 rename("{tmp_path}/backup.parlour-part", "{tmp_path}/backup") = 0\n'
        f"31 fsync(9<{tmp_path}>) = 0\n"
        f'31 unlink("{profile}/header.next") = 0\n'
        '31 unlink("/elsewhere/header.next") = 0\n'
    )
    files = [call.file for call in calls(log, profile)]
    assert files == ["../backup.parlour-part", "../backup.parlour-part", "..", "header.next", ""]
    command = struck(FAULTS["EIO"], Point("write", "../backup.parlour-part", 1), profile, log)
    assert command[command.index("-P") + 1] == str(tmp_path / "backup.parlour-part")


def test_a_line_of_another_program_that_it_runs_says_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        '31 execve("/usr/bin/parlour", ["parlour", "init"], 0x7ffc) = 0\n'
        f'33 pwrite64(8<{tmp_path}/history.db-wal>, "OD", 4096, 0) = 4096\n'
        '35 execve("/sbin/ldconfig", ["ldconfig", "-p"], 0x7ffc) = 0\n'
        '35 write(1<pipe:[13]>, "597 libs found in cache", 4096) = 4096\n'
        '31 write(1<pipe:[12]>, "{}\\n", 3) = 3\n'
    )
    made = calls(log, tmp_path)
    assert made == [Call("33", "pwrite64", "8", "history.db-wal"), Call("31", "write", "1", "")]
    assert list(unsettled(made)) == ["a line is said before history.db-wal is synced"]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_same_seed_draws_the_same_points(fault: Fault) -> None:
    made = [Call("1", name, "7", "history.db-wal") for name in ("pwrite64", "fsync", "unlink") * 40]
    assert chosen(fault, made, 3, "a") == chosen(fault, made, 3, "a")
    syncs = [point for point in chosen(fault, made, 3, "a") if point.call == "fsync"]
    assert len(syncs) == (40 if fault.syncs else 0)
