"""What a text of the source refers to is there: paths, modules, and what a string documents."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from tests.architecture.imports import PACKAGES, ROOT, sources

FOLDERS: Final = (*PACKAGES, "tests", "release")
MODULES: Final = {path.stem for package in PACKAGES for path in sources(ROOT, package)}
DOCUMENTS: Final = [
    path for pattern in ("*.md", "docs/*.md") for path in ROOT.glob(pattern) if path.name != "CHANGELOG.md"
]
TEXTS: Final = [
    *DOCUMENTS,
    *(
        path
        for folder in PACKAGES
        for ending in ("py", "sql")
        for path in (ROOT / folder).rglob(f"*.{ending}")
    ),
]
"""Not those of tests, which name files that they plant."""

_PATH: Final = re.compile(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)}|docs|seeds)/[\w/-]+\.(?:py|sql|md|toml)\b")
_FOLDER: Final = re.compile(rf"`((?:{'|'.join(FOLDERS)}|docs|seeds)/[\w/]*)`")
_NAME: Final = re.compile(r"\bsee (\w+)\.(\w+)\b")
_IN_MODULE: Final = re.compile(r"`(\w+)` in\s+`([\w/]+\.py)`")


def nowhere(text: str) -> list[str]:
    """The paths and modules that a text names and that are not there."""
    paths = [*_PATH.findall(text), *_FOLDER.findall(text)]
    found = [one for one in paths if not (ROOT / one).exists()]
    found += [f"{module}.{name}" for module, name in _NAME.findall(text) if module not in MODULES]
    return found + [
        f"{name} in {path}"
        for name, path in _IN_MODULE.findall(text)
        if not re.search(rf"^(?:class|(?:async )?def) {name}\b", _source(path), re.MULTILINE)
    ]


def _source(path: str) -> str:
    file = ROOT / path
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def orphans(source: str) -> Iterator[int]:
    """The lines of strings that stand as statements and document nothing.

    A string opens a module, class or function, or follows the assignment that it documents. It is also the
    body of a loop or branch that does nothing, with the reason.
    """
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for before, one in pairwise(body):
            if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)):
                continue
            assigns = isinstance(before, ast.Assign | ast.AnnAssign | getattr(ast, "TypeAlias", ast.Assign))
            if isinstance(one.value.value, str) and not (assigns and one.lineno == before.end_lineno + 1):
                yield one.lineno


def test_paths_and_modules_that_texts_name_are_there() -> None:
    assert len(TEXTS) > 400
    found = {path.relative_to(ROOT).as_posix(): nowhere(path.read_text(encoding="utf-8")) for path in TEXTS}
    assert {name: those for name, those in found.items() if those} == {}


def test_a_string_follows_what_it_documents() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): list(orphans(path.read_text(encoding="utf-8")))
        for folder in FOLDERS
        for path in sources(ROOT, folder)
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_what_is_not_there_is_seen() -> None:
    assert nowhere("as chat/storage/words.py has it, see conversations.ensure, in `chat/gone/`") == [
        "chat/storage/words.py",
        "chat/gone/",
        "conversations.ensure",
    ]
    assert nowhere("`Gone` in `chat/engine.py`, `Engine` in `chat/engine.py`") == ["Gone in chat/engine.py"]
    assert list(orphans('A = 1\n"""Of A."""\n"""Of nothing."""\n\nB = 2\n\n"""Too late."""\n')) == [3, 7]
