"""The interface's texts in the person's language, by gettext catalogues (tui/locale).

Rules: a text is a literal, whole sentence with its values in braces: `_("Paired with {name}.").format(…)`.
English is what stands in the code; a text that a catalogue lacks is shown in English. What the engine says
is shown through `told`.

A sentence of a catalogue with styled values in it.

Rules: the order of the values is that of the sentence in the language in use; a value is shown as it stands
and never read as markup; each value that a sentence names is given.

What the interface and the linear mode say beyond their usual words where they show a demo.

Rules: it is never left in doubt that this is a demo and that nothing is kept.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Final

from textual.content import Content

from chat.interface import Phrase

DOMAIN: Final = "parlour"
FOLDER: Final = Path(__file__).parents[1] / "locale"
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


def filled(sentence: str, style: str = "", /, **values: tuple[str, str]) -> Content:
    """The sentence in `style`, each `{name}` in it replaced by a text in a style of its own."""
    parts: list[tuple[str, str]] = []
    for text, name, _format, _conversion in Formatter().parse(sentence):
        parts.append((text, style))
        if name is not None:
            parts.append(values[name])
    return Content.assemble(*parts)


_TRY = (
    N_("Write to someone who is online: they answer."),
    N_("Write to someone who is offline: it waits."),
    N_("Pair with someone under Nearby."),
)


def welcome(stage: str, passphrase: str) -> str:
    """The first line of a demo: while it is made (`joining`), its passphrase (`locked`), or nothing."""
    if stage == "joining":
        return _("Preparing a demo: a few people, their keys and their messages…")
    if stage == "locked":
        return _("This is a demo. Its passphrase: {passphrase}").format(passphrase=passphrase)
    return ""


def title() -> str:
    """The name of what is shown."""
    return _("This is a demo")


def about() -> str:
    """What is real in it, and what becomes of it."""
    return _(
        "The people here are simulated by this program, with real keys and an encrypted history. Nothing "
        "leaves the program, and everything is deleted when you quit."
    )


def tried_first() -> tuple[str, ...]:
    """What somebody new can do here."""
    return tuple(_(text) for text in _TRY)


def badge() -> str:
    """The reminder that is always there."""
    return _("DEMO: nothing is saved")
