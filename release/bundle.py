"""`python -m release.bundle FOLDER [PLATFORM ...]` writes the bundle for all platforms, or for those."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from chat.tools.bundle.launch import read
from chat.tools.bundle.make import write
from chat.tools.share.checksum import checksum
from release import sources, wheels

BUILD: Final = sources.ROOT / "build" / "wheels"


def bundle(folder: Path, platforms: list[str]) -> Path:
    """Write `parlour.pyz` into a folder. Raises CalledProcessError, OSError, Unfit."""
    folder.mkdir(parents=True, exist_ok=True)
    own = sources.wheel(sources.ROOT, folder)
    content = {own.name: own.read_bytes()}
    fits = {}
    for platform in platforms:
        for python in wheels.pythons():
            found = wheels.fetch(platform, python, BUILD / f"{platform}-{python}")
            content |= {wheel.name: wheel.read_bytes() for wheel in found}
            fits[f"{platform} cpython-{python}"] = (own.name, *(wheel.name for wheel in found))
    path = folder / "parlour.pyz"
    write(path, own.name.split("-")[1], content, fits)
    return path


def is_current(path: Path, root: Path = sources.ROOT) -> bool:
    """Whether a bundle has the wheel of the sources as they are.

    Raises Refused, CalledProcessError, OSError.
    """
    with tempfile.TemporaryDirectory() as work:
        own = sources.wheel(root, Path(work))
        return bool(read(path)["wheels"].get(own.name) == checksum(own))


OTHER: Final = "This bundle is of other sources than these: make bundle"
"""What those say that take a bundle which was made before."""


if __name__ == "__main__":
    made = bundle(Path(sys.argv[1]), sys.argv[2:] or list(wheels.PLATFORMS))
    shutil.rmtree(BUILD)
    print(f"{made}: {made.stat().st_size / 1_000_000:.0f} MB")  # noqa: T201
