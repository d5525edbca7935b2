"""A bounded set of keys that is shared fairly between the sources that the keys came from."""

from __future__ import annotations


class FairShares:
    """At most `bound` keys. When they are full, the source with the most keys loses its oldest.

    A source that has few keys therefore keeps them, however many another one sends. A machine with many
    addresses counts as many sources: of `bound` addresses with one key each, the first makes room.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._source: dict[str, str] = {}
        self._keys: dict[str, dict[str, None]] = {}  # of each source that has any, the oldest first

    def __len__(self) -> int:
        return len(self._source)

    def __contains__(self, key: str) -> bool:
        return key in self._source

    def add(self, key: str, source: str) -> str | None:
        """Add a key; the key that made room for it, if one had to. A key that is there stays as it is."""
        if key in self._source:
            return None
        evicted = self._evict(source) if len(self) >= self._bound else None
        self._source[key] = source
        self._keys.setdefault(source, {})[key] = None
        return evicted

    def remove(self, key: str) -> None:
        source = self._source.pop(key, None)
        if source is None:
            return
        keys = self._keys[source]
        del keys[key]
        if not keys:
            del self._keys[source]

    def take(self, *, newest: bool) -> str:
        """Remove a key of the source whose turn it is, and return it. Raises KeyError when there is none."""
        if not self._keys:
            raise KeyError("no keys")
        source, keys = next(iter(self._keys.items()))
        key = next(reversed(keys)) if newest else next(iter(keys))
        self.remove(key)
        if source in self._keys:
            self._keys[source] = self._keys.pop(source)  # to the end of the line
        return key

    def clear(self) -> None:
        self._source.clear()
        self._keys.clear()

    def _evict(self, newcomer: str) -> str:
        largest = max(self._keys, key=lambda source: len(self._keys[source]))
        if len(self._keys.get(newcomer, ())) >= len(self._keys[largest]):
            largest = newcomer
        key = next(iter(self._keys[largest]))
        self.remove(key)
        return key
