"""Changes in `protocol/` that a vector must catch, and the program that makes them in a copy, one at a time.

`python mutations.py FOLDER TABLE` prints the outcome of each change. It imports nothing of the project: each
change gets a forked child, so that it is seen wherever it is used. A change that breaks the import is no
change but a mistake in the table.
"""

from __future__ import annotations

import compileall
import gc
import json
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias

PROTOCOL: Final = Path(__file__).parents[3] / "protocol"
MISSED: Final = "missed"
BROKEN: Final = "broken"

_WITHOUT_VECTORS: Final = ("hotpath.py", "relay/cluster.py")
"""A second implementation of the ratchet, and what SPEC §24 leaves to relays. Both have other tests."""


Files: TypeAlias = dict[str, Any]
"""The files of vectors by area. They are read once: no change is made in them."""


@dataclass(frozen=True)
class Plant:
    """One change in one file of `protocol/`, whose path is relative to it; `old` occurs there once."""

    name: str
    file: str
    old: str
    new: str


def labels() -> Iterator[Plant]:
    """Every label with another last letter."""
    source = (PROTOCOL / "labels.py").read_text(encoding="utf-8")
    for call, name in re.findall(r' = (_\w+\(\s*)"([\w.]+)",', source):
        other = name[:-1] + ("x" if name[-1] != "x" else "y")
        yield Plant(f'label {call}"{name}")', "labels.py", f'{call}"{name}",', f'{call}"{other}",')
    yield Plant("label of the prologue", "link/framing.py", 'b"parlour.link.v1"', 'b"parlour.link.v2"')


def constants() -> Iterator[Plant]:
    """Every specification constant, one more and one less."""
    source = (PROTOCOL / "limits.py").read_text(encoding="utf-8")
    specification = source[: source.index("# --- Implementation constants")]
    for name, value in re.findall(r"^(\w+): Final = (.+)$", specification, re.MULTILINE):
        for change in ("+ 1", "- 1"):
            old = f"{name}: Final = {value}\n"
            yield Plant(f"{name} {change}", "limits.py", old, f"{name}: Final = {value} {change}\n")


def checks() -> Iterator[Plant]:
    """Every `raise` of a ProtocolError, replaced by `pass`, so that the refused input is accepted."""
    errors = import_module("protocol.errors").ProtocolError.__subclasses__()
    refusal = rf"\s+(raise (?:{'|'.join(kind.__name__ for kind in errors)}|NoMagic|OtherVersion|Refused)\(.*)"
    for path in sorted(PROTOCOL.rglob("*.py")):
        file = path.relative_to(PROTOCOL).as_posix()
        if file.startswith("vectors/") or file in _WITHOUT_VECTORS:
            continue
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for number, line in enumerate(lines):
            match = re.fullmatch(refusal, line)
            if match:
                before = _unique_context(text, lines, number)
                passing = line.replace(match[1], "pass")
                yield Plant(f"{file}:{before}{line}", file, f"\n{before}{line}\n", f"\n{before}{passing}\n")


def _unique_context(text: str, lines: list[str], number: int) -> str:
    """As many lines before a line as make both together unique in their file."""
    for first in range(number, -1, -1):
        before = "".join(f"{line}\n" for line in lines[first:number])
        if text.count(f"\n{before}{lines[number]}\n") == 1:
            return before
    raise ValueError(f"line {number} is not unique")


COMPUTED: Final = (
    Plant("canonical X25519 key", "primitives.py", ">= _P25519", ">= 2**256"),
    Plant("Ed25519 key", "primitives.py", "not bindings.crypto_core_ed25519_is_valid_point(public)", "False"),
    Plant("AEAD offered", "link/framing.py", "or not greeting.offers(aead)", ""),
    Plant(
        "psk look-up",
        "pairing/contact_secret.py",
        "next((share for share in self.own if",
        "next((share for share in reversed(self.own) if",
    ),
    Plant("direction of a psk", "pairing/contact_secret.py", "if initiates else", "if not initiates else"),
    Plant("ratchet keys in the root step", "ratchet.py", "+ sender + receiver,", "+ receiver + sender,"),
    Plant("order of persons", "codec.py", "return (a, b) if a < b else (b, a)", "return a, b"),
    Plant(
        "a claim as an own entry", "entries_and_receipts.py", "return Author.CLAIMED", "return Author.LIVE"
    ),
    Plant("heads before claims", "history.py", "taken[head.author] < HEADS", "taken[head.author] <= HEADS"),
    Plant("claims of a wanted author", "history.py", "head.author not in wanting and", ""),
    Plant("the last claims", "history.py", "sorted(claims, key=_place, reverse=True)", "claims"),
    Plant("addresses of a slot sorted", "discovery.py", "sorted(set(addresses))", "addresses"),
)

