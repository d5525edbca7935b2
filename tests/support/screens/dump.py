"""A picture as lines of text that can be stored, compared and read: what stands there, then how it looks.

Rules: colours have the names of the theme, so that a changed shade changes nothing stored; a look is written
as `ink/ground+marks`, the plain ones left out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from textual.color import Color as Blended
from textual.theme import Theme as Colours

from tests.support.screens.picture import Look, Picture, Run

_NAMES = (
    "foreground", "background", "surface", "panel",
    "primary", "secondary", "accent", "success", "warning", "error",
)  # fmt: skip
_BEHIND = (0.4, 0.6)  # how strongly the ground covers what lies behind a dialog


def names_of(theme: Colours) -> dict[str, str]:
    """The names of a theme's colours by their value; behind a dialog they are darker, and marked by `~`."""
    colours = {name: getattr(theme, name) for name in _NAMES} | {
        name: value for name, value in theme.variables.items() if value.startswith("#")
    }
    ground = Blended.parse(theme.background or "")
    named: dict[str, str] = {}
    for name, value in colours.items():
        named.setdefault(value.lower(), name)
    for part in _BEHIND:
        for name, value in colours.items():
            named.setdefault(Blended.parse(value).blend(ground, part).hex.lower(), f"~{name}")
    return named


def dump(picture: Picture, names: Mapping[str, str]) -> list[str]:
    """The lines of a picture."""
    looks = [" ".join(_look(run, names) for run in row) for row in picture.rows]
    return [*(f"│{text}" for text in picture.text), "", *_numbered(looks)]


def difference(stored: Sequence[str], now: Sequence[str]) -> str:
    """What differs, empty where nothing does."""
    return "\n".join(difflib.unified_diff(stored, now, "stored", "now", lineterm="", n=1))


def _numbered(looks: Sequence[str]) -> Iterator[str]:
    """Each row's looks after its number; rows that look alike, one below the other, share a line."""
    first = 0
    for row, look in enumerate(looks):
        if row + 1 == len(looks) or looks[row + 1] != look:
            yield f"{first}{f'-{row}' if row > first else ''}: {look}"
            first = row + 1


def _look(run: Run, names: Mapping[str, str]) -> str:
    return f"{_words(run.look, names)}×{run.cells}"


def _words(look: Look, names: Mapping[str, str]) -> str:
    ink = _name(look.ink, names)
    ground = _name(look.ground, names)
    text = ink + (f"/{ground}" if ground != "background" else "")
    return "+".join((text, *look.marks))


def _name(colour: str, names: Mapping[str, str]) -> str:
    return names.get(colour.lower()) or _nearly(colour, names) or colour or "default"


def _nearly(colour: str, names: Mapping[str, str]) -> str:
    """The name of a colour that differs in the last place, by rounding on its way to the screen."""
    if not colour.startswith("#"):
        return ""
    parts = Blended.parse(colour).rgb
    near = (
        name
        for value, name in names.items()
        if all(abs(one - other) <= 1 for one, other in zip(parts, Blended.parse(value).rgb, strict=True))
    )
    return next(near, "")
