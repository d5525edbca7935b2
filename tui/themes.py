"""The themes, as data: calm colours named by what they mean.

Text keeps a contrast of at least 4.5 on its background, and of 7 in the high-contrast theme
(WCAG 2.1, 1.4.3, 1.4.6). Borders, scroll bars and the edges of fields keep 3 (1.4.11); `rule` only decorates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from textual.theme import Theme as Colours

from tui.preferences import Theme

_TABLE: Final[Mapping[str, tuple[str, str, str]]] = {
    "primary": ("#82aaff", "#2457a6", "#7fdbff"),
    "secondary": ("#9d8cd6", "#6247a8", "#e0b0ff"),
    "accent": ("#e6b673", "#8a5200", "#ffdc00"),
    "success": ("#7fc8a0", "#1f6b45", "#5dff8f"),
    "error": ("#ef8a8a", "#a82f2f", "#ffa8a8"),
    "foreground": ("#d8dee9", "#252a33", "#ffffff"),
    "background": ("#10141b", "#faf8f4", "#000000"),
    "surface": ("#161b24", "#ffffff", "#000000"),
    "panel": ("#1d2430", "#efece5", "#1a1a1a"),
    "quiet": ("#98a2b4", "#5d6470", "#d0d0d0"),
    "rule": ("#2f3949", "#d5d0c5", "#8a8a8a"),
    "cursor": ("#25344d", "#d6e2f5", "#002b57"),
    "border": ("#66748c", "#8a8478", "#ffffff"),
    "block-cursor-text-style": ("none", "none", "bold"),
}
"""What each theme uses, in the order of `Theme`."""
_VARIABLES: Final = ("quiet", "rule", "cursor", "border", "block-cursor-text-style")


def _colours(at: int, theme: Theme) -> Colours:
    of = {name: values[at] for name, values in _TABLE.items()}
    same = {"own": of["primary"], "theirs": of["success"], "border-blurred": of["rule"]}
    return Colours(
        name=f"parlour-{theme.value}",
        dark=theme is not Theme.LIGHT,
        primary=of["primary"],
        secondary=of["secondary"],
        accent=of["accent"],
        success=of["success"],
        warning=of["accent"],
        error=of["error"],
        foreground=of["foreground"],
        background=of["background"],
        surface=of["surface"],
        panel=of["panel"],
        variables={name: of[name] for name in _VARIABLES} | same,
    )


THEMES: Final = tuple(_colours(at, theme) for at, theme in enumerate(Theme))
DARK, LIGHT, CONTRAST = THEMES
COLOURS: Final = dict(zip(Theme, THEMES, strict=True))


def following(theme: Theme) -> Theme:
    """The theme to change to by a key: each in its turn."""
    order = list(Theme)
    return order[(order.index(theme) + 1) % len(order)]
