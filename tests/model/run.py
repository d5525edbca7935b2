"""The symbolic models of `protocol/model/`: `python -m tests.model.run [--trace] [WORD…]`.

Each row of `protocol/model/lemmas.toml` is searched once in the whole protocol, and once without each set of
steps that it names. Every search without a step has to find an attack. Each WORD is a part of `model.lemma`.
`--trace` prints the way to each state that was found. The status is 1 if a lemma fails or no attack is found.
"""

from __future__ import annotations

import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.model import trace
from tests.model.maude import FOLDER, ModelError, Query, path, search, shown

WORKERS: Final = 2


@dataclass(frozen=True)
class Row:
    """A lemma: `reached` says whether the state that it describes can be reached in the whole protocol."""

    whole: Query
    says: str
    reached: bool
    without: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        return f"{self.whole.model}.{self.whole.lemma} ({self.whole.start})"

    @property
    def queries(self) -> list[Query]:
        whole = self.whole
        return [whole, *(Query(whole.model, whole.lemma, whole.start, steps) for steps in self.without)]


@dataclass(frozen=True)
class Result:
    """What one search showed. `steps` is the path to the state that it found."""

    row: Row
    query: Query
    good: bool
    verdict: str
    found: int | None = None


def rows(folder: Path = FOLDER) -> list[Row]:
    """The lemmas of `lemmas.toml`. A lemma that is never reached has steps to leave out."""
    table = tomllib.loads((folder / "lemmas.toml").read_text(encoding="utf-8"))
    return [
        Row(
            Query(one["model"], one["name"], one["start"]),
            one["says"],
            one.get("reached", False),
            tuple(tuple(steps) for steps in one["without"]),
        )
        for one in table["lemma"]
    ]


def judge(row: Row, query: Query, folder: Path = FOLDER) -> Result:
    """Search once: the whole protocol has to keep the lemma, and what leaves a step out has to break it."""
    try:
        answer = search(query, folder)
        kept = (answer.found is not None) == row.reached
        steps = path(query, answer.found, folder) if answer.found is not None else []
    except ModelError as error:
        return Result(row, query, False, str(error))
    if query == row.whole:
        verdict = ("reached" if row.reached else "holds") if kept else "FAILS"
    else:
        verdict = "NO ATTACK" if kept else ("not reached" if row.reached else "attack")
    detail = f"{answer.states} states" if answer.found is None else _count(len(steps), "step")
    good = kept == (query == row.whole)
    return Result(row, query, good, f"{verdict}, {detail}", answer.found)


def run(chosen: list[Row], folder: Path = FOLDER) -> Iterator[Result]:
    """The results of all searches, in the order of the rows."""
    tasks = [(row, query) for row in chosen for query in row.queries]
    with ThreadPoolExecutor(WORKERS) as pool:
        yield from pool.map(lambda task: judge(task[0], task[1], folder), tasks)


def lines(result: Result) -> Iterator[str]:
    """The row of the table for one search."""
    mark = "ok " if result.good else "BAD"
    if result.query == result.row.whole:
        yield f"{mark} {result.row.name}: {result.verdict}"
        yield f"      {result.row.says}"
    else:
        yield f"{mark}   without {', '.join(result.query.without)}: {result.verdict}"


def main(words: list[str], folder: Path = FOLDER) -> int:
    """Print the table. Returns the exit status."""
    traced = "--trace" in words
    wanted = [word for word in words if word != "--trace"]
    chosen = [row for row in rows(folder) if not wanted or any(word in row.name for word in wanted)]
    begun, searches, bad = time.monotonic(), 0, 0 if chosen else 1
    for result in run(chosen, folder):
        searches += 1
        bad += not result.good
        for line in lines(result):
            _say(line)
        if traced and result.found is not None:
            _say(trace.readable(shown(result.query, result.found, folder)))
    _say(f"{searches} searches, {bad} bad, {time.monotonic() - begun:.0f} s")
    return 1 if bad else 0


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
