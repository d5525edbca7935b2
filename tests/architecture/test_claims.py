"""Every claim in seeds/claims.toml names checks that exist; what is said to be shown is run with the rest."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.imports import ROOT

SOURCE: dict[str, Any] = tomllib.loads((ROOT / "seeds" / "claims.toml").read_text())
CLAIMS: list[dict[str, Any]] = SOURCE["claim"]


def missing(checks: list[str], root: Path) -> list[str]:
    """The checks, as `file::function`, that are not there."""
    return [
        check for check in checks if check.partition("::")[2] not in _tests(root, check.partition("::")[0])
    ]


def _tests(root: Path, file: str) -> set[str]:
    path = root / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["id"])
def test_every_claim_is_shown_by_tests_that_exist(claim: dict[str, Any]) -> None:
    assert set(claim) == {"id", "text", "means", "shown", "checks"}
    assert re.fullmatch(r"C[1-9][0-9]*", claim["id"])
    assert claim["checks"]
    assert missing(claim["checks"], ROOT) == []


def test_claims_use_the_words_of_the_interface() -> None:
    said = [claim[part] for claim in CLAIMS for part in ("text", "means", "shown")]
    words = re.compile(r"\b(terminals?|entry|entries)\b", re.IGNORECASE)
    assert [text for text in (*said, *SOURCE["not_claimed"]) if words.search(text)] == []


def test_no_claim_is_there_twice() -> None:
    ids = [claim["id"] for claim in CLAIMS]
    assert len(set(ids)) == len(ids)


def test_a_check_that_is_not_there_is_seen(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("async def test_shown(): ...\ndef helper(): ...\n")
    checks = ["test_it.py::test_shown", "test_it.py::test_gone", "test_it.py::helper", "none.py::test_shown"]
    assert missing(checks, tmp_path) == checks[1:]
