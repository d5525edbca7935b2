"""The bundle that is shared, and what is said about it."""

from __future__ import annotations

import html
import re
import sys
import zlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from msgspec import Struct

from chat.tools.bundle import installed, launch, make
from chat.tools.share.checksum import checksum

NAME: Final = "parlour.pyz"
"""What the file is called on the other machine."""


_FIELD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
"""A version, a system or a Python, as a bundle names it."""


class NoBundle(Exception):
    """There is nothing to share. The text is one line for the user, with what to do."""


class Bundle(Struct, frozen=True):
    """A bundle at `path`, and what it runs on. `digest`: SHA-256 in hexadecimal digits."""

    path: Path
    version: str
    systems: tuple[str, ...]
    pythons: tuple[str, ...]
    digest: str
    size: int


def read(path: Path) -> Bundle:
    """Read a file, which must be a bundle. Raises NoBundle."""
    try:
        contents = launch.read(path.absolute())
        launch.check(path, contents)
        places = [place.split() for place in contents["fits"]]
        return Bundle(
            path,
            _field(contents["version"]),
            tuple(sorted({_field(system) for system, _ in places})),
            tuple(sorted({_field(python.partition("-")[2]) for _, python in places})),
            checksum(path),
            path.stat().st_size,
        )
    except launch.Damaged:
        raise NoBundle(f"{path} is damaged, and so would be what you give: get it again.") from None
    except (launch.Refused, OSError, KeyError, TypeError, ValueError, RecursionError, zlib.error):
        raise NoBundle(f"{path} is no bundle of Parlour: choose a parlour.pyz.") from None


def _field(value: object) -> str:
    """What a bundle says of itself. Raises ValueError: its maker may be anybody, and a terminal shows it."""
    if not isinstance(value, str) or not _FIELD.fullmatch(value):
        raise ValueError("no name of a version, a system or a Python")
    return value


def running() -> Path | None:
    """The bundle that this program runs from, if it does."""
    path = Path(sys.argv[0])
    try:
        launch.read(path.absolute())
    except launch.Refused:
        return None
    return path


def make_one(folder: Path) -> Path:
    """Make a bundle of what is installed here, for machines of the same kind. Raises NoBundle, OSError."""
    path = folder / NAME
    try:
        wheels = installed.wheels()
        make.write(path, version("parlour"), wheels, {launch.place(): tuple(wheels)})
    except (installed.NotInstalled, make.Unfit):
        raise NoBundle("Parlour is not installed here as usual: name the parlour.pyz to share.") from None
    return path


CHECKS: Final[Sequence[tuple[str, str]]] = (
    ("Linux", f"sha256sum {NAME}"),
    ("macOS", f"shasum -a 256 {NAME}"),
    ("Windows", f"certutil -hashfile {NAME} SHA256"),
)
"""What prints a checksum on each system."""


def page(bundle: Bundle, path: str) -> str:
    """The page for browsers, at `path`.

    It never shows the checksum, since anyone who exchanges the file can exchange the page too.
    """
    checks = "".join(
        f"<li>{html.escape(system)}: <code>{html.escape(line)}</code></li>" for system, line in CHECKS
    )
    runs_on = f"Python {', '.join(bundle.pythons)} on {', '.join(bundle.systems)}"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Parlour</title>'
        f"<h1>Parlour {html.escape(bundle.version)}</h1>"
        f"<p>An encrypted messenger for this network. The file runs with {html.escape(runs_on)}.</p><ol>"
        f'<li><a href="/{path}/{NAME}" download>Download {NAME}</a> '
        f"({bundle.size / 1_000_000:.0f} MB). The address works for one download.</li>"
        f"<li>In a terminal, let your system compute the checksum:<ul>{checks}</ul></li>"
        "<li>Compare its beginning, by voice, with the digits on the screen of the person who shares it. "
        "This page does not show them on purpose: anyone who can change the file on its way can change "
        "this page. If they differ, delete the file.</li>"
        f"<li>If they are the same, start it: <code>python3 {NAME}</code> "
        f"(Windows: <code>py {NAME}</code>)</li></ol></html>\n"
    )
