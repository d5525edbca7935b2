"""Commands that a bot offers, as far as they are shown and sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from chat.interface import BotCommand

_LOOKS: Final = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "8": "b", "_": None, "-": None})
_TWO_AS_ONE: Final = (("rn", "m"), ("vv", "w"))


def _look(name: str) -> str:
    """What names have in common that look alike in some font."""
    look = name.lower().translate(_LOOKS)
    for two, one in _TWO_AS_ONE:
        look = look.replace(two, one)
    return look


def offered(commands: Iterable[BotCommand], names: Iterable[str]) -> tuple[BotCommand, ...]:
    """The commands of a bot but those that are, or look like, one of the `names` of Parlour's own."""
    own = {_look(name) for name in names}
    return tuple(one for one in commands if _look(one.name) not in own)


def sent_command(text: str, commands: Iterable[BotCommand]) -> bool:
    """Whether a text is a command of a bot, with or without more behind it, which is sent as it stands."""
    return text.split(maxsplit=1)[:1] in [[f"/{one.name}"] for one in commands]
