"""The plot of a report: for each ratio that something is asked of, how many times the other's rate ours is.

Rules: an SVG of fixed layout, so that equal figures give equal bytes; readable on light and on dark; the axis
is logarithmic, since twice as fast and half as fast are as far from equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Final
from xml.sax.saxutils import escape

from protocol.bench.table import Ratio

_LEFT, _WIDTH, _RIGHT, _STEP, _TOP, _FOOT = 330, 430, 90, 26, 46, 44
_SMALLEST, _LARGEST = 0.25, 40.0
_TICKS: Final = (0.25, 0.5, 1, 2, 4, 10, 20, 40)

_STYLE: Final = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .quiet { fill: #59636e; font-size: 12px; }
  .bar { fill: #0a6e9e; } .line { stroke: #d1d9e0; } .one { stroke: #59636e; }
  .range { stroke: #1f2328; stroke-width: 1.5; } .least { stroke: #c2410c; stroke-width: 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .quiet { fill: #9198a1; } .bar { fill: #4aa8d8; } .line { stroke: #3d444d; }
    .one { stroke: #9198a1; } .range { stroke: #f0f6fc; } .least { stroke: #fb923c; }
  }"""


def _x(ratio: float) -> float:
    inside = min(max(ratio, _SMALLEST), _LARGEST)
    return _LEFT + _WIDTH * log(inside / _SMALLEST) / log(_LARGEST / _SMALLEST)


def plot(entries: Sequence[tuple[str, Ratio]]) -> str:
    """The SVG for (row, ratio) in their order. A bar begins at 1, equal speed; a mark shows the least."""
    height = _TOP + _STEP * len(entries) + _FOOT
    width = _LEFT + _WIDTH + _RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        ' aria-label="Rate of Parlour over the rate of others, for each row that has a least">',
        f"<style>{_STYLE}\n</style>",
        '<text x="12" y="20">Rate of Parlour over the rate of others</text>',
        *_axis(height - _FOOT),
    ]
    for number, (row, ratio) in enumerate(entries):
        parts += _entry(_TOP + _STEP * number, row, ratio)
    parts.append(
        f'<text class="quiet" x="12" y="{height - 8}">Bar: median of the rounds. Thin line: its quartiles.'
        " Thick mark: the least that is asked.</text>"
    )
    return "\n".join([*parts, "</svg>", ""])


def _axis(bottom: float) -> list[str]:
    lines = []
    for tick in _TICKS:
        label = (
            f'<text class="quiet" text-anchor="middle" x="{_x(tick):.1f}" y="{bottom + 16}">{tick:g} ×</text>'
        )
        lines += [_upright("one" if tick == 1 else "line", tick, _TOP - 6, bottom), label]
    return lines


def _entry(top: float, row: str, ratio: Ratio) -> list[str]:
    begin, end = sorted((_x(1), _x(ratio.median)))
    middle, width = top + _STEP / 2 - 2, max(end - begin, 1)
    name = f'{escape(row)} <tspan class="quiet">/ {escape(ratio.subject)}</tspan>'
    return [
        f'<text x="12" y="{middle + 4:.1f}">{name}</text>',
        f'<rect class="bar" x="{begin:.1f}" y="{top + 3}" width="{width:.1f}" height="{_STEP - 10}"/>',
        _line("range", (_x(ratio.low), middle), (_x(ratio.high), middle)),
        *([] if ratio.goal is None else [_upright("least", ratio.goal.least, top, top + _STEP - 4)]),
        f'<text x="{_LEFT + _WIDTH + 12}" y="{middle + 4:.1f}">{ratio.median:.2f} ×</text>',
    ]


def _upright(kind: str, ratio: float, top: float, bottom: float) -> str:
    return _line(kind, (_x(ratio), top), (_x(ratio), bottom))


def _line(kind: str, begin: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = begin, end
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
