"""`python -m tests.support.screens FOLDER [LOOK…]` draws every screen of the real program, as SVG and PNG.

Rules: a look is e.g. `80x24-dark-en`, or a part of it; without one, all twelve. PNG where rsvg-convert is.
`--readme` in place of a folder makes the three that the README shows.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.screens.drawing import draw
from tests.support.screens.picture import Picture
from tests.support.screens.real import looks, shoot
from tests.support.screens.scenes import Scene
from tests.support.screens.stage import View
from tui.themes import COLOURS

README = {
    "conversation": ("120x34-dark-en", "conversation"),
    "words": ("120x34-dark-en", "words"),
    "chinese": ("120x34-light-zh_CN", "conversation"),
}


def every(folder: Path, wanted: list[str]) -> None:
    """Make the pictures of these looks, each in a folder of its own."""
    chosen = [view for view in looks() if not wanted or any(part in str(view) for part in wanted)]
    for view in chosen:
        made = _made(folder / str(view), view)
        sys.stdout.write(f"{len(made)} pictures in {folder / str(view)}\n")


def for_readme(folder: Path) -> None:
    """Make the pictures of the README anew."""
    with TemporaryDirectory(prefix="parlour-pictures-") as scratch:
        every(Path(scratch), [look for look, _ in README.values()])
        folder.mkdir(parents=True, exist_ok=True)
        for name, (look, scene) in README.items():
            shutil.copyfile(Path(scratch) / look / f"{scene}.svg", folder / f"{name}.svg")


def _made(folder: Path, view: View) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []

    def show(scene: Scene, view: View, picture: Picture) -> None:
        path = folder / f"{scene.name}.svg"
        colours = COLOURS[view.theme]
        path.write_text(draw(picture, colours.foreground or "", colours.background or ""), encoding="utf-8")
        made.append(path)

    shoot(view, show)
    _to_png(made)
    return made


def _to_png(made: list[Path]) -> None:
    if program := shutil.which("rsvg-convert"):
        for path in made:
            subprocess.run(
                [program, "-w", "1200", str(path), "-o", str(path.with_suffix(".png"))], check=True
            )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--readme"]:
            for_readme(Path("docs/screens"))
        case [place, *parts]:
            every(Path(place), parts)
        case _:
            sys.exit("usage: python -m tests.support.screens FOLDER [LOOK…] | --readme")
