"""The wheels of every dependency for every machine that the bundle is for, as the lock has them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from release.sources import ROOT

LOCK: Final = ROOT / "requirements.lock"

_GLIBC: Final = (28, 5)
"""The newest and the oldest glibc 2.x whose wheels are taken: Debian 10 and RHEL 8 have 2.28."""


def _linux(machine: str) -> tuple[str, ...]:
    newest, oldest = _GLIBC
    versions = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, oldest - 1, -1)]
    return (*versions, f"manylinux2014_{machine}", f"linux_{machine}")


PLATFORMS: Final = {
    "linux-x86_64": _linux("x86_64"),
    "linux-aarch64": _linux("aarch64"),
    "macos-arm64": ("macosx_11_0_arm64",),
    "win-amd64": ("win_amd64",),
}
"""What pip calls the platforms that `chat.tools.bundle.launch.place` names."""

_MARKED: Final = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macos": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "win": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}


def pythons() -> list[str]:
    """The versions that pyproject.toml promises, as `3.11`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    bounds = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"])
    assert bounds is not None, "pyproject.toml says it in this form"
    return [f"3.{minor}" for minor in range(int(bounds[1]), int(bounds[2]))]


def fetch(platform: str, python: str, folder: Path) -> list[Path]:
    """Download what one machine needs into a folder of its own; the wheels.

    Raises CalledProcessError where a wheel is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    lock = folder / "lock.txt"
    lock.write_text(locked(LOCK.read_text("utf-8"), platform, python), "utf-8")
    tags = [part for tag in PLATFORMS[platform] for part in ("--platform", tag)]
    options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--implementation", "cp"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", *options]
    subprocess.run(
        [*pip, *tags, "--python-version", python, "--dest", str(folder), "--requirement", str(lock)],
        check=True,
    )
    return sorted(folder.glob("*.whl"))


def locked(lock: str, platform: str, python: str) -> str:
    """The part of a lock whose markers hold on another machine: pip would ask them of this one."""
    marked = _MARKED[platform.partition("-")[0]]
    machine = {**marked, "platform_machine": platform.partition("-")[2], "python_version": python}
    machine |= {"python_full_version": f"{python}.0", "extra": ""}
    kept = []
    for block in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE):
        line, rest = block.split("\n", 1) if "\n" in block else (block, "")
        if "==" not in line or line.startswith("#"):
            continue
        requirement = Requirement(line.removesuffix("\\").strip())
        if requirement.marker is None or requirement.marker.evaluate(machine):
            kept.append(f"{requirement.name}{requirement.specifier} \\\n{rest}")
    return "".join(kept)
