"""Nothing is set from outside after construction: an object gets its collaborators as arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.imports import ROOT
from tests.architecture.wiring import set_from_outside


def test_nothing_is_set_from_outside_after_construction() -> None:
    assert {place.key for place in set_from_outside(ROOT)} == set()


# A class with a callback, a collaborator, plain data and a property; another module sets them.
LINKS = """
from dataclasses import dataclass

from chat.told import Told

class Hub:
    def send(self): ...

@dataclass
class Row:
    name: str = ""
    told: Told | None = None
    hub: Hub | None = None

class Links:
    def __init__(self, hub: Hub, name: str) -> None:
        self.hub = hub
        self.name = name
        self.lost = lambda: None
        self.told: Told = lambda text: None
        self.row = Row()

    @property
    def shown(self) -> bool: ...

    @shown.setter
    def shown(self, on: bool) -> None: ...

    @classmethod
    def of(cls, hub: Hub) -> "Links":
        links = cls.__new__(cls)
        links.hub = hub
        return links
"""
TOLD = "from collections.abc import Callable\nTold = Callable[[str], None]\n"
USE = """
from chat.links import Hub, Links, Row

def use(links: Links, hub: Hub, row: Row, found) -> None:
"""


def _places(root: Path, body: str) -> list[str]:
    """What counts in a function with these lines."""
    (root / "chat").mkdir()
    lines = "".join(f"    {line}\n" for line in body.split("; "))
    for name, text in {"links": LINKS, "told": TOLD, "use": USE + lines}.items():
        (root / "chat" / f"{name}.py").write_text(text)
    return [place.what for place in set_from_outside(root)]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("links.lost = hub.send", "links.lost"),
        ("links.told = hub.send", "links.told"),
        ("links.hub = hub", "links.hub"),
        ("row.hub = hub", "row.hub"),
        ("row.told = hub.send", "row.told"),
        ("links.name, links.hub = '', hub", "links.hub"),
        ("made = Links(hub, ''); made.lost = hub.send", "made.lost"),
        ("found.lost = hub.send", "found.lost"),
        ("links.row.hub = hub", "links.row.hub"),
    ],
)
def test_a_callback_or_collaborator_is_seen(body: str, what: str, tmp_path: Path) -> None:
    assert _places(tmp_path, body) == [what]


@pytest.mark.parametrize(
    "body",
    [
        "links.name = 'Ann'",
        "links.row = row",
        "links.hub = None",
        "row.name = 'Ann'",
        "links.shown = True",
        "links.count += 1",
        "found.value = 'Ann'",
        "hub = Hub()",
    ],
)
def test_data_and_properties_do_not_count(body: str, tmp_path: Path) -> None:
    assert _places(tmp_path, body) == []
