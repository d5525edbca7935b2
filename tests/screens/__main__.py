"""`python -m tests.screens FOLDER [LOOK…]`: a picture of every screen of the real program, as SVG and PNG.

Rules: a look is e.g. `80x24-dark-en`, or a part of it; without one, all twelve. PNG where rsvg-convert is.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.screens.drawing import draw
from tests.screens.picture import Picture
from tests.screens.real import looks, shoot
from tests.screens.scenes import Scene
from tests.screens.stage import View
from tui.themes import COLOURS


def main(folder: Path, wanted: list[str]) -> int:
    """The exit status: 0 when every picture of every look was made."""
    failed = 0
    for view in looks():
        if wanted and not any(part in str(view) for part in wanted):
            continue
        count = len(made := _made(folder / str(view), view))
        sys.stdout.write(f"{count} pictures in {folder / str(view)}\n")
        failed += not made
    return int(bool(failed))


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
    if len(sys.argv) < 2:
        sys.exit("usage: python -m tests.screens FOLDER [LOOK…]")
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
