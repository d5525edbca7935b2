"""What was written and not sent, a conversation, with the entry that it answers.

Rules: what is put here holds at once and is kept in the encrypted profile by `keep`, and nowhere else; the
object goes with the open profile, so that a lock leaves nothing of it in memory.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tui.preferences import Preferences


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that was not sent, and the id of the entry that it answers (empty: none)."""

    text: str = field(default="", repr=False)
    reply: str = ""


class Drafts:
    """The drafts of an open profile, by person id."""

    def __init__(self, preferences: Preferences) -> None:
        self._preferences = preferences
        self._unkept: dict[str, str] = {}
        self._refused: set[str] = set()
        self._keeping = asyncio.Lock()

    def of(self, person: str) -> Draft:
        """The draft to a contact, empty where there is none."""
        return Draft(self._get(f"draft.{person}"), self._get(f"reply.{person}"))

    def put(self, person: str, draft: Draft) -> None:
        """Hold a draft; one without a word is none."""
        self._put(f"draft.{person}", draft.text if draft.text.strip() else "")
        self._put(f"reply.{person}", draft.reply)

    def give_back(self, person: str, draft: Draft) -> None:
        """Hold what could not be sent, before whatever was written since."""
        since = self.of(person)
        text = "\n".join(part for part in (draft.text, since.text) if part)
        self.put(person, Draft(text, draft.reply or since.reply))

    @property
    def unkept(self) -> bool:
        """Whether the profile lacks something of this."""
        return bool(self._unkept)

    async def keep(self) -> None:
        """Store what is not stored. Raises ParlourError; what it concerns is tried again at the next call."""
        async with self._keeping:
            for name, value in list(self._unkept.items()):
                self._refused.add(name)
                await self._preferences.set(name, value)
                self._refused.discard(name)
                if self._unkept.get(name) == value:
                    del self._unkept[name]

    def _get(self, name: str) -> str:
        return self._unkept.get(name, self._preferences.get(name))

    def _put(self, name: str, value: str) -> None:
        if value == self._preferences.get(name) and name not in self._refused:
            self._unkept.pop(name, None)
        else:
            self._unkept[name] = value
