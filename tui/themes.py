"""The themes, as data: calm colours named by what they mean.

Rules: style sheets use only the names of a theme; text on its ground keeps a contrast of at least 4.5.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
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
        "quiet": "#8993a5",
        "rule": "#2f3949",
        "own": "#82aaff",
        "theirs": "#7fc8a0",
        "cursor": "#2a3850",
        "block-cursor-text-style": "none",
        "border": "#3a475c",
        "border-blurred": "#2f3949",
    },
)

LIGHT = Theme(
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
        "quiet": "#646b78",
        "rule": "#d5d0c5",
        "own": "#2457a6",
        "theirs": "#1f6b45",
        "cursor": "#d6e2f5",
        "block-cursor-text-style": "none",
        "border": "#b9b3a6",
        "border-blurred": "#d5d0c5",
    },
)

THEMES = (DARK, LIGHT)


def other(name: str) -> str:
    """The theme to change to."""
    return LIGHT.name if name == DARK.name else DARK.name
