"""The source archive and the wheel, whose bytes depend on the sources alone.

`python -m release.sources FOLDER` writes both. File dates, modes, owners and the order of members are fixed.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile

from chat.tools.bundle.make import add

ROOT: Final = Path(__file__).resolve().parents[1]
DATE: Final = 315_532_800
"""1980-01-01 in seconds of Unix time: an archive cannot say an earlier date."""

_NO_SOURCES: Final = {".git", ".venv", "build", "dist", "node_modules", "__pycache__", "PKG-INFO"}


def tracked(root: Path) -> list[str]:
    """Paths of the files of the project: those that git tracks, or all of an unpacked source archive."""
    if (root / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
        return sorted(name for name in listed.decode().split("\0") if name and (root / name).is_file())
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and not _NO_SOURCES.intersection(path.relative_to(root).parts)
        if not any(part.endswith(".egg-info") for part in path.relative_to(root).parts)
    )


def wheel(root: Path, folder: Path) -> Path:
    """Build the wheel from the tracked files alone; its path. Raises CalledProcessError, OSError."""
    with tempfile.TemporaryDirectory() as work:
        tree, built = Path(work, "tree"), Path(work, "built")
        for name in tracked(root):
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, target)
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--no-index"]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", *options]
        subprocess.run([*pip, "--wheel-dir", str(built), str(tree)], check=True, cwd=work)
        (made,) = built.glob("*.whl")
        return _normal(made, folder / made.name)


def _normal(made: Path, path: Path) -> Path:
    with ZipFile(made) as old, ZipFile(path, "w") as new:
        # The list of files comes last, as installers expect.
        for name in sorted(old.namelist(), key=lambda name: (name.endswith(".dist-info/RECORD"), name)):
            if not name.endswith("/"):
                add(new, name, old.read(name), ZIP_DEFLATED)
    return path


def archive(root: Path, built: Path, folder: Path) -> Path:
    """Write the source archive, with the metadata of the wheel; its path. Raises OSError."""
    base = "-".join(built.name.split("-")[:2])
    with ZipFile(built) as opened:
        metadata = opened.read(f"{base}.dist-info/METADATA")
    members = [(name, (root / name).read_bytes(), _mode(root / name)) for name in tracked(root)]
    path = folder / f"{base}.tar.gz"
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, 0) as packed:
        packed.write(_tar(base, [*members, ("PKG-INFO", metadata, 0o644)]))
    return path


def _mode(path: Path) -> int:
    return 0o755 if os.access(path, os.X_OK) else 0o644


def _tar(base: str, members: Iterable[tuple[str, bytes, int]]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data, mode in sorted(members):
            tar.addfile(member(f"{base}/{name}", len(data), mode), io.BytesIO(data))
    return content.getvalue()


def member(name: str, size: int, mode: int) -> tarfile.TarInfo:
    """A member of a tar archive with nothing of this machine in it."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, mode, DATE
    return info


if __name__ == "__main__":
    to = Path(sys.argv[1])
    to.mkdir(parents=True, exist_ok=True)
    sources = archive(ROOT, wheel(ROOT, to), to)
    print(f"{sources.name} and the wheel are in {to}.")  # noqa: T201
