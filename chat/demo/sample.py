"""The sample network of seeds/demo.json: persons, what they have said, and what they can answer.

Rules: data only, read once; the days move so that the last one is today, the hours stay: a good morning is
said in the morning. Where the person reads Chinese, so do the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Final

import msgspec

from chat.interface import EntryState

CHINESE: Final = "zh"
_A_MOMENT: Final = timedelta(minutes=1)


class Text(msgspec.Struct, frozen=True):
    """A text and, where it has one, its Chinese form."""

    text: str
    zh: str = ""

    def within(self, language: str) -> str:
        """The form for a language."""
        return self.zh if language == CHINESE and self.zh else self.text


class Said(Text, frozen=True, kw_only=True):
    """One entry. `time` is what a clock on the wall showed; `state` stands at the person's own only.

    `reply` is the `id` of an earlier entry of the conversation.
    """

    author: str
    time: datetime
    state: EntryState | None = None
    id: str = ""
    reply: str = ""


class Conversation(msgspec.Struct, frozen=True):
    """What was said with a contact, of which the person has not read the last `unread`."""

    contact: str = msgspec.field(name="with")
    entries: tuple[Said, ...] = ()
    unread: int = 0


class Contact(msgspec.Struct, frozen=True):
    """A contact of the person; one that is not `present` is away until somebody asks it to come."""

    name: str
    verified: bool
    present: bool
    blocked: bool


class Stranger(msgspec.Struct, frozen=True):
    """Somebody visible nearby."""

    name: str


class Answer(Text, frozen=True, kw_only=True):
    """What is answered to a text that has one of the words; it may bring a contact back that is away."""

    words: tuple[str, ...]
    brings: str = ""


class Sample(msgspec.Struct, frozen=True):
    """The whole network, as `person` sees it."""

    person: str
    contacts: tuple[Contact, ...]
    conversations: tuple[Conversation, ...]
    nearby: tuple[Stranger, ...]
    greeting: Text
    answers: tuple[Answer, ...]
    otherwise: tuple[Text, ...]
    back: Text = msgspec.field(name="return")


def read_sample() -> Sample:
    """The sample that this installation has."""
    return msgspec.json.decode(files("seeds").joinpath("demo.json").read_bytes(), type=Sample)


def placed(conversations: Sequence[Conversation], now: datetime) -> dict[datetime, int]:
    """The time of each entry by what its clock showed, in milliseconds of Unix time.

    `now` is aware; its zone is where the clocks hang. All days move alike: the last entry is the newest of
    its hour that has passed.
    """
    shown = [said.time.replace(tzinfo=None) for one in conversations for said in one.entries]
    today = (now - _A_MOMENT).replace(tzinfo=None)
    moved = timedelta(days=(today - max(shown)) // timedelta(days=1))
    return {time: _unix((time + moved).replace(tzinfo=now.tzinfo)) for time in shown}


def _unix(time: datetime) -> int:
    return round(time.timestamp() * 1000)
