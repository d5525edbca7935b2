"""Which Python takes Parlour: pyproject.toml says it, and the Makefile chooses by it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.imports import ROOT
from tests.support.pythons import bounds, pythons

FIRST, TOO_NEW = 11, 15


def stand_in(folder: Path, name: str, minor: int) -> Path:
    """A command that runs `-c CODE` as Python 3.`minor` would see its version."""
    path = folder / name
    code = f"import sys; sys.version_info = (3, {minor}, 0, 'final', 0); exec(sys.argv[2])"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    path.chmod(0o700)
    return path


def make_env(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `make env` would run where nothing is made yet and `folder` has all the commands there are."""
    for tool in ("make", "sed"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    return subprocess.run(
        [str(folder / "make"), f"VENV={folder}/venv", *arguments, "env"],
        cwd=ROOT,
        env={"PATH": str(folder), "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_both_files_name_the_same_versions() -> None:
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert required == f">=3.{FIRST},<3.{TOO_NEW}"
    named = re.findall(r"\bpython3\.(\d+)", (ROOT / "Makefile").read_text())
    assert [int(minor) for minor in named] == list(range(TOO_NEW - 1, FIRST - 1, -1))


def test_of_each_version_that_suits_the_newest_that_starts_is_tried(tmp_path: Path) -> None:
    for name, minor in [("old", FIRST - 1), ("a", FIRST), ("b", TOO_NEW - 1), ("new", TOO_NEW)]:
        stand_in(tmp_path, name, minor)
    (tmp_path / "broken").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "broken").chmod(0o700)
    found = pythons(str(tmp_path / name) for name in ("new", "broken", "none", "b", "a", "old"))
    assert [(one.minor, Path(one.program).name) for one in found] == [
        (f"3.{FIRST}", "a"),
        (f"3.{TOO_NEW - 1}", "b"),
    ]
    assert bounds() == ((3, FIRST), (3, TOO_NEW))


@pytest.mark.parametrize("minor", [FIRST, TOO_NEW - 1])
def test_make_takes_the_first_python_that_suits(tmp_path: Path, minor: int) -> None:
    stand_in(tmp_path, "python3", TOO_NEW)
    stand_in(tmp_path, f"python3.{minor}", minor)
    ran = make_env(tmp_path, "--dry-run")
    assert ran.returncode == 0, ran.stderr
    assert f"python3.{minor} -m venv" in ran.stdout


@pytest.mark.parametrize("minor", [FIRST - 1, TOO_NEW])
@pytest.mark.parametrize("named", [False, True])
def test_make_says_which_versions_suit_where_there_is_none(tmp_path: Path, minor: int, named: bool) -> None:
    python = stand_in(tmp_path, "python3", minor)
    ran = make_env(tmp_path, *([f"PYTHON={python}"] if named else []))
    assert ran.returncode != 0
    assert f"Parlour needs a Python from 3.{FIRST} on and before 3.{TOO_NEW}" in ran.stderr
    assert (str(python) in ran.stderr) is named
    assert not (tmp_path / "venv").exists()
