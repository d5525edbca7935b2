"""What `make measure` prints, held by small sources; and the straight way of one text."""

from __future__ import annotations

from pathlib import Path

from tests.architecture import measure
from tests.architecture.classes import Classes, members
from tests.architecture.imports import ROOT
from tests.architecture.modules import Module, modules
from tests.architecture.straight_way import count_one_text


def _write(root: Path, **files: str) -> None:
    """Files by their paths, `__` between the parts."""
    for name, text in files.items():
        path = (root / name.replace("__", "/")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_is_too_long_is_reported_and_nothing_else(tmp_path: Path) -> None:
    body = "    pass\n"
    _write(
        tmp_path,
        chat__long="def fits():\n" + body * 59 + "def grows():\n" + body * 60,
        chat__full="x = 1\n" * 600,
        tests__over="x = 1\n" * 601,
    )
    assert measure.over_sizes(tmp_path) == ["tests/over.py: 601 lines", "chat/long.py:61 grows: 61 lines"]


BASE = "from textual.screen import Screen\nclass Base(Screen[None]):\n    x = 1\n"
OFFER = "from tui.base import Base\n"
CARE = "class Care:\n    def __init__(self):\n        self.y = 1\n"
CHAT = """
from tui.care import Care
from tui.offer import Base
class Chat(Base, Care):
    def z(self): ...
"""


def test_own_classes_of_a_screen_are_found_through_what_a_module_offers() -> None:
    files = {"base": BASE, "offer": OFFER, "care": CARE, "chat": CHAT}
    classes = Classes.of(Module(f"tui/{name}.py", text) for name, text in files.items())
    found = [(one.name, count, number) for one, count, number in measure.deepest_screens(classes)]
    assert found == [("Chat", 3, 4), ("Base", 1, 1)]
    assert members(classes.order(classes.named("Chat")[0])) == {"x", "y", "z", "__init__"}


CALLS = 308
FILES = 21
OWN_CLASSES = 3


def test_a_screen_inherits_from_few_own_classes() -> None:
    classes = Classes.of(modules(ROOT, ("tui",)))
    assert {
        one.name: count for one, count, _ in measure.deepest_screens(classes) if count > OWN_CLASSES
    } == {}


def test_one_text_takes_few_calls_through_few_files() -> None:
    way = count_one_text()
    assert way.calls <= CALLS
    assert way.files <= FILES
    assert way.functions <= way.calls
