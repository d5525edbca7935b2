"""The interface's texts in the person's language, by gettext catalogues (tui/locale).

Rules: a text is a literal, whole sentence with its values in braces: `_("Paired with {name}.").format(…)`.
English is what stands in the code; a text that a catalogue lacks is shown in English. What the engine says is
shown through `told`.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chat.interface import Phrase

DOMAIN: Final = "parlour"
FOLDER: Final = Path(__file__).parent / "locale"
ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "zh_CN")
_VARIABLES: Final = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")

_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def use(language: str) -> None:
    """Show texts in one of LANGUAGES from now on."""
    global _catalogue
    _catalogue = gettext.translation(DOMAIN, FOLDER, [language], fallback=True)


def of_locale(environment: Mapping[str, str]) -> str:
    """The language of LANGUAGES that the locale's variables ask for; English where they name another."""
    wanted = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    known = {"zh": "zh_CN", "en": ENGLISH}
    listed = (known.get(one[:2].lower()) for one in wanted.split(":"))
    return next((language for language in listed if language is not None), ENGLISH)


def _(text: str) -> str:
    """The text in the language in use."""
    return _catalogue.gettext(text)


def _n(one: str, many: str, number: int) -> str:
    """The form of a text that fits a number."""
    return _catalogue.ngettext(one, many, number)


def told(said: str) -> str:
    """What the engine said, in the language in use; in English where the catalogue does not have it."""
    if not isinstance(said, Phrase):
        return said
    template = _(said.template) if said.template else ""
    if template == said.template:
        return str(said)
    return template.format(**{name: _told_value(value) for name, value in said.values.items()})


def _told_value(value: str | int) -> str | int:
    return told(value) if isinstance(value, str) else value


def N_(text: str) -> str:
    """Marks a text of a table for the catalogues; `_` turns it when it is shown."""
    return text
