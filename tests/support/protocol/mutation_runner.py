"""Runs the own vectors against a copy of `protocol/` with one change after the other, a process each.

Rules: arguments are the copy's folder and the file of the plants; standard output has the outcome of each.
A child is forked for each plant, with the libraries loaded and nothing of the project, so that a change is
seen wherever it is used; what breaks the import is no plant but a mistake in the table of plants.
"""

from __future__ import annotations

import compileall
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

MISSED: Final = "missed"
BROKEN: Final = "broken"


def main(folder: Path, plants: Path) -> None:
    compileall.compile_dir(folder, quiet=2)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    unchanged = json.loads(_in_child(_look))
    for library in unchanged["libraries"]:
        with suppress(ImportError):  # some make their own parts, which cannot be asked for
            importlib.import_module(library)
    # The area that saw the last change of a file is likely to see the next one, and is tried first.
    likely: dict[str, str] = {}
    for plant in json.loads(plants.read_text(encoding="utf-8")):
        first = likely.get(plant["file"], "")
        areas = sorted(unchanged["areas"], key=lambda area: area != first)
        area = _outcome(folder / "protocol" / plant["file"], plant, areas)
        likely[plant["file"]] = area
        sys.stdout.write(f"{area}\n")
    sys.stdout.flush()


def _look() -> str:
    """What is loaded that is not the project's, and the areas, the cheapest first."""
    own, frame = _vectors()
    seconds = {}
    for name in own.AREAS:
        begun = time.process_time()
        assert not _sees(own, frame, name), name
        seconds[name] = time.process_time() - begun
    libraries = [name for name in sys.modules if name.partition(".")[0] not in ("protocol", "__main__")]
    return json.dumps({"libraries": libraries, "areas": sorted(seconds, key=lambda name: seconds[name])})


def _outcome(path: Path, plant: dict[str, str], areas: list[str]) -> str:
    """The area that sees the change; or why there is none."""
    true, stat = path.read_text(encoding="utf-8"), path.stat()
    if true.count(plant["old"]) != 1:
        return "not found once"
    path.write_text(true.replace(plant["old"], plant["new"]), encoding="utf-8")
    try:
        return _in_child(lambda: _run(areas))
    finally:
        path.write_text(true, encoding="utf-8")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _in_child(work: Callable[[], str]) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, work().encode())
        except BaseException:  # noqa: BLE001 - this process ends here, whatever it is
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        outcome = told.read()
    os.waitpid(child, 0)
    if not outcome:
        raise RuntimeError("a child ended without an outcome")
    return outcome


def _run(areas: list[str]) -> str:
    try:
        own, frame = _vectors()
    except (SyntaxError, NameError, AttributeError, ImportError, LookupError, TypeError, ValueError):
        return BROKEN
    return next((name for name in areas if _sees(own, frame, name)), MISSED)


def _vectors() -> tuple[Any, Any]:
    return importlib.import_module("protocol.vectors.own"), importlib.import_module("protocol.vectors.frame")


def _sees(own: Any, frame: Any, area: str) -> bool:
    return any(_fails(case) for case in frame.file_cases(own.load(area), own.AREAS[area]))


def _fails(case: Any) -> bool:
    try:
        case.run()
    except Exception:  # noqa: BLE001 - whatever it is, it does not happen in the protocol as it is
        return True
    return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
