"""What `make measure` prints, held by small sources."""

from __future__ import annotations

from pathlib import Path

from tests.architecture import measure
from tests.architecture.classes import Classes, members
from tests.architecture.modules import Module, modules


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


def test_a_function_is_measured_without_its_docstring() -> None:
    (function,) = Module("a.py", 'def f():\n    """One.\n\n    Two.\n    """\n    return 1\n').functions
    assert (function.lines, function.whole) == (2, 6)


def test_a_header_is_all_before_the_first_other_line_and_imports_after_it() -> None:
    text = '"""One."""\n\nimport a\n\n\nX = 1\n\n\n@c\ndef f():\n    import b\n'
    module = Module("a.py", text)
    assert module.header_lines == 6
    assert module.lines_before_definitions == 8
    assert Module("b.py", "X = 1\n").lines_before_definitions == 1


def test_vectors_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, protocol__noise="", protocol__vectors__noise="")
    assert [module.name for module in modules(tmp_path, ["protocol"])] == ["protocol.noise"]


def test_small_modules_with_one_importer(tmp_path: Path) -> None:
    _write(
        tmp_path,
        chat__one="x = 1\n",
        chat__two="x = 1\n",
        chat__large="x = 1\n" * 110,
        chat__first="from chat import one, two, large\n",
        chat__second="from chat.two import x\n",
    )
    found = measure.small_modules_of_one(tmp_path, modules(tmp_path, ["chat"]))
    assert found == ["chat/one.py: 1 lines, for chat.first"]


def test_private_functions_that_are_used_once() -> None:
    text = """
def _a(): _b()
def _b(): ...
class C:
    def _c(self): self._d(), self._d()
    def _d(self): ...
"""
    assert measure.private_functions([Module("a.py", text)]) == (1, 4)


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


def test_names_with_several_meanings_are_counted() -> None:
    assert measure.repeated(["Place", "Held", "Place", "Row"]) == ["Place 2"]


def test_median_decile_and_maximum() -> None:
    assert measure.sizes(range(1, 101)) == "50 / 91 / 100"
