"""Phrases, which clients can translate, and errors that hold one. None contains peer text or a key."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final


class Phrase(str):
    """An English text with its template and values. Without a template it is the same in every language.

    A value is a text, a number, or a phrase, which a client translates first.
    """

    __slots__ = ("template", "values")

    template: str
    values: Mapping[str, str | int]

    def __new__(
        cls, text: str = "", template: str = "", values: Mapping[str, str | int] | None = None
    ) -> Phrase:
        self = super().__new__(cls, text)
        self.template = template
        self.values = MappingProxyType(dict(values or {}))
        return self

    def __deepcopy__(self, memo: object) -> Phrase:
        """Itself: nothing in it changes."""
        return self


NOTHING_SAID: Final = Phrase()


def phrase(template: str, /, **values: str | int) -> Phrase:
    """The phrase of a template, which is a literal at each call so that `make messages` collects it."""
    return Phrase(template.format(**values), template, values)


class ParlourError(Exception):
    """A failure that a user can act on: one line that says what happened and what to do.

    `exit_status` is the command line's status for this class (1 is any other failure).
    """

    exit_status: ClassVar[int] = 1

    @property
    def phrase(self) -> Phrase:
        """The line."""
        said = self.args[0] if self.args else ""
        return said if isinstance(said, Phrase) else Phrase(str(self))


class UsageError(ParlourError):
    """The call itself is wrong: an unknown contact, an empty text, a bad option."""

    exit_status = 64


class WordsReplaced(UsageError):
    """These recovery words were replaced by a recovery which this person confirmed, perhaps by mistake."""


class NotTypedBack(UsageError):
    """Other words than those that were asked for were typed: others are asked for now."""


class OnlyAsOriginal(UsageError):
    """The metadata of this picture cannot be removed. The person may send it as the original."""


class BadData(ParlourError):
    """Data is damaged or not what it says: an invitation, a header, a database."""

    exit_status = 65


class Unreachable(ParlourError):
    """Nobody answers, in a call that needs somebody now."""

    exit_status = 69


class EngineEnded(Unreachable):
    """The engine has ended. The client may repeat this call at the next one: it was not done, or harmless."""


class AnswerLost(Unreachable):
    """The engine ended before it answered. Nobody knows whether this call was done: it is not repeated."""


class OutcomeUnknown(ParlourError):
    """The disk failed in such a way that nobody knows whether this call was done."""


class CannotCreate(ParlourError):
    """A profile, file or port cannot be created or is in use."""

    exit_status = 73


class NotPermitted(ParlourError):
    """Wrong passphrase, or the profile is locked."""

    exit_status = 77


class Unconfined(NotPermitted):
    """This system cannot confine what decodes a picture. The person may allow it all the same."""


class KeyringFailure(ParlourError):
    """The system's keyring did not do what it was asked. Without it, the passphrase is typed."""


class Unconfirmed(ParlourError):
    """This person's own log has changes that this person has not confirmed, or this terminal is out of it."""


ARCHIVED = phrase("This is an archive: it can be read, searched and exported, and nothing else.")
LOCKED = phrase("Parlour is locked: unlock it with the passphrase.")
ENGINE_ENDED = phrase(
    "The program that had this profile open has ended. Nothing is sent or received until it is opened again."
)
NO_ANSWER = phrase(
    "No answer. Is Parlour open on the other device, and is it on the same network or at a relay that both "
    "of you use?"
)
OTHER_VERSION = phrase(
    "The other device uses an incompatible version of the protocol: update the older of the two."
)
NOT_PARLOUR = phrase("The program at that address is not Parlour: check the address.")
NOT_WELCOME = phrase(
    "The other device does not accept the pairing: is it visible, or is the invitation used or expired?"
)
CUT = phrase("The connection ended before pairing was complete. Nothing was changed here. Try again.")
PENDING = phrase(
    "The connection ended just before pairing was complete. The contact is added when both of you are online "
    "within a day. If it is not, pair again."
)
REFUSED = phrase("The other person declined, or their Parlour ended. Nothing was stored.")
PROBLEM = phrase(
    "The other device violated the protocol. Pairing stopped, and nothing was stored. Try again."
)
WRONG_KEYS = phrase(
    "The keys do not match: someone may be intercepting the connection. Nothing was stored. Pair in person."
)
