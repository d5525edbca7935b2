"""All rows of `parlour bench`, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chat.tools.bench import commit, crypto, relay

_Measure = Callable[..., list[dict[str, Any]]]

_MEASURES: Final[Mapping[str, _Measure]] = {
    **{name: row.measure for name, row in crypto.ROWS.items()},
    commit.NAME: commit.measure,
    relay.FORWARD: relay.forward,
    relay.LATENCY: relay.latency,
    relay.NAME: relay.measure,
}

NAMES: Final = tuple(_MEASURES)


def select(asked: Sequence[str]) -> tuple[str, ...]:
    """The rows that are meant; all if none is named. Raises KeyError for an unknown name."""
    for name in asked:
        if not any(_means(name, row) for row in NAMES):
            raise KeyError(name)
    return tuple(row for row in NAMES if not asked or any(_means(name, row) for name in asked))


def _means(name: str, row: str) -> bool:
    return name in (row, row.partition(".")[0])


def run(name: str, *, peers: bool = False, **timing: Any) -> list[dict[str, Any]]:
    """{"name", "size", "subject", "per_second", "unit", "note"} of one row of NAMES, ours first each time."""
    return _MEASURES[name](peers=peers, **timing)
