"""Searches in the symbolic models of `protocol/model/`, by Maude."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.architecture.imports import ROOT

FOLDER: Final = ROOT / "protocol" / "model"
SEARCH_SECONDS: Final = 240
"""A search that takes longer counts as failed."""
_STATES: Final = re.compile(r"^states: (\d+)", re.MULTILINE)
_LABEL: Final = re.compile(r"^[\w-]+$", re.MULTILINE)
_FOUND: Final = re.compile(r"^Solution 1 \(state (\d+)\)$", re.MULTILINE)


class ModelError(Exception):
    """Maude did not search: it is missing, warned about a model, or took too long."""


@dataclass(frozen=True)
class Query:
    """Whether `lemma` of a model can be reached from `start` when the steps of `without` are left out."""

    model: str
    lemma: str
    start: str
    without: tuple[str, ...] = ()

    def script(self, then: str = "") -> str:
        """The input of Maude. `then` follows the search."""
        dropped = " ".join(f"eq dropped({step}) = true ." for step in self.without)
        return (
            f"load lib.maude\nload {self.model}.maude\n"
            f"mod RUN is including {self.model.upper()} . {dropped} endm\n"
            f"search [1] in RUN : start({self.start}) =>* A:State"
            f" such that reached({self.lemma}, A:State) .\n"
            f"{then}\n"
        )


@dataclass(frozen=True)
class Answer:
    """The states that a search visited, and the number of the one that it looked for."""

    states: int
    found: int | None


def search(query: Query, folder: Path = FOLDER) -> Answer:
    """Raises ModelError."""
    said = _run(query.script(), folder)
    states, found = _STATES.search(said), _FOUND.search(said)
    if states is None or (found is None and "\nNo solution.\n" not in said):
        raise ModelError(f"Maude gave no answer: {said.strip()[-200:]}")
    return Answer(int(states[1]), int(found[1]) if found else None)


def path(query: Query, found: int, folder: Path = FOLDER) -> list[str]:
    """The labels of the rules that lead to the state that `search` found. Raises ModelError."""
    said = _run(query.script(f"show path labels {found} ."), folder)
    return _LABEL.findall(said)


def shown(query: Query, found: int, folder: Path = FOLDER) -> str:
    """The same path with every state on it, as Maude prints it. Raises ModelError."""
    return _run(query.script(f"show path {found} ."), folder)


def _run(script: str, folder: Path) -> str:
    command = ["maude", "-no-banner", "-no-ansi-color", "-no-wrap"]
    try:
        done = subprocess.run(
            command,
            input=script,
            cwd=folder,
            env={**os.environ, "PWD": str(folder)},  # by which Maude finds what it loads
            capture_output=True,
            text=True,
            timeout=SEARCH_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise ModelError("maude is not installed (Debian, Ubuntu: apt-get install maude)") from None
    except subprocess.TimeoutExpired:
        raise ModelError(f"the search took more than {SEARCH_SECONDS} s") from None
    # A statement that Maude cannot parse is only a warning, and a model without it proves nothing.
    if done.returncode or "Warning" in done.stderr + done.stdout:
        raise ModelError((done.stderr + done.stdout).strip().partition("\n")[0])
    return done.stdout
