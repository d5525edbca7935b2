"""What a relay counts of itself, and how that is told: numbers, and nothing else about anybody.

Rules: no address, no key, no token, no size of a single thing: sums alone. The text is Prometheus' exposition
format; a label's values are words of this program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from chat.relay.circuit import Tally
from chat.relay.confinement import Means

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Gauge = Callable[[], int]


class Counters(Tally):
    """Sums since the start."""

    __slots__ = (
        *(
            "absent",
            "accepted",
            "asked",
            "backplanes",
            "ended",
            "far",
            "forged",
            "handshakes",
            "joined",
            "refused",
        ),
        *("turned_out", "wrong"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self.turned_out = 0
        self.handshakes = 0
        self.wrong: Counter[str] = Counter()
        self.absent = 0
        self.joined = 0
        self.asked = self.far = self.forged = self.backplanes = 0
        self.ended: Counter[str] = Counter()


def exposition(counters: Counters, gauges: dict[str, Gauge], means: Sequence[Means]) -> str:
    """Everything that is counted, as Prometheus reads it."""
    return "\n".join([*_sums(counters), *_now(gauges), *_confinement(means), ""])


def _sums(counters: Counters) -> Iterator[str]:
    yield from _family("accepted_total", "counter", "Connections accepted.", counters.accepted)
    yield from _labelled("refused_total", "Connections closed by a limit.", "limit", counters.refused)
    yield from _family("turned_out_total", "counter", "Connections that made room.", counters.turned_out)
    yield from _family("handshakes_total", "counter", "Handshakes done.", counters.handshakes)
    yield from _labelled("wrong_total", "Connections closed by an error.", "class", counters.wrong)
    yield from _family("absent_total", "counter", "Diallers told that nobody waits.", counters.absent)
    yield from _family("joined_total", "counter", "Circuits begun.", counters.joined)
    yield from _family("asked_total", "counter", "Dials asked of other relays.", counters.asked)
    yield from _family("far_total", "counter", "Circuits begun with another relay.", counters.far)
    yield from _family(
        "forged_total", "counter", "Messages that were none of the cluster's.", counters.forged
    )
    yield from _family("backplanes_total", "counter", "Connections made to NATS.", counters.backplanes)
    yield from _labelled("ended_total", "Circuits ended.", "reason", counters.ended)
    yield from _family("forwarded_bytes_total", "counter", "Bytes forwarded.", counters.forwarded)
    yield from _family("writes_total", "counter", "Writes that forwarded them.", counters.writes)


def _now(gauges: dict[str, Gauge]) -> Iterator[str]:
    for name, gauge in gauges.items():
        yield from _family(name, "gauge", f"{name.replace('_', ' ').capitalize()} at the moment.", gauge())


def _confinement(means: Sequence[Means]) -> Iterator[str]:
    name = "parlour_relay_confined"
    yield f"# HELP {name} Whether a means of confinement holds."
    yield f"# TYPE {name} gauge"
    for one in means:
        yield f'{name}{{means="{one.name}"}} {int(one.holds)}'


def _family(name: str, kind: str, text: str, value: int) -> Iterator[str]:
    yield f"# HELP parlour_relay_{name} {text}"
    yield f"# TYPE parlour_relay_{name} {kind}"
    yield f"parlour_relay_{name} {value}"


def _labelled(name: str, text: str, label: str, values: Counter[str]) -> Iterator[str]:
    yield f"# HELP parlour_relay_{name} {text}"
    yield f"# TYPE parlour_relay_{name} counter"
    for value, count in sorted(values.items()):
        yield f'parlour_relay_{name}{{{label}="{value}"}} {count}'
