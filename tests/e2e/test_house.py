"""A house device: two persons who are never awake together talk through it, and it prints nothing of that."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.imports import ROOT
from tests.support.e2e.programs import Station, link, listening, pair, wait_event
from tests.support.lab.hosts import Lab

HOSTS = 3
UNIT = ROOT / "docs" / "parlour-house.service"
pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_two_persons_who_are_never_awake_together_talk_through_a_house_device(
    lab: Lab, ada: Station, ben: Station, tmp_path: Path
) -> None:
    pair(ada, ben)
    house = Station("Ada", tmp_path, lab.hosts[1])
    house.profile = tmp_path / "house"
    with listening(ben):  # who has Ada's log, without which she adds no device
        link(ada, house, "house")
    with listening(house, options=("--house",)) as (kept,):
        with listening(ada) as (awake,):
            ada.say("while you sleep")
            house.until_said("while you sleep")
        with listening(ben) as (heard,):
            wait_event(heard, "entry", text="while you sleep", author="Ada")
            ben.say("now you sleep")
            house.until_said("now you sleep")
        with listening(ada) as (awake,):
            wait_event(awake, "entry", text="now you sleep", author="Ben")
    assert [line for line in kept.said + kept.complained if "sleep" in line or "Ben" in line] == []
    roots = [one.run("terminal", "compare").objects[-1] for one in (ada, house)]
    assert roots[0] == roots[1]


def test_a_house_device_alone_says_how_it_gets_company(ada: Station) -> None:
    with listening(ada, options=("--house",)) as (kept,):
        pass
    assert "parlour terminal add" in " ".join(kept.complained)


def test_systemd_understands_the_unit_whose_line_is_one_of_the_program(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    shown = [sys.executable, "-m", "chat.cli", *line.split()[1:], "--help"]
    assert "--house" in subprocess.check_output(shown, text=True, cwd=ROOT)
    if shutil.which("systemd-analyze"):
        unit = tmp_path / UNIT.name
        unit.write_text(text.replace("/opt/parlour/bin/parlour", sys.executable), encoding="utf-8")
        told = subprocess.run(
            ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
        )
        assert (told.returncode, UNIT.name in told.stderr) == (0, False), told.stderr
