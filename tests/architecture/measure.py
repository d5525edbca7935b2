"""What `make measure` prints: sizes, wiring, inheritance, names, and how far one text goes.

Reads the source of `chat/`, `tui/` and `protocol/` as syntax, without the vectors; only the way of one text
runs it. With `--over` it prints only the files and functions that are too long, for `make check`.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Final

from tests.architecture.classes import Class, Classes, members
from tests.architecture.imports import PACKAGES, ROOT, imports, within
from tests.architecture.modules import Module, all_modules, modules
from tests.architecture.wiring import aliases, set_from_outside

FILE_LINES: Final = 600
FUNCTION_LINES: Final = 60
SMALL_MODULE: Final = 110
SCREENS: Final = frozenset({"App", "Screen", "ModalScreen"})
STRAIGHT_WAY: Final = "tests.architecture.straight_way"


def over_sizes(root: Path) -> list[str]:
    """Files and functions, of the tests too, that are longer than a reader takes in at once."""
    found = all_modules(root, (*PACKAGES, "tests"))
    files = [f"{module.file}: {module.lines} lines" for module in found if module.lines > FILE_LINES]
    functions = [
        f"{function.file}:{function.line} {function.name}: {function.whole} lines"
        for module in found
        if module.lines > FUNCTION_LINES
        for function in module.functions
        if function.whole > FUNCTION_LINES
    ]
    return files + functions


def small_modules_of_one(root: Path, found: Iterable[Module]) -> list[str]:
    """Modules under SMALL_MODULE lines that exactly one other imports, each with its importer."""
    importers: dict[str, set[str]] = {}
    for one in imports(root):
        if one.module != one.target:
            importers.setdefault(one.target, set()).add(one.module)
    return [
        f"{module.file}: {module.lines} lines, for {next(iter(importers[module.name]))}"
        for module in found
        if module.lines < SMALL_MODULE and len(importers.get(module.name, ())) == 1
    ]


def private_functions(found: Iterable[Module]) -> tuple[int, int]:
    """How many private functions and methods are used once, and how many there are."""
    once = total = 0
    for module in found:
        names = Counter(
            node.id if isinstance(node, ast.Name) else node.attr
            for node in module.nodes
            if isinstance(node, ast.Name | ast.Attribute)
        )
        private = {one.name for one in module.functions if one.name[0] == "_" and one.name[:2] != "__"}
        once += sum(names[name] == 1 for name in private)
        total += len(private)
    return once, total


def deepest_screens(classes: Classes) -> list[tuple[Class, int, int]]:
    """Each screen and app of `tui/` with its own classes and their members, the largest number first."""
    found = []
    for one in classes.all:
        if one.module.startswith("tui.") and classes.foreign_bases(one) & SCREENS:
            above = classes.order(one)
            found.append((one, len(above), len(members(above))))
    return sorted(found, key=lambda row: row[1:], reverse=True)


def repeated(names: Iterable[str]) -> list[str]:
    """What is there more than once, with its number, the most frequent first."""
    counted = [(name, count) for name, count in Counter(names).most_common() if count > 1]
    return [f"{name} {count}" for name, count in counted]


def sizes(numbers: Sequence[int]) -> str:
    """Median, ninth decile and maximum."""
    ordered = sorted(numbers) or [0]
    return f"{median(ordered):.0f} / {ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]} / {ordered[-1]}"


_COLUMNS: Final = "{:<10}{:>9}{:>8}   {:<17}{:<17}{:<20}{}"


def _table(root: Path) -> Iterator[str]:
    titles = ("modules", "lines", "module lines", "function lines", "headers and imports", "and constants")
    yield _COLUMNS.format("", *titles)
    for folders in (*((package,) for package in PACKAGES), PACKAGES):
        found = modules(root, folders)
        lines = sum(one.lines for one in found)
        yield _COLUMNS.format(
            folders[0] if len(folders) == 1 else "all",
            len(found),
            lines,
            sizes([one.lines for one in found]),
            sizes([function.lines for one in found for function in one.functions]),
            f"{sum(one.header_lines for one in found) / max(lines, 1):.1%}",
            f"{sum(one.lines_before_definitions for one in found) / max(lines, 1):.1%}",
        )
    yield "Lines are median / p90 / max, those of functions without docstrings; no vectors, no tests."
    yield "Headers: docstring, imports, blank lines. And constants: all lines before the first definition."


def _inheritance(classes: Classes) -> Iterator[str]:
    screens = deepest_screens(classes)
    for one, order, count in screens[:3]:
        yield f"own classes in {one.name} ({one.module}): {order}, with {count} members"
    for one in classes.named("Session"):
        if within(one.module, "tui.linear"):
            above = classes.order(one)
            yield f"own classes in the linear Session: {len(above)}, with {len(members(above))} members"


def _way_of_one_text() -> str:
    try:
        counting = import_module(STRAIGHT_WAY)
    except ModuleNotFoundError as error:
        if error.name != STRAIGHT_WAY:
            raise
        return "one text from send to its receipt: not measured"
    calls, functions, files = counting.count_one_text()
    return f"one text from send to its receipt: {calls} calls, {functions} functions, {files} files"


def _listed(title: str, rows: Sequence[str]) -> Iterator[str]:
    yield f"{title}: {len(rows)}"
    yield from (f"    {row}" for row in rows)


def _words(found: Iterable[Module]) -> Iterator[str]:
    """The names of types, classes and aliases; a leading underscore makes no other word of it."""
    for module in found:
        yield from (node.name.lstrip("_") for node in module.nodes if isinstance(node, ast.ClassDef))
        yield from (name.lstrip("_") for name, _ in aliases(module.tree))


def _in_one_line(title: str, names: Sequence[str]) -> str:
    return f"{title}: {len(names)}: {', '.join(names)}"


def report(root: Path = ROOT) -> Iterator[str]:
    """All figures, a line each."""
    found = modules(root, PACKAGES)
    yield from _table(root)
    tests = [one for one in modules(root, ["tests"]) if not within(one.name, "tests.vectors")]
    yield f"tests without vectors: {sum(one.lines for one in tests)} lines in {len(tests)} modules"
    yield ""
    yield _way_of_one_text()
    yield from _inheritance(Classes.of(found))
    once, total = private_functions(found)
    yield f"private functions used once: {once} of {total}"
    yield ""
    small = small_modules_of_one(root, found)
    yield from _listed(f"modules under {SMALL_MODULE} lines with one importer", small)
    yield from _listed("attributes set from outside", [str(one) for one in set_from_outside(root)])
    yield _in_one_line("types of one name", repeated(_words(found)))
    files = (one.file.rpartition("/")[2] for one in found)
    yield _in_one_line("files of one name", repeated(name for name in files if name[0] != "_"))
    over = f"files over {FILE_LINES} lines, functions over {FUNCTION_LINES}"
    yield from _listed(over, over_sizes(root))


def main(arguments: Sequence[str]) -> int:
    """Print all figures, or what is over its size."""
    if arguments == ["--over"]:
        lines: Iterable[str] = (f"long: {row}" for row in over_sizes(ROOT))
    else:
        lines = report()
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
