"""`parlour share`: the line that it prints, typed on another machine, shows the same words there."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.lab.programs import Program
from tests.unit.tools.bundle.test_bundle import small

PATIENCE = 30


def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chat.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return small(tmp_path / "parlour.pyz", m="print('hello')")


def test_both_screens_show_the_same_words_and_the_file_is_the_same(bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with Program([sys.executable, "-m", "chat.cli", "--json", "share", str(bundle)]) as sharing:
        told = json.loads(sharing.line(PATIENCE))
        line = told["line"].replace("python3", sys.executable, 1)
        typed = subprocess.run(line, shell=True, cwd=other, capture_output=True, text=True, check=True)  # noqa: S602
        assert typed.stdout.strip() == told["words"]
        assert json.loads(sharing.line(PATIENCE)) == {"fetched": True}
        assert sharing.wait_exit(PATIENCE) == 0
    assert (other / "parlour.pyz").read_bytes() == bundle.read_bytes()


def test_a_person_reads_the_words_and_how_to_compare_them(bundle: Path) -> None:
    with Program([sys.executable, "-m", "chat.cli", "share", str(bundle)]) as sharing:
        sharing.wait_for(lambda line: line == "The other screen must show these words:", PATIENCE)
        assert len(sharing.line(PATIENCE).split()) == 6
        sharing.wait_for(lambda line: "Ctrl-C ends it" in line, PATIENCE)
        sharing.process.terminate()
        assert sharing.wait_exit(PATIENCE) == 1
        assert sharing.said[-1] == "Nobody fetched it."


def test_who_has_parlour_checks_a_file_with_it(bundle: Path) -> None:
    done = ended("share", "--check", str(bundle))
    words, digest = done.stdout.splitlines()
    assert (done.returncode, len(words.split()), len(digest)) == (0, 6, 64)


def test_only_a_bundle_is_shared_and_no_profile_is_opened(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "diary").write_text("secret")
    assert "is no bundle of Parlour" in ended("share", str(tmp_path / "diary")).stderr
    assert "Sharing needs no profile" in ended("--profile", "x", "share", str(bundle)).stderr


@pytest.mark.parametrize(
    ("contents", "packed"), [("[" * 100_000, zipfile.ZIP_DEFLATED), ("{}", zipfile.ZIP_LZMA)]
)
def test_what_somebody_made_to_break_the_reader_is_no_bundle(
    contents: str, packed: int, tmp_path: Path
) -> None:
    """Contents that are nested too deep, and a member in a form that zipimport does not unpack."""
    with zipfile.ZipFile(tmp_path / "parlour.pyz", "w", packed) as made:
        made.writestr("bundle.json", contents)
    done = ended("share", "--check", str(tmp_path / "parlour.pyz"))
    assert "is no bundle of Parlour" in done.stderr
    assert done.returncode == 64
