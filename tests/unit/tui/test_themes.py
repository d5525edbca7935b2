"""The themes: every colour that text has can be read on every ground that it stands on."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme

from tui.preferences import Theme as Chosen
from tui.themes import COLOURS, CONTRAST, THEMES, following

TEXT = ("foreground", "primary", "accent", "success", "warning", "error", "quiet", "own", "theirs")
GROUNDS = ("background", "surface", "panel", "cursor")


def colour(theme: Theme, name: str) -> Color:
    value = theme.variables.get(name) or getattr(theme, name)
    assert isinstance(value, str)
    return Color.parse(value)


def contrast(one: Color, two: Color) -> float:
    """The contrast ratio of WCAG 2.1, relative luminance."""
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: Color) -> float:
    parts = [value / 255 for value in (colour.r, colour.g, colour.b)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_all_text_can_be_read(theme: Theme) -> None:
    least = 7.0 if theme is CONTRAST else 4.5
    poor = [
        (text, ground, round(contrast(colour(theme, text), colour(theme, ground)), 2))
        for text in TEXT
        for ground in GROUNDS
        if contrast(colour(theme, text), colour(theme, ground)) < least
    ]
    assert poor == []


def test_every_theme_has_its_turn() -> None:
    seen = [Chosen.DARK]
    while (after := following(seen[-1])) not in seen:
        seen.append(after)
    assert seen == list(Chosen) == list(COLOURS)
