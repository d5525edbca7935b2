"""The themes: every colour that text has can be read on every ground that it stands on."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme

from tui.themes import THEMES, other

TEXT = ("foreground", "primary", "accent", "success", "warning", "error", "quiet", "own", "theirs")
GROUNDS = ("background", "surface", "panel")


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
    poor = [
        (text, ground, round(contrast(colour(theme, text), colour(theme, ground)), 2))
        for text in TEXT
        for ground in GROUNDS
        if contrast(colour(theme, text), colour(theme, ground)) < 4.5
    ]
    assert poor == []


def test_the_other_theme_of_the_other_is_the_first() -> None:
    names = [theme.name for theme in THEMES]
    assert [other(other(name)) for name in names] == names