_SEEN: Final = {
    "FEATURES_MAX + 1": "links 169",
    "LOG_REMOVALS_ROOM + 1": "persons 310",
    "LOG_REMOVALS_ROOM - 1": "persons 309",
    "LOG_KEPT_MAX + 1": "persons 308",
    "LOG_KEPT_MAX - 1": "persons 307",
    "LOG_GONE_MAX + 1": "persons 303",
    "LOG_GONE_MAX - 1": "persons 302",
    "PSK_CANDIDATES_MAX - 1": "links 245",
    "BACKUP_CHUNK_BYTES + 1": "backup 32",
}
"""Changes that only a long case sees, with that case, which is tried first.

Where it no longer sees its change, the order costs time and nothing else.
"""


# The runner.


def main(folder: Path, plants: Path) -> None:
    compileall.compile_dir(folder, quiet=2)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    files = {path.stem: json.loads(path.read_bytes()) for path in folder.glob("protocol/vectors/*.json")}
    unchanged = json.loads(_in_child(lambda: _look(files)))
    for library in unchanged["libraries"]:
        with suppress(ImportError):  # some make their own parts, which cannot be asked for
            import_module(library)
    seconds: dict[str, float] = unchanged["seconds"]
    # A child would look for rubbish in all that was read here, and would copy it.
    gc.disable()
    gc.freeze()
    # What saw the last change of a file is likely to see the next one, and is tried first.
    likely: dict[str, str] = {}
    for plant in json.loads(plants.read_text(encoding="utf-8")):
        first = _SEEN.get(plant["name"], likely.get(plant["file"], ""))
        order = sorted(seconds, key=lambda case: (case != first, seconds[case] / _likely(case, first)))
        case = _outcome(folder / "protocol" / plant["file"], plant, files, order)
        likely[plant["file"]] = case
        sys.stdout.write(f"{_area(case)}\n")
    sys.stdout.flush()


def _look(files: Files) -> str:
    """What is loaded that is not the project's, and the seconds of each case."""
    seconds = {}
    cases = dict[str, Any]()
    for area in import_module("protocol.vectors.own").AREAS:
        cases |= _cases(files, area)
    for name, case in cases.items():
        begun = time.process_time()
        assert not _fails(case), name
        seconds[name] = time.process_time() - begun
    libraries = [name for name in sys.modules if name.partition(".")[0] not in ("protocol", "__main__")]
    return json.dumps({"libraries": libraries, "seconds": seconds})


def _outcome(path: Path, plant: dict[str, str], files: Files, order: list[str]) -> str:
    """The case that sees the change; or why there is none."""
    true, stat = path.read_text(encoding="utf-8"), path.stat()
    if true.count(plant["old"]) != 1:
        return "not found once"
    path.write_text(true.replace(plant["old"], plant["new"]), encoding="utf-8")
    try:
        return _in_child(lambda: _run(files, order))
    finally:
        path.write_text(true, encoding="utf-8")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _in_child(work: Callable[[], str]) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(writing, "w") as telling:
                telling.write(work())
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


def _run(files: Files, order: list[str]) -> str:
    """Import an area when its first case is due: most changes are seen before all of them are needed."""
    cases = dict[str, Any]()
    for name in order:
        if name not in cases:
            try:
                cases |= _cases(files, _area(name))
            except (SyntaxError, NameError, AttributeError, ImportError, LookupError, TypeError, ValueError):
                return BROKEN
        if _fails(cases[name]):
            return name
    return MISSED


def _cases(files: Files, area: str) -> dict[str, Any]:
    """Every case of an area by its number there, of the protocol as it is in the folder now."""
    run = import_module(f"protocol.vectors.{area}").run
    cases = import_module("protocol.vectors.frame").file_cases(files[area], run)
    return {f"{area} {number}": case for number, case in enumerate(cases)}


def _likely(case: str, seen: str) -> int:
    """How much more likely a case sees a change than others do, where `seen` saw the last one of the file."""
    return 200 if _area(case) == _area(seen) else 1


def _area(case: str) -> str:
    return case.split(" ")[0] if case[-1:].isdigit() else case


def _fails(case: Any) -> bool:
    try:
        case.run()
    except Exception:  # noqa: BLE001 - whatever it is, it does not happen in the protocol as it is
        return True
    return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
