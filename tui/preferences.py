"""What a person chose for the interface, and what the program or a test chooses."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from chat.interface import (
    DEFAULT_MIB,
    FILES_LIMIT,
    FILES_RELAYED,
    KEEP_MOST,
    KEEP_MOST_MIB,
    PICTURES_SHOWN,
    RELAYED_MIB,
    WITHOUT_ASKING,
    WORDS_READ,
    Level,
    Messenger,
    Outside,
    Turn,
)

SAVED_IN: Final = "saved_in"
"""The preference with the folder in which a file was saved last, DOWNLOADS before."""

DOWNLOADS: Final = "~/Downloads"

ON: Final = "on"

AUTOLOCK_MAX: Final = 24 * 60
_OPENED: Final = "open."
_REMINDED: Final = "reminded"  # the last day on which recovery words were called to mind

SIZE_DIGITS: Final = 8

_LEVELS: Final = {"who": Level.WHO, "on": Level.TEXT}
"""What is stored for a level of notifications that is not the usual one."""


def is_size(typed: str) -> bool:
    """Whether this is a number of MiB that files may have, or empty, for the usual one."""
    return not typed or (typed.isascii() and typed.isdecimal() and len(typed) <= SIZE_DIGITS)


class Theme(StrEnum):
    DARK = "dark"
    LIGHT = "light"
    CONTRAST = "contrast"


class Density(StrEnum):
    COMPACT = "compact"
    ROOMY = "roomy"


class Keys(StrEnum):
    PLAIN = "standard"
    VI = "vi"


class Drawing(StrEnum):
    """How pictures are drawn: as half blocks, which every terminal has, or by a protocol that is chosen."""

    BLOCKS = "blocks"
    KITTY = "kitty"


Choice = TypeVar("Choice", bound=StrEnum)


class Preferences:
    """The choices kept by a messenger; without one, they last as long as this object."""

    def __init__(self, messenger: Messenger | None = None, kept: Mapping[str, str] | None = None) -> None:
        self._messenger = messenger
        self._kept = dict(kept or {})
        self._unkept: set[str] = set()

    @classmethod
    async def read(cls, messenger: Messenger) -> Preferences:
        """What is kept. Raises ParlourError."""
        return cls(messenger, await messenger.preferences())

    def looks(self) -> Mapping[str, str]:
        """What may outlive the open profile: how the interface looks, and nothing that was written."""
        shown = ("theme", "density", "language", "keys", "mouse")
        return {name: self._kept[name] for name in shown if name in self._kept}

    def unkept(self) -> Mapping[str, str]:
        """What was chosen while no profile was open that could keep it."""
        return {name: self.get(name) for name in self._unkept}

    def get(self, name: str) -> str:
        """The value under a name, empty where nothing was chosen."""
        return self._kept.get(name, "")

    def hold(self, name: str, value: str) -> None:
        """Choose, or choose nothing (empty), as long as this object lasts."""
        self._kept.pop(name, None)
        if value:
            self._kept[name] = value

    async def set(self, name: str, value: str) -> None:
        """Choose, or choose nothing (empty). Raises ParlourError; it holds here nevertheless."""
        self.hold(name, value)
        if self._messenger is None:
            self._unkept.add(name)
        else:
            await self._messenger.set_preference(name, value)

    @property
    def theme(self) -> Theme:
        return self._choice("theme", Theme.DARK)

    @property
    def density(self) -> Density:
        return self._choice("density", Density.COMPACT)

    @property
    def keys(self) -> Keys:
        return self._choice("keys", Keys.PLAIN)

    @property
    def drawing(self) -> Drawing:
        return self._choice("drawing", Drawing.BLOCKS)

    @property
    def language(self) -> str:
        """One of tui.text.translation.LANGUAGES; empty where the locale decides."""
        return self.get("language")

    @property
    def bell(self) -> bool:
        return self._switch("bell", default=True)

    @property
    def mouse(self) -> bool:
        """Whether clicks and drags come to Parlour; the terminal selects by itself where they do not."""
        return self._switch("mouse", default=True)

    @property
    def notify(self) -> bool:
        return self._switch("notify", default=True)

    @property
    def notify_mentions(self) -> bool:
        """Whether a text that names this person is notified of where others are not."""
        return self._switch("notify_mentions", default=False)

    @property
    def notify_content(self) -> Level:
        """What a notification says: other people may see it."""
        return _LEVELS.get(self.get("notify_content"), Level.NOTHING)

    @property
    def autolock(self) -> int:
        """Minutes without a key after which the profile locks, 0 for never."""
        text = self.get("autolock")
        return min(int(text), AUTOLOCK_MAX) if text.isascii() and text.isdecimal() and len(text) < 6 else 0

    @property
    def opened(self) -> str:
        """Whose conversation was open last; empty where none was."""
        found = (name.removeprefix(_OPENED) for name in self._kept if name.startswith(_OPENED))
        return next(found, "")

    async def keep_opened(self, person: str) -> None:
        """Keep it. Raises ParlourError."""
        # The person is part of the name, so that the removal of a contact forgets this, too.
        before = self.opened
        if before != person:
            if before:
                await self.set(_OPENED + before, "")
            await self.set(_OPENED + person, switch(on=True, default=False))

    async def reminds(self, options: Options) -> bool:
        """Whether to say that recovery words are to be written down: once a day, never in a demo.

        Raises ParlourError.
        """
        today = options.today().isoformat()
        if options.demo or self.get(_REMINDED) == today:
            return False
        await self.set(_REMINDED, today)
        return True

    async def keep_words(self, words: str) -> None:
        """Keep the language of the pairing words that this person reads, empty for English.

        Raises ParlourError.
        """
        if words != self.get(WORDS_READ):
            await self.set(WORDS_READ, words)

    def draft(self, person: str) -> str:
        """What was written to a contact and not sent."""
        return self.get(f"draft.{person}")

    async def keep_draft(self, person: str, text: str) -> None:
        """Keep it, or forget it (empty). Raises ParlourError."""
        await self.set(f"draft.{person}", text)

    def _choice(self, name: str, default: Choice) -> Choice:
        text = self.get(name)
        return next((one for one in type(default) if one.value == text), default)

    def _switch(self, name: str, *, default: bool) -> bool:
        return {"on": True, "off": False}.get(self.get(name), default)


def pictures_of(person: str) -> str:
    """The preference that is ON where the pictures of a conversation are shown without being asked for."""
    return f"{PICTURES_SHOWN}.{person}"


class Amount(Struct, frozen=True):
    """A number that is a preference of files: its name, the usual one, and those that are offered."""

    name: str
    usual: int
    offered: tuple[int, ...]


AMOUNTS: Final = {
    "files": Amount(WITHOUT_ASKING, DEFAULT_MIB, (0, 5, 25, 100, 1_024)),
    "relayed": Amount(FILES_RELAYED, RELAYED_MIB, (0, 1, 10, 100, 1_024)),
    "most": Amount(KEEP_MOST, KEEP_MOST_MIB, (1_024, 10_240, 102_400)),
    "rate": Amount(FILES_LIMIT, 0, (0, 100, 500, 2_000)),
}
"""What files may use of this device, in MiB, and of its network, in KiB a second."""


def amount(kept: Mapping[str, str], one: Amount) -> int:
    """The number that holds for all contacts."""
    value = kept.get(one.name, "")
    return int(value) if value and is_size(value) else one.usual


def switch(on: bool, *, default: bool) -> str:
    """The value that stands for on or off: nothing where it is the default."""
    if on == default:
        return ""
    return "on" if on else "off"


def send_id(kept: str, text: str, reply: str) -> str:
    """The id with which this text was sent before, by what is `kept` of that, or a new one."""
    before, _space, of = kept.partition(" ")
    return before if of == _digest(text, reply) else secrets.token_hex(16)


def kept_send_id(send_id: str, text: str, reply: str) -> str:
    """What a draft keeps of a text that may have been stored. A text that is changed is another one."""
    return f"{send_id} {_digest(text, reply)}"


def _digest(text: str, reply: str) -> str:
    return hashlib.sha256(f"{reply} {text}".encode(errors="surrogatepass")).hexdigest()


def passed() -> float:
    """Seconds on a clock that goes on while the machine sleeps, where it has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Options(Struct, frozen=True):
    """`keymaps`: files of keys, of which a later one goes before an earlier one; `patience`: after this long
    the guide explains why nobody is found; `quiet`: a dialog that opens by itself takes no answer before this
    long without a key; `typing_again`: how often a contact is notified of typing; `keep_draft`: a draft is
    stored at most this long after a key; `news`: how long a line of news is shown; `demo`: the passphrase of
    a demo, or empty; `starts_again`: a lock replaces the program by a new start of its command line;
    `outside`: shows notifications where that is not left to the terminal. `turn`: taken while a profile is
    open and can be notified of.
    """

    keymaps: tuple[Path, ...] = ()
    patience: float = 5.0
    quiet: float = 0.8
    typing_again: float = 3.0
    keep_draft: float = 1.5
    news: float = 10.0
    demo: str = ""
    starts_again: bool = False
    outside: Outside | None = None
    turn: Turn | None = None
    monotonic: Callable[[], float] = passed
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    zone: tzinfo | None = None

    def today(self) -> date:
        return self.now().astimezone(self.zone).date()
