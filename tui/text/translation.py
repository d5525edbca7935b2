"""The interface's texts in the chosen language, by gettext catalogues (tui/locale)."""

from __future__ import annotations

import gettext
import re
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Final

from chat.interface import Phrase

if TYPE_CHECKING:
    from textual.content import Content

DOMAIN: Final = "parlour"
FOLDER: Final = Path(__file__).parents[1] / "locale"
ENGLISH: Final = "en"
CHINESE: Final = "zh_CN"
LANGUAGES: Final = (ENGLISH, CHINESE)
WORDS: Final = {CHINESE: "zh"}
"""The list of pairing words that a reader of a language reads, where it is not the English one."""
_VARIABLES: Final = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")

_HAN: Final = "[\u3400-\u4dbf\u4e00-\u9fff]"
_BEGINS: Final = re.compile(_HAN)
_ENDS: Final = re.compile(f"{_HAN}\\Z")

_catalogue: gettext.NullTranslations = gettext.NullTranslations()
_language = ENGLISH


class Translated(str):
    """A text of the catalogue.

    Chinese sets a blank between itself and a number or a foreign word, and none between itself and Chinese.
    The catalogue writes that blank around every value; `format` takes it away where the value is a text of
    the catalogue too. A name keeps it, so that it shows where the name begins and ends.
    """

    __slots__ = ()

    def format(self, *args: object, **values: object) -> Translated:
        return Translated(_closed(self, values).format(*args, **values))


def _closed(sentence: str, values: Mapping[str, object]) -> str:
    """The sentence without the blanks between it and those values that continue it."""
    for name, value in values.items():
        if not isinstance(value, Translated):
            continue
        if _BEGINS.match(value):
            sentence = re.sub(rf"(?<={_HAN}) (?=\{{{name}\}})", "", sentence)
        if _ENDS.search(value):
            sentence = re.sub(rf"(?<=\{{{name}\}}) (?={_HAN})", "", sentence)
    return str(sentence)


def language() -> str:
    """The language in use, one of LANGUAGES."""
    return _language


def use(language: str) -> None:
    global _catalogue, _language
    _language = language
    _catalogue = gettext.translation(DOMAIN, FOLDER, [language], fallback=True)


def of_locale(environment: Mapping[str, str]) -> str:
    """The language of LANGUAGES that the locale's variables ask for; English where they name another."""
    wanted = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    known = {"zh": "zh_CN", "en": ENGLISH}
    listed = (known.get(one[:2].lower()) for one in wanted.split(":"))
    return next((language for language in listed if language is not None), ENGLISH)


def _(text: str) -> str:
    return Translated(_catalogue.gettext(text))


def _n(one: str, many: str, number: int) -> str:
    return Translated(_catalogue.ngettext(one, many, number))


def told(said: str) -> str:
    """What the engine said, in the language in use; in English where the catalogue does not have it."""
    if not isinstance(said, Phrase):
        return said
    template = _(said.template) if said.template else ""
    if template == said.template:
        return str(said)
    values = {name: told(one) if isinstance(one, str) else one for name, one in said.values.items()}
    return template.format(**values)


def unshown(event: object, fault: Exception) -> str:
    """What is said in place of an event that a fault of the program keeps from being shown."""
    text = _("{event} could not be shown ({fault}). Please report it.")
    return text.format(event=type(event).__name__, fault=type(fault).__name__)


def sentences(*parts: str) -> str:
    """Sentences after each other. Punctuation of Chinese needs no blank: it has its own."""
    joined = ""
    for part in filter(None, parts):
        joined += part if not joined or joined[-1] in "。）" or part[0] == "（" else f" {part}"
    return joined


def N_(text: str) -> str:
    """Marks a text of a table for the catalogues; `_` turns it when it is shown."""
    return text


def filled(sentence: str, style: str = "", /, **values: tuple[str, str]) -> Content:
    """The sentence in `style`, each `{name}` in it replaced by a text in a style of its own."""
    from textual.content import Content  # here, because the linear mode does not load Textual

    parts: list[tuple[str, str]] = []
    sentence = _closed(sentence, {name: text for name, (text, _style) in values.items()})
    for text, name, _format, _conversion in Formatter().parse(sentence):
        parts.append((text, style))
        if name is not None:
            parts.append(values[name])
    return Content.assemble(*parts)


DEMO_TRIES: Final = (
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


DEMO_TITLE: Final = N_("This is a demo")
DEMO_ABOUT: Final = N_(
    "The people here are simulated by this program, with real keys and an encrypted history. Nothing "
    "leaves the program, and everything is deleted when you quit."
)
DEMO_BADGE: Final = N_("DEMO: nothing is saved")
