"""Keys of other keyboard layouts: what a letter on them means where a key is a letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from textual import events

from tui import actions

_LATIN: Final = "qwertyuiop[]asdfghjkl;'zxcvbnm,."
_LAYOUTS: Final = (
    "йцукенгшщзхъфывапролджэячсмитьбю",  # Russian
    "йцукенгшщзхїфівапролджєячсмитьбю",  # Ukrainian
    "йцукенгшўзх’фывапролджэячсмітьбю",  # Belarusian
    ";ςερτυθιοπ[]ασδφγηξκλ΄'ζχψωβνμ,.",  # Greek
    "/'קראטוןםפ][שדגכעיחלךף,זסבהנמצתץ",  # Hebrew
)


def _letters() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for layout in _LAYOUTS:
        for theirs, latin in zip(layout, _LATIN, strict=True):
            if theirs.isalpha():
                found.setdefault(theirs, latin)
                if theirs.upper() != theirs and latin.isalpha():
                    found.setdefault(theirs.upper(), latin.upper())
    return found


LANGMAP: Final = _letters()
"""Letters, and the sign on the same key of a Latin keyboard. One of several layouts has that of the first."""

LETTERS: Final = "".join(sorted(one for one in LANGMAP if one == one.lower()))


_own: dict[str, str] = {}


def use(langmap: Mapping[str, str]) -> None:
    """Let these letters mean others from now on, before those of the known layouts."""
    _own.clear()
    _own.update(langmap)


def _meant(letter: str) -> str:
    return _own.get(letter) or LANGMAP.get(letter, "")


def meant(event: events.Key, *, takes_text: bool, with_alt: bool = False) -> events.Key:
    """The key that is meant by one of another layout, or after the key that means Alt.

    Where text is typed a letter stays what it is. A letter that is a key by itself stays one.
    """
    *modifiers, last = event.key.split("+")
    letter = last if _meant(last) else (event.character or "")
    own = event.key in actions.held_keys()
    if _meant(letter) and (modifiers or with_alt or not takes_text) and not own:
        last = actions.key_name(_meant(letter))
    elif not with_alt or event.key == "escape":
        return event
    last = last.lower() if with_alt and len(last) == 1 else last
    named = [*(["alt"] if with_alt and "alt" not in modifiers else []), *modifiers, last]
    character = None if len(named) > 1 else _meant(letter)
    return events.Key("+".join(named), character)
