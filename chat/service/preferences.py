"""What the interface keeps for itself in the encrypted database: its own choices, drafts, muted contacts.

Rules: opaque here; names and values are bounded, nothing else is asked of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from chat.interface import UsageError
from chat.phrases import phrase
from chat.service.world import World
from chat.storage import settings

NAME: Final = re.compile(r"[a-z0-9._-]{1,96}")
VALUE_CHARACTERS_MAX: Final = 65_536

BAD_NAME = phrase("A preference's name has 1 to 96 characters of a-z, 0-9, '.', '_' and '-'.")
TOO_LONG = phrase("A preference has at most {number} characters.", number=VALUE_CHARACTERS_MAX)
NOT_TEXT = phrase("A preference holds characters that are not Unicode text.")


class Preferences:
    """The use case *preferences*."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def all(self) -> Mapping[str, str]:
        """Every value that is kept, by name."""
        return await self._world.store.read(settings.preferences)

    async def set(self, name: str, value: str) -> None:
        """Keep a value, or delete it where it is empty. Raises UsageError."""
        if NAME.fullmatch(name) is None:
            raise UsageError(BAD_NAME)
        if len(value) > VALUE_CHARACTERS_MAX:
            raise UsageError(TOO_LONG)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UsageError(NOT_TEXT) from None
        await self._world.store.write(settings.set_preference, name, value)
