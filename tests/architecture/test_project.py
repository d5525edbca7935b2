"""Rules for every file of the project, and that what is installed is the whole program."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.vectors.own import AREAS
from release import sources
from tests.architecture.imports import PACKAGES, ROOT

HERE = "tests/architecture/test_project.py"  # holds what it looks for
LEFT_OUT = {
    ".git",
    ".venv",
    "build",
    "dist",
    "htmlcov",
    "__pycache__",
    ".hypothesis",
    ".fuzz",
    "node_modules",
}
LEFT_OUT |= {f".{tool}_cache" for tool in ("mypy", "pytest", "ruff")}

REGISTRIES = (
    r"p[y]pi\.org",
    r"python[h]osted\.org",
    r"registry\.npmjs",
    r"crates\.io",
    r"proxy\.golang",
    r"deb\.debian\.org",
)
MACHINE_PATHS = r"(?<![\w./)\]}*-])/(?:work|root|home|Users)(?![\w-])"
UNFINISHED = r"\b(?:TODO|FIXME|XXX|HACK)\b|\braise NotImplementedError\b"
LEAVES_OUT = r"pytest\.skip\(|mark\.skip|importorskip|xfail\(|mark\.xfail"
SLEEPS = r"\btime\.sleep\("

RULES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    # name: (pattern, files it holds for, files that may)
    "no address of a package registry": ("|".join(REGISTRIES), "", (HERE,)),
    "no path of one machine": (MACHINE_PATHS, "", (HERE,)),
    "nothing unfinished": (UNFINISHED, "", (HERE,)),
    "tests are left out in one place only": (LEAVES_OUT, "tests/", (HERE, "tests/support/machine.py")),
    "nothing waits for time to pass": (SLEEPS, "", (HERE,)),
}


def files(root: Path) -> Iterator[str]:
    """Every file of the project by its path from the root, committed or about to be."""
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if (
            path.is_file()
            and not LEFT_OUT.intersection(parts)
            and not any(p.endswith(".egg-info") for p in parts)
        ):
            yield "/".join(parts)


def offences(root: Path, rule: str) -> list[str]:
    """Lines that break a rule, as `file:line: text`. Files that are no text have no lines."""
    pattern, below, exempt = RULES[rule]
    found = []
    for name in files(root):
        if name.startswith(below) and name not in exempt:
            for number, line in enumerate(_lines(root / name), 1):
                if re.search(pattern, line):
                    found.append(f"{name}:{number}: {line.strip()[:100]}")
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str) -> None:
    assert offences(ROOT, rule) == []


PLANTED = {
    "no address of a package registry": [
        "--index-url https://" + "py" + "pi.org/simple",
        "from https://files." + "python" + "hosted.org/x",
    ],
    "no path of one machine": [
        "cd /" + "work/main",
        'open("/' + 'root/.config")',
        "see /" + "home/somebody/notes",
    ],
    "nothing unfinished": ["# TODO later", "raise NotImplementedError"],
    "tests are left out in one place only": [
        "pytest.skip('slow')",
        "@pytest.mark.skipif(True)",
        "@pytest.mark.xfail",
    ],
    "nothing waits for time to pass": ["time.sleep(1)"],
}
HARMLESS = ["the work/root folder", "https://example.org/home", "import time", "XXpsk0", "sha256:aXXXb"]


@pytest.mark.parametrize(
    ("rule", "line"), [(rule, line) for rule, lines in PLANTED.items() for line in lines]
)
def test_planted_offence_is_seen(rule: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "planted.py").write_text("\n".join(["first line", line, *HARMLESS]))
    assert [offence.split(": ")[0] for offence in offences(tmp_path, rule)] == ["tests/planted.py:2"]


def test_every_dependency_is_locked_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {
        "requirements.lock": project["project"]["dependencies"],
        "requirements-dev.lock": project["dependency-groups"]["dev"],
        "requirements-nats.lock": project["project"]["optional-dependencies"]["nats"],
        "requirements-keyring.lock": project["project"]["optional-dependencies"]["keyring"],
        "requirements-pictures.lock": project["project"]["optional-dependencies"]["pictures"],
        "requirements-reader.lock": project["project"]["optional-dependencies"]["reader"],
        "requirements-uv.lock": project["dependency-groups"]["uv"],
        "requirements-peers.lock": project["dependency-groups"]["peers"],
    }
    for lock, requirements in wanted.items():
        locked = _locked(ROOT / lock)
        assert {_name(requirement) for requirement in requirements} <= locked.keys(), lock
        assert all("--hash=sha256:" in block for block in locked.values()), lock


def _locked(lock: Path) -> dict[str, str]:
    """Name of each locked package, with its version and hashes."""
    blocks = re.split(r"^(?=[a-z0-9])", lock.read_text(), flags=re.MULTILINE)
    return {_name(block): block for block in blocks if "==" in block.split("\n")[0]}


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sources.wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.mark.slow
def test_what_is_installed_is_the_whole_program(wheel: Path, tmp_path: Path) -> None:
    """The wheel holds every file of the packages but the symbolic models."""
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked, folders = sources.tracked(ROOT), tuple(f"{package}/" for package in PACKAGES)
    whole = {name for name in tracked if name.startswith(folders)}
    models = {name for name in whole if name.startswith("protocol/model/")}
    assert models
    assert whole - models <= packed
    assert not models & packed
    assert "seeds/demo.json" in packed  # `parlour demo` reads it
    assert not [name for name in packed if name.startswith("tests/")]
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    assert _vectors_of(tmp_path / "installed") == [
        [area, json.loads((ROOT / "protocol" / "vectors" / f"{area}.json").read_text())["count"], []]
        for area in AREAS
    ]


@pytest.mark.slow
def test_two_builds_are_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    """From the tree, and from the archive of the sources, whatever dates and modes the files have."""
    one, other, again = (tmp_path / name for name in ("one", "other", "again"))
    for folder in (one, other, again):
        folder.mkdir()
    archive = sources.archive(ROOT, wheel, one)
    with tarfile.open(archive) as packed:
        packed.extractall(other, filter="data")
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert names == {*sources.tracked(ROOT), "PKG-INFO"}
    (tree,) = other.iterdir()
    (tree / "chat" / "cli" / "__main__.py").touch()
    (tree / "chat" / "cli" / "output.py").chmod(0o600)
    second = sources.wheel(tree, again)
    assert second.read_bytes() == wheel.read_bytes()
    assert sources.archive(tree, second, again).read_bytes() == archive.read_bytes()


# The folder of the project, which an editable install puts on the path, is left out.
CHECKED = """
import json, sys
root, installed = sys.argv[1:]
sys.path = [installed, *(path for path in sys.path if path not in ("", root))]
from protocol.vectors import own
assert own.__file__.startswith(installed)
print(json.dumps([[report.area, report.passed, report.failed] for report in own.run_own()]))
"""


def _vectors_of(installed: Path) -> list[list[object]]:
    """How many vectors of each area pass with what is installed alone, and the ids of those that fail."""
    command = [sys.executable, "-c", CHECKED, str(ROOT), str(installed)]
    done = subprocess.run(command, cwd=installed, capture_output=True, text=True, check=True)
    found: list[list[object]] = json.loads(done.stdout)
    return found


def test_the_workflow_says_that_it_was_not_run_and_names_what_is_there() -> None:
    """Nothing here runs it, so a step may go stale unseen."""
    workflow = (ROOT / ".github/workflows/check.yml").read_text("utf-8")
    assert workflow.startswith("# Has not been run")
    tools = set(re.findall(r"iproute2.*?(?=\n| \$)", workflow)[0].split())
    assert tools < set((ROOT / ".ci/run").read_text("utf-8").split())
    makefile = (ROOT / "Makefile").read_text("utf-8")
    (phony,) = re.findall(r"^\.PHONY: (help .*)", makefile, re.MULTILINE)
    said = [line.split("#")[0] for line in workflow.splitlines()]
    for line in said:
        for words in re.findall(r"\bmake ([a-z\- ]+?)(?= [A-Z]+=|$)", line):
            assert set(words.split()) <= set(phony.split()), line
        for name in re.findall(r" ([A-Z]+)=[\w\"]", line.partition("make ")[2]):
            assert re.search(rf"^{name} ?[:?]?=", makefile, re.MULTILINE), line
        for module in re.findall(r"python -m ((?:chat|tests)[\w.]*)", line):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), line
        for path in re.findall(r"requirements[\w-]*\.lock|tests/[\w/]+\.py", line):
            assert (ROOT / path).is_file(), line


IMAGE = re.compile(r"^FROM (?!\S+@sha256:[0-9a-f]{64}(?: |$))(?!scratch$).*", re.MULTILINE)
ACTION = re.compile(r"\buses: (?!\./)(?!\S+@[0-9a-f]{40} # v\d).*")
INSTALLS = re.compile(
    r"(?:\bpip3?|\(PIP\)) (?:[^\n&|;]|\\\n)*?\b(?:install|wheel|download)\b(?:[^\n&|;]|\\\n)*"
)
PINNED = ("--require-hashes", "--no-deps", "--no-index")


def unpinned(text: str) -> list[str]:
    """Images, actions and installations that name no digest, no commit and no hashes."""
    found = [one.group() for pattern in (IMAGE, ACTION) for one in pattern.finditer(text)]
    installs = (" ".join(one.group().split()) for one in INSTALLS.finditer(text))
    return found + [one for one in installs if not any(option in one for option in PINNED)]


BUILT_FROM = ("docs/Containerfile", ".github/workflows/check.yml", "Makefile", ".ci/run")


def test_what_the_project_is_built_from_is_named_by_its_content() -> None:
    texts = {name: (ROOT / name).read_text() for name in BUILT_FROM}
    assert {name: found for name, text in texts.items() if (found := unpinned(text))} == {}
    others = {name for name in files(ROOT) if re.search(r"(?i)(container|docker)file$|workflows/", name)}
    assert others <= set(BUILT_FROM)


@pytest.mark.parametrize(
    ("name", "pinned", "loose"),
    [
        ("docs/Containerfile", re.compile(r"@sha256:\w+"), ""),
        ("docs/Containerfile", re.compile(r"--require-hashes"), ""),
        (".github/workflows/check.yml", re.compile(r"@[0-9a-f]{40} # v4\.4\.0"), "@v4"),
        (".github/workflows/check.yml", re.compile(r"--require-hashes"), ""),
        ("Makefile", re.compile(r"--require-hashes --requirement requirements-uv.lock"), "uv"),
    ],
)
def test_what_is_not_pinned_would_be_found(name: str, pinned: re.Pattern[str], loose: str) -> None:
    text, changed = pinned.subn(loose, (ROOT / name).read_text())
    assert changed
    assert unpinned(text)
