"""The README's lines work as they stand, and name what there is."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.cli.__main__ import COMMANDS
from tests.architecture.imports import ROOT
from tests.support import needs
from tests.support.lab.hosts import Lab

README = (ROOT / "README.md").read_text(encoding="utf-8")


def lines_of(heading: str) -> list[str]:
    """The shell lines of the first block below a heading."""
    below = README.split(f"\n## {heading}\n", 1)[1]
    match = re.search(r"```sh\n(.*?)```", below, re.DOTALL)
    assert match is not None
    return match[1].splitlines()


@pytest.fixture
def lab() -> Iterator[Lab]:
    needs.needs_root_network()
    with Lab(1) as lab:
        yield lab


@pytest.mark.network
def test_six_lines_make_two_people_talk(lab: Lab, tmp_path: Path) -> None:
    """The environment is there already, so a `make` that does nothing stands in for the real one."""
    lines = lines_of("Two people on one machine")
    assert len(lines) == 6
    make = tmp_path / "tools" / "make"
    make.parent.mkdir()
    make.write_text("#!/bin/sh\n")
    make.chmod(0o755)
    program = shutil.which("parlour", path=str(ROOT / ".venv" / "bin")) or shutil.which("parlour")
    assert program is not None
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(program).parent)
    environment = {
        **os.environ,
        "PATH": f"{make.parent}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(tmp_path),
    }
    script = "\n".join(
        [f"cd {tmp_path}", *lines, "status=$?", "parlour --profile ben lock", "wait", "exit $status"]
    )
    out = lab.hosts[0].run("bash", "-c", script, seconds=120, env=environment)
    assert "Paired with Ada" in out
    assert "[Ada] Ada: Good morning" in out
    assert "To Ben: delivered" in out


def test_every_command_is_named() -> None:
    table = README.split("| | |")[1].split("\n\n")[0]
    assert sorted(re.findall(r"`(\w+)`", table)) == sorted(COMMANDS)


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md"])
def test_every_link_leads_to_a_file(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert [target for target in targets if not (ROOT / target).is_file()] == []


def test_the_two_commands_are_targets_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "seeds/README.md"])
def test_every_path_that_a_document_names_is_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    base = (ROOT / name).parent
    paths = re.findall(r"`([\w./-]+(?:\.(?:py|md|toml|txt|json)|/))`", text)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists() and not (base / path).exists()] == []


def test_readme_and_architecture_draw_the_same_layers() -> None:
    drawn = [
        (ROOT / name).read_text().split("```\n    tui/")[1].split("```")[0]
        for name in ("README.md", "ARCHITECTURE.md")
    ]
    assert drawn[0] == drawn[1]


def test_the_changelog_names_every_command() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [command for command in COMMANDS if f"`{command}`" not in text] == []
