"""The comparison of five words, which shows that nobody is between two terminals (SPEC §7.4)."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from msgspec import Struct

from protocol import labels, primitives
from protocol.errors import AuthenticationFailed
from protocol.identity.names import check_name
from protocol.identity.safety import WordList, words
from protocol.messages import Commit, Open, Reveal

LISTS: Final = {1: WordList.CHINESE}
"""The lists that a terminal offers, by the number of the feature. English needs none (SPEC §7.4)."""


def offering(language: str) -> tuple[int, ...]:
    """The features by which a terminal offers the list of a language; none for English or no list."""
    return tuple(feature for feature, listed in LISTS.items() if listed == language)


def shown_list(common: Container[int]) -> WordList:
    """The list that both ends show, by the features that both have named on their link."""
    return next((listed for feature, listed in LISTS.items() if feature in common), WordList.ENGLISH)


class WordsReady(Struct, frozen=True):
    """What to compare: `five` bytes, and their English words. `name` of the peer is text of the peer."""

    words: tuple[str, ...]
    name: str
    five: bytes


class Comparison:
    """One side of the exchange that gives the words: commit, reveal, open.

    Bound to a link by its transcript hash `t` (32 bytes). `name` is shown on the other side, `nonce` (32
    bytes) is this side's. `peer_name` is the name that the other side shows, once it has come.
    """

    def __init__(self, t: bytes, name: str, nonce: bytes) -> None:
        self.peer_name = ""
        self._t, self._name, self._nonce = t, name, nonce
        self._commitment = b""

    def begin(self) -> Commit:
        """The initiator's first message."""
        return Commit(self._commit(self._nonce), self._name)

    def committed(self, message: Commit) -> Reveal:
        """The responder's answer. Malformed for what is no name."""
        check_name(message.name)
        self._commitment, self.peer_name = message.commitment, message.name
        return Reveal(self._nonce, self._name)

    def revealed(self, message: Reveal) -> tuple[Open, WordsReady]:
        """The initiator's second message, and its words. Malformed for what is no name."""
        check_name(message.name)
        self.peer_name = message.name
        return Open(self._nonce), self._words(self._nonce, message.nonce)

    def opened(self, message: Open) -> WordsReady:
        """The responder's words. AuthenticationFailed for another nonce than the one committed to."""
        if not primitives.equal(self._commit(message.nonce), self._commitment):
            raise AuthenticationFailed("not the nonce that was committed to")
        return self._words(message.nonce, self._nonce)

    def _commit(self, nonce: bytes) -> bytes:
        return primitives.b2b(self._t + nonce, personal=labels.COMMITMENT)

    def _words(self, initiator_nonce: bytes, responder_nonce: bytes) -> WordsReady:
        five = primitives.b2b(self._t + initiator_nonce + responder_nonce, personal=labels.WORDS, size=5)
        return WordsReady(words(five), self.peer_name, five)
