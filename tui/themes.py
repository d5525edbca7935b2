"""The themes, as data: calm colours named by what they mean.

Text keeps a contrast of at least 4.5 on its background, and of 7 in the high-contrast theme
(WCAG 2.1, 1.4.3, 1.4.6).
"""

from __future__ import annotations

from typing import Final

from textual.theme import Theme as Colours

from tui.preferences import Theme

DARK: Final = Colours(
    name="parlour-dark",
    dark=True,
    primary="#82aaff",
    secondary="#9d8cd6",
    accent="#e6b673",
    success="#7fc8a0",
    warning="#e6b673",
    error="#ef8a8a",
    foreground="#d8dee9",
    background="#10141b",
    surface="#161b24",
    panel="#1d2430",
    variables={
        "quiet": "#98a2b4",
        "rule": "#2f3949",
        "own": "#82aaff",
        "theirs": "#7fc8a0",
        "cursor": "#25344d",
        "block-cursor-text-style": "none",
        "border": "#3a475c",
        "border-blurred": "#2f3949",
    },
)

LIGHT: Final = Colours(
    name="parlour-light",
    dark=False,
    primary="#2457a6",
    secondary="#6247a8",
    accent="#8a5200",
    success="#1f6b45",
    warning="#8a5200",
    error="#a82f2f",
    foreground="#252a33",
    background="#faf8f4",
    surface="#ffffff",
    panel="#efece5",
    variables={
        "quiet": "#5d6470",
        "rule": "#d5d0c5",
        "own": "#2457a6",
        "theirs": "#1f6b45",
        "cursor": "#d6e2f5",
        "block-cursor-text-style": "none",
        "border": "#b9b3a6",
        "border-blurred": "#d5d0c5",
    },
)

CONTRAST: Final = Colours(
    name="parlour-contrast",
    dark=True,
    primary="#7fdbff",
    secondary="#e0b0ff",
    accent="#ffdc00",
    success="#5dff8f",
    warning="#ffdc00",
    error="#ffa8a8",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    variables={
        "quiet": "#d0d0d0",
        "rule": "#8a8a8a",
        "own": "#7fdbff",
        "theirs": "#5dff8f",
        "cursor": "#002b57",
        "block-cursor-text-style": "bold",
        "border": "#ffffff",
        "border-blurred": "#8a8a8a",
    },
)

COLOURS: Final = {Theme.DARK: DARK, Theme.LIGHT: LIGHT, Theme.CONTRAST: CONTRAST}
THEMES: Final = tuple(COLOURS.values())


def following(theme: Theme) -> Theme:
    """The theme to change to by a key: each in its turn."""
    order = list(Theme)
    return order[(order.index(theme) + 1) % len(order)]
