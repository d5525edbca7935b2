"""`python -m tests.support.screens.real FOLDER [LOOK...]` draws every screen of the real program.

A look is e.g. `80x24-dark-en` or a part of it. `--readme` draws those of the README.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.e2e.people import locale
from tests.support.lab.hosts import Host, Lab
from tests.support.lab.terminal import Terminal, Unseen
from tests.support.screens.pictures import Picture, draw, of_escapes
from tests.support.screens.scenes import ALONE, FIRST_RUN, TALKING, Keys, Scene, Seen, Typed, View, words_of
from tui.preferences import Theme
from tui.text import translation
from tui.themes import COLOURS

PATIENCE = 60.0
NOTHING = 2.0
"""Seconds after which a key is taken to do nothing."""
PROGRAM = [sys.executable, "-m", "chat.cli"]
_NAMES = {
    "escape": "Escape", "enter": "Enter", "backspace": "BSpace", "tab": "Tab", "list": "Tab",
    "pageup": "PPage", "pagedown": "NPage", "home": "Home", "end": "End",
    "up": "Up", "down": "Down", "left": "Left", "right": "Right",
}  # fmt: skip
_MODIFIERS = {"ctrl": "C-", "alt": "M-", "shift": "S-"}

TALKING_FOR_REAL = [scene for scene in TALKING if scene.real]

Shown = Callable[[Scene, Picture], None]


def _first_run(view: View, profile: Path, host: Host, show: Shown) -> None:
    with _terminal(view, [*PROGRAM, "--profile", str(profile)], host) as terminal:
        _begin(terminal, view, words_of(FIRST_RUN[0].shows))
        for scene in FIRST_RUN:
            _play(terminal, scene, view, show)
        terminal.send("Enter")
        for scene in ALONE:
            _play(terminal, scene, view, show)


def _talk(view: View, show: Shown) -> None:
    with _terminal(view, [*PROGRAM, "demo"]) as terminal:
        _begin(terminal, view, "Dov")
        _play(terminal, Scene("demo", "talk", (), "Dov", back=()), view, show)
        terminal.send("Down", "Up", "Enter")
        terminal.wait_for(words_of("Write to {name}"), PATIENCE)
        for scene in TALKING_FOR_REAL:
            _play(terminal, scene, view, show)


def _terminal(view: View, command: list[str], host: Host | None = None) -> Terminal:
    columns, rows = view.size
    environment = {**locale(view.language), "NO_COLOR": ""}
    return Terminal(command, columns=columns, rows=rows, host=host, environment=environment)


def _begin(terminal: Terminal, view: View, shows: str) -> None:
    """Wait for the first screen, and choose the theme."""
    terminal.wait_for(shows, PATIENCE)
    for _ in range(list(Theme).index(view.theme)):
        _press(terminal, "ctrl+b")


def _play(terminal: Terminal, scene: Scene, view: View, show: Shown) -> None:
    for step in scene.steps:
        match step:
            case Keys(names):
                for name in names:
                    _press(terminal, name)
            case Typed():
                terminal.burst(step.within(view.language))
            case Seen(text, gone):
                terminal.wait_for(lambda screen: (words_of(text) in screen) is not gone, PATIENCE)
            case _:
                pass  # others act by themselves
    terminal.wait_for(words_of(scene.shows), PATIENCE)
    terminal.wait_quiet()
    show(scene, of_escapes(terminal.escapes(), *view.size))
    for key in scene.back:
        _press(terminal, key)


def _press(terminal: Terminal, key: str) -> None:
    """Press a key and wait until what it does was drawn; some keys do nothing here."""
    before = terminal.escapes()
    terminal.send(name_of(key))
    with suppress(Unseen):
        terminal.wait_for(lambda _: terminal.escapes() != before, NOTHING)
    terminal.wait_quiet(0.1)


def name_of(key: str) -> str:
    *modifiers, last = key.split("+")
    name = _NAMES.get(last) or (last.upper() if last[0] == "f" and last[1:].isdigit() else last)
    return "".join(_MODIFIERS[one] for one in modifiers) + name


def looks() -> Iterator[View]:
    for language in translation.LANGUAGES:
        for theme in Theme:
            for size in ((80, 24), (120, 34)):
                yield View(size, theme, language)


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
    """Make the pictures of the README again."""
    with TemporaryDirectory(prefix="parlour-pictures-") as scratch:
        every(Path(scratch), [look for look, _ in README.values()])
        folder.mkdir(parents=True, exist_ok=True)
        for name, (look, scene) in README.items():
            shutil.copyfile(Path(scratch) / look / f"{scene}.svg", folder / f"{name}.svg")


def _made(folder: Path, view: View) -> list[Path]:
    """Every scene that keys alone reach, in one look."""
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    colours = COLOURS[view.theme]

    def show(scene: Scene, picture: Picture) -> None:
        path = folder / f"{scene.name}.svg"
        path.write_text(draw(picture, colours.foreground or "", colours.background or ""), encoding="utf-8")
        made.append(path)

    translation.use(view.language)
    with TemporaryDirectory(prefix="parlour-pictures-") as scratch, Lab(1) as lab:
        _first_run(view, Path(scratch) / "profile", lab.hosts[0], show)
    _talk(view, show)
    if program := shutil.which("rsvg-convert"):
        for path in made:
            subprocess.run([program, "-w", "1200", path, "-o", path.with_suffix(".png")], check=True)
    return made


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--readme"]:
            for_readme(Path("docs/screens"))
        case [place, *parts]:
            every(Path(place), parts)
        case _:
            sys.exit("usage: python -m tests.support.screens.real FOLDER [LOOK…] | --readme")
