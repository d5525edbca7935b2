"""The commands in the documents work as printed, and links, paths and anchors lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.cli.__main__ import COMMANDS
from tests.architecture.imports import ROOT
from tests.support import machine as needs
from tests.support.lab.hosts import Lab

DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/*.md", "chat/**/*.md", "protocol/**/*.md", "seeds/*.md", "tests/*.md")
    for path in ROOT.glob(pattern)
)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def lines_of(name: str, heading: str) -> list[str]:
    """The shell lines of the first block below a heading of a document."""
    below = text_of(name).split(f"\n## {heading}\n", 1)[1]
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
    lines = lines_of("README.md", "Two people on one machine")
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
    table = text_of("docs/using.md").split("| | |")[1].split("\n\n")[0]
    named = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(COMMANDS)


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 150


def test_every_page_of_docs_is_linked_from_another_document() -> None:
    linked = {target for name in DOCUMENTS for target, _ in links(name) if target.parent == ROOT / "docs"}
    assert {ROOT / name for name in DOCUMENTS if name.startswith("docs/")} <= linked


def links(name: str) -> list[tuple[Path, str]]:
    """File and anchor of every link of a document to a file of the project."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text_of(name))
    parts = [target.partition("#") for target in targets if not re.match(r"\w+:", target)]
    here = ROOT / name
    return [((here.parent / path).resolve() if path else here, anchor) for path, _, anchor in parts]


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as Markdown renderers derive them."""
    found = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_make_target_and_module_of_a_document_is_there(name: str) -> None:
    assert [path for path, _ in links(name) if not path.is_file()] == []
    assert [anchor for path, anchor in links(name) if anchor and anchor not in anchors(path)] == []
    targets = re.findall(r"(?:^|`)make ([\w-]+)", text_of(name), re.MULTILINE)
    assert [target for target in targets if f"\n{target}:" not in text_of("Makefile")] == []
    modules = [ROOT / module.replace(".", "/") for module in re.findall(r"python -m ([\w.]+)", text_of(name))]
    files = [(module.with_suffix(".py"), module / "__main__.py") for module in modules]
    assert [pair for pair in files if not any(file.is_file() for file in pair)] == []


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "docs/decisions.md", "seeds/README.md"])
def test_every_path_that_a_document_names_is_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    base = (ROOT / name).parent
    paths = re.findall(r"`([\w./-]+(?:\.(?:py|md|toml|txt|json)|/))`", text)
    assert paths
    if name == "ARCHITECTURE.md":
        paths += re.findall(r"\b(?:chat|tui|protocol)/[\w/.]*", text.split("```")[1])  # those in the drawing
    assert [path for path in paths if not (ROOT / path).exists() and not (base / path).exists()] == []


def test_the_page_on_security_has_every_claim() -> None:
    claims = tomllib.loads(text_of("seeds/claims.toml"))["claim"]
    rows = re.findall(r"^\| (C\d+) \| ([^|]+) \|", text_of("docs/security.md"), re.MULTILINE)
    assert rows == [(claim["id"], claim["text"]) for claim in claims]


def test_the_changelog_names_every_command() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [command for command in COMMANDS if f"`{command}`" not in text] == []
