"""Runs the project's own vectors, as they are committed (SPEC §20).

An area is a module with `run(test, inputs)` for one test of it, a line in AREAS and a JSON file.
`tests/vectors/` makes the files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from protocol.vectors import (
    attachments,
    backup,
    codec,
    discovery,
    entries,
    linking,
    links,
    noise,
    padding,
    pairing,
    persons,
    primitives,
    profile,
    receipts,
    relays,
    safety,
    secrets,
    sessions,
    siblings,
)
from protocol.vectors.frame import Area, Json, Report, file_cases

AREAS: Final[Mapping[str, Callable[[Json, Json], None]]] = {
    codec.AREA: codec.run,
    padding.AREA: padding.run,
    primitives.AREA: primitives.run,
    profile.AREA: profile.run,
    backup.AREA: backup.run,
    safety.AREA: safety.run,
    noise.AREA: noise.run,
    sessions.AREA: sessions.run,
    secrets.AREA: secrets.run,
    discovery.AREA: discovery.run,
    links.AREA: links.run,
    persons.AREA: persons.run,
    pairing.AREA: pairing.run,
    linking.AREA: linking.run,
    entries.AREA: entries.run,
    receipts.AREA: receipts.run,
    siblings.AREA: siblings.run,
    relays.AREA: relays.run,
    attachments.AREA: attachments.run,
}
"""How one test of each area is checked."""


def load(area: str) -> Json:
    """The committed file of an area."""
    text = Path(__file__).with_name(f"{area}.json").read_text(encoding="utf-8")
    file: Json = json.loads(text)
    return file


def own_areas() -> Iterator[Area]:
    """Every area with its cases."""
    for name, run in AREAS.items():
        yield Area(name, tuple(file_cases(load(name), run)))


def run_own() -> Iterator[Report]:
    """Run all own vectors, one area at a time."""
    return (area.report() for area in own_areas())
