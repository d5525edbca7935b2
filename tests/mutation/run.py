"""Changes one place of the code at a time, and reports which changes no test notices.

`make mutate N=200 SEED=1` draws N places of `protocol/` (without vectors) and of the engine's storage,
network and service. Each change is tried in a copy of the project. EQUIVALENT.md lists changes that alter
nothing, with the reason. Status 1: the tests notice fewer than 95 % of the others.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MUTATED: Final = ("protocol", "chat/storage", "chat/network", "chat/service")
LEFT_OUT: Final = ("protocol/vectors", "protocol/model")
LEAST: Final = 0.95
SECONDS: Final = 900
"""How long the tests of one change may take; a change that hangs is noticed."""

NEAR: Final = {
    "protocol": ("tests/unit/protocol",),
    "chat/storage": ("tests/unit/storage", "tests/unit/service"),
    "chat/network": ("tests/unit/network",),
    "chat/service": ("tests/unit/service", "tests/integration/test_two_engines.py"),
}
"""The tests that a change meets first."""
FAR: Final = (
    *(f"tests/unit/{area}" for area in ("protocol", "storage", "network", "service", "relay")),
    "tests/integration",
    "tests/contract",
)
SERIAL: Final = "not (network or terminal or crash or slow)"
"""Tests that share no resource of the machine, so that several copies run at the same time."""

_SWAPPED: Final[dict[type[ast.AST], type[ast.AST]]] = {
    **{a: b for pair in ((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot),
                         (ast.In, ast.NotIn), (ast.And, ast.Or), (ast.Add, ast.Sub), (ast.BitAnd, ast.BitOr),
                         (ast.LShift, ast.RShift)) for a, b in (pair, pair[::-1])},
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the text from `start` to `end` (byte offsets of the file) becomes `new`."""

    path: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {' '.join(self.old.split())} → {' '.join(self.new.split())}"

    def write(self, folder: Path) -> None:
        source = (ROOT / self.path).read_bytes()
        (folder / self.path).write_bytes(source[: self.start] + self.new.encode() + source[self.end :])

    def undo(self, folder: Path) -> None:
        shutil.copyfile(ROOT / self.path, folder / self.path)


class _Places(ast.NodeVisitor):
    """Collects what to replace: a node, and the text that replaces it."""

    def __init__(self) -> None:
        self.found: list[tuple[ast.expr | ast.stmt, str]] = []

    def _visit_body(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        # Defaults are code, annotations are not; a repr is no behaviour.
        if node.name not in ("__repr__", "__str__"):
            for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
                self.visit(default)
            for statement in node.body:
                self.visit(statement)

    visit_FunctionDef = visit_AsyncFunctionDef = _visit_body

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assert(self, node: ast.Assert) -> None:
        """An assertion is for the reader and the type checker."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """A text is no behaviour."""

    def visit_Raise(self, node: ast.Raise) -> None:
        self.found.append((node, "pass"))

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call | ast.Await):
            self.found.append((node, "pass"))
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not isinstance(node.value, ast.Constant):
            self.found.append((node, "return None"))
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        self.found.append((node.test, f"(not ({ast.unparse(node.test)}))"))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.found.append((node, f"bool({ast.unparse(node.operand)})"))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for place, operator in enumerate(node.ops):
            operators = [*node.ops]
            operators[place] = _SWAPPED[type(operator)]()  # type: ignore[call-overload]
            self._replace(node, ast.Compare(node.left, operators, node.comparators))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._replace(node, ast.BoolOp(_SWAPPED[type(node.op)](), node.values))  # type: ignore[arg-type]
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        text = isinstance(node.left, ast.Constant | ast.JoinedStr) and not isinstance(
            getattr(node.left, "value", ""), int
        )
        if (other := _SWAPPED.get(type(node.op))) is not None and not text:
            self._replace(node, ast.BinOp(node.left, other(), node.right))  # type: ignore[arg-type]
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.found.append((node, str(not node.value)))
        elif isinstance(node.value, int):
            self.found.append((node, str(node.value + 1)))

    def _replace(self, node: ast.expr, by: ast.expr) -> None:
        self.found.append((node, f"({ast.unparse(ast.fix_missing_locations(by))})"))


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All changes of a file."""
    source = path.read_text(encoding="utf-8")
    lines = [0]
    for line in source.encode().split(b"\n"):
        lines.append(lines[-1] + len(line) + 1)
    places = _Places()
    places.visit(ast.parse(source))
    for node, new in places.found:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = lines[node.lineno - 1] + node.col_offset
        end = lines[node.end_lineno - 1] + node.end_col_offset
        old = source.encode()[start:end].decode()
        yield Mutant(path.relative_to(ROOT).as_posix(), node.lineno, start, end, old, new)


def all_mutants() -> list[Mutant]:
    """All changes, in a fixed order."""
    return [
        mutant
        for folder in MUTATED
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not path.relative_to(ROOT).as_posix().startswith(LEFT_OUT)
        for mutant in mutants_of(path)
    ]


def equivalent() -> set[str]:
    """The listed changes that alter nothing: `path: old → new`, without the line."""
    lines = (ROOT / "tests/mutation/EQUIVALENT.md").read_text(encoding="utf-8").splitlines()
    return {line.removeprefix("- `").partition("`")[0] for line in lines if line.startswith("- `")}


def without_line(mutant: Mutant) -> str:
    path, _, rest = str(mutant).partition(":")
    return f"{path}:{rest.partition(':')[2]}"


def notices(folder: Path, tests: tuple[str, ...]) -> bool:
    """Whether a test in this copy fails or hangs."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-n0",
        "-p",
        "no:cacheprovider",
        "-m",
        SERIAL,
        *tests,
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("CI", None)
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as run:
        try:
            return run.wait(SECONDS) != 0
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            return True


def is_noticed(mutant: Mutant, folders: SimpleQueue[Path]) -> bool:
    """Whether a test notices a change, tried in one of the copies."""
    folder = folders.get()
    mutant.write(folder)
    near = next(tests for name, tests in NEAR.items() if mutant.path.startswith(name))
    try:
        return notices(folder, near) or notices(folder, FAR)
    finally:
        mutant.undo(folder)
        folders.put(folder)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def copy_project(into: Path) -> Path:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, into / name)
    return into


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    known = equivalent()
    candidates = [mutant for mutant in all_mutants() if without_line(mutant) not in known]
    chosen = random.Random(options.seed).sample(candidates, min(options.number, len(candidates)))
    survivors = []
    with tempfile.TemporaryDirectory(prefix="parlour-mutants-") as folder:
        folders: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.workers):
            folders.put(copy_project(Path(folder, str(number))))
        spare = folders.get()
        if notices(spare, FAR):
            sys.exit("The tests fail without any change.")
        folders.put(spare)
        with ThreadPoolExecutor(options.workers) as pool:
            outcomes = pool.map(lambda mutant: is_noticed(mutant, folders), chosen)
            for number, (mutant, noticed) in enumerate(zip(chosen, outcomes, strict=True), 1):
                say(f"{number}/{len(chosen)} {'noticed ' if noticed else 'SURVIVED'} {mutant}")
                if not noticed:
                    survivors.append(mutant)
    share = 1 - len(survivors) / len(chosen)
    say(f"{len(chosen) - len(survivors)} of {len(chosen)} changes noticed, {share:.1%} (least {LEAST:.0%})")
    for mutant in survivors:
        say(f"  {mutant}")
    return 0 if share >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
