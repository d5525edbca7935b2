"""Who waits on which token: the one table that a relay has, in memory and as long as people wait.

Rules: a token is a number that means nothing here; the newest on a token comes first, the ninth drives the
oldest out; nothing is kept of a token once nobody waits on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from protocol.limits import RELAY_WAITERS_MAX

W = TypeVar("W")


def _ignored(token: bytes) -> None:
    """Nobody wants to know."""


class Hall(Generic[W]):
    """Those who wait, each on tokens of its own choice."""

    def __init__(
        self, gained: Callable[[bytes], None] = _ignored, lost: Callable[[bytes], None] = _ignored
    ) -> None:
        """`gained` is told each token on which nobody waited before, `lost` each on which nobody does now."""
        self._gained, self._lost = gained, lost
        # Most tokens have one who waits, which needs no list: at 128 tokens a third of what a terminal costs.
        self._on: dict[bytes, W | tuple[W, ...]] = {}
        self._tokens: dict[W, tuple[bytes, ...]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._tokens)

    def wait(self, who: W, tokens: Iterable[bytes]) -> None:
        """From now on it waits on these tokens, and on no others."""
        kept, before = tuple(tokens), self._tokens.get(who, ())
        for token in set(before).difference(kept):
            self._drop(who, token)
        for token in kept:
            self._add(who, token)
        self._tokens[who] = kept

    def leave(self, who: W) -> int:
        """It waits no more; returns how many tokens it named."""
        tokens = self._tokens.pop(who, ())
        for token in tokens:
            self._drop(who, token)
        return len(tokens)

    def find(self, token: bytes, place: int) -> W | None:
        """Who waits on a token: the newest at place 0, the one before it at 1; None if nobody does there."""
        waiting = self._waiting(token)
        return waiting[-1 - place] if place < len(waiting) else None

    def all(self, token: bytes) -> list[W]:
        """Who waits on a token, the newest first."""
        return list(self._waiting(token))[::-1]

    def count(self, token: bytes) -> int:
        """How many wait on a token."""
        return len(self._waiting(token))

    def named(self, who: W) -> int:
        """How many tokens it named."""
        return len(self._tokens.get(who, ()))

    def _waiting(self, token: bytes) -> tuple[W, ...]:
        """Who waits there, the newest last."""
        held = self._on.get(token)
        if held is None:
            return ()
        return held if isinstance(held, tuple) else (held,)

    def _add(self, who: W, token: bytes) -> None:
        waiting = self._waiting(token)
        if not waiting:
            self._gained(token)
        if who not in waiting:
            self._keep(token, (*waiting, who)[-RELAY_WAITERS_MAX:])

    def _drop(self, who: W, token: bytes) -> None:
        waiting = self._waiting(token)
        left = tuple(each for each in waiting if each is not who)
        self._keep(token, left)
        if waiting and not left:
            self._lost(token)

    def _keep(self, token: bytes, waiting: tuple[W, ...]) -> None:
        if len(waiting) > 1:
            self._on[token] = waiting
        elif waiting:
            self._on[token] = waiting[0]
        else:
            self._on.pop(token, None)
