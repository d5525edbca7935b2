"""The project's own vectors: which areas there are, and running what is committed (SPEC §20).

An area is a module with `build(phrase)`, which makes its file, and `run(test, inputs)` for one test of it.
A new area is one line in AREAS and a file made by generate.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocol.vectors import (
    codec,
    discovery,
    entries,
    entries_build,
    links,
    links_build,
    noise,
    padding,
    pairing,
    pairing_build,
    persons,
    persons_build,
    primitives,
    primitives_build,
    profile,
    receipts,
    relays,
    relays_build,
    safety,
    secrets,
    sessions,
    sessions_build,
)
from protocol.vectors.frame import Area, Json, Report, file_cases


@dataclass(frozen=True)
class OwnArea:
    """How an area is made and how one of its tests is checked."""

    build: Callable[[str], Json]
    run: Callable[[Json, Json], None]


AREAS: Final[Mapping[str, OwnArea]] = {
    codec.AREA: OwnArea(codec.build, codec.run),
    padding.AREA: OwnArea(padding.build, padding.run),
    primitives.AREA: OwnArea(primitives_build.build, primitives.run),
    profile.AREA: OwnArea(profile.build, profile.run),
    safety.AREA: OwnArea(safety.build, safety.run),
    noise.AREA: OwnArea(noise.build, noise.run),
    sessions.AREA: OwnArea(sessions_build.build, sessions.run),
    secrets.AREA: OwnArea(secrets.build, secrets.run),
    discovery.AREA: OwnArea(discovery.build, discovery.run),
    links.AREA: OwnArea(links_build.build, links.run),
    persons.AREA: OwnArea(persons_build.build, persons.run),
    pairing.AREA: OwnArea(pairing_build.build, pairing.run),
    entries.AREA: OwnArea(entries_build.build, entries.run),
    receipts.AREA: OwnArea(receipts.build, receipts.run),
    relays.AREA: OwnArea(relays_build.build, relays.run),
}


def load(area: str) -> Json:
    """The committed file of an area."""
    text = Path(__file__).with_name(f"{area}.json").read_text(encoding="utf-8")
    file: Json = json.loads(text)
    return file


def own_areas() -> Iterator[Area]:
    """Every area with its cases."""
    for name, area in AREAS.items():
        yield Area(name, tuple(file_cases(load(name), area.run)))


def run_own() -> Iterator[Report]:
    """Run all own vectors, an area at a time."""
    return (area.report() for area in own_areas())
