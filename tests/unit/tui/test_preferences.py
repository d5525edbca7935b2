"""What this person chose: defaults, values of other versions, keeping; and that every theme can be read."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme as Colours

from chat.interface import BadData, Level
from tests.support.fakes.messenger import FakeMessenger
from tui.preferences import AUTOLOCK_MAX, Density, Keys, Preferences, Theme, switch
from tui.themes import COLOURS, CONTRAST, THEMES, following

TEXT = ("foreground", "primary", "accent", "success", "warning", "error", "quiet", "own", "theirs")
GROUNDS = ("background", "surface", "panel", "cursor")
MARKS = ("border", "primary", "own", "theirs")


def test_where_nothing_was_chosen_the_defaults_hold() -> None:
    chosen = Preferences()
    assert (chosen.theme, chosen.density, chosen.keys) == (Theme.DARK, Density.COMPACT, Keys.PLAIN)
    assert (chosen.bell, chosen.notify, chosen.notify_content) == (True, True, Level.NOTHING)
    assert (chosen.language, chosen.autolock, chosen.draft("ab")) == ("", 0, "")


def test_a_value_that_means_nothing_is_the_default() -> None:
    chosen = Preferences(None, {"theme": "pink", "density": "", "keys": "emacs", "bell": "loud"})
    assert (chosen.theme, chosen.density, chosen.keys) == (Theme.DARK, Density.COMPACT, Keys.PLAIN)
    assert chosen.bell


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("15", 15), ("9" * 5, AUTOLOCK_MAX), *((none, 0) for none in ("0", "-3", "1.5", "٣", "9" * 9999, ""))],
)
def test_minutes_are_a_number_or_never(text: str, minutes: int) -> None:
    assert Preferences(None, {"autolock": text}).autolock == minutes


async def test_what_is_set_is_kept_by_the_engine() -> None:
    messenger = FakeMessenger("Ann")
    chosen = await Preferences.read(messenger)
    await chosen.set("theme", Theme.CONTRAST)
    await chosen.keep_draft("ab" * 32, "not yet\nsent")
    again = await Preferences.read(messenger)
    assert again.theme is Theme.CONTRAST
    assert again.draft("ab" * 32) == "not yet\nsent"
    await again.keep_draft("ab" * 32, "")
    assert dict(await messenger.preferences()) == {"theme": "contrast"}


async def test_a_choice_that_could_not_be_kept_holds_and_says_so() -> None:
    messenger = FakeMessenger("Ann")
    chosen = await Preferences.read(messenger)
    messenger.failures["set_preference"] = BadData("The disk is full.")
    with pytest.raises(BadData):
        await chosen.set("density", Density.ROOMY)
    assert chosen.density is Density.ROOMY


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize("on", [True, False])
def test_a_switch_is_read_as_it_was_written(on: bool, default: bool) -> None:
    text = switch(on, default=default)
    assert (not text) is (on == default)
    assert Preferences(None, {"bell": text or switch(True, default=True)}).bell is (on if text else True)


def colour(theme: Colours, name: str) -> Color:
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


def poor(theme: Colours, inks: tuple[str, ...], grounds: tuple[str, ...], least: float) -> list[object]:
    """The pairs with less contrast than the least, and how much they have."""
    found = [
        (ink, ground, round(contrast(colour(theme, ink), colour(theme, ground)), 2))
        for ink in inks
        for ground in grounds
    ]
    return [one for one in found if one[-1] < least]


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_all_text_can_be_read(theme: Colours) -> None:
    assert poor(theme, TEXT, GROUNDS, 7.0 if theme is CONTRAST else 4.5) == []


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_borders_bars_and_the_edges_of_fields_can_be_seen(theme: Colours) -> None:
    assert poor(theme, MARKS, GROUNDS[:-1], 3.0) == []


def test_every_theme_has_its_turn() -> None:
    seen = [Theme.DARK]
    while (after := following(seen[-1])) not in seen:
        seen.append(after)
    assert seen == list(Theme) == list(COLOURS)
