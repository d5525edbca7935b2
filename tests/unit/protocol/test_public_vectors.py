"""Published vectors that nobody here wrote, each a test with the vector's own id."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.vectors import public
from protocol.vectors.frame import Area, Case, Report
from tests.support.machine import needs_public_vectors

_PUBLISHED = os.environ.get("PARLOUR_PUBLIC_VECTORS")


def _cases(areas: Iterator[Area]) -> list[Any]:
    return [pytest.param(case, id=f"{area.name}:{case.id}") for area in areas for case in area.cases]


def _published() -> list[Any]:
    """None without the folder: test_published_vectors_are_all_there then says so, and fails under CI."""
    return _cases(public.public_areas(Path(_PUBLISHED))) if _PUBLISHED else []


def test_published_vectors_are_all_there() -> None:
    """Counts as published: a file that shrank, or an area that went, must not pass in silence."""
    folder = needs_public_vectors()
    assert public.missing_areas(folder) == ()
    counts = {report.area: report.passed for report in public.run_public(folder)}
    assert counts["noise/cacophony-25519-chachapoly"] == 177
    wycheproof = {name.removeprefix("wycheproof/"): count for name, count in counts.items() if count}
    assert wycheproof["x25519_test"] == 518
    assert wycheproof["ed25519_test"] == 151
    assert wycheproof["chacha20_poly1305_test"] == 325
    assert wycheproof["aegis256_test"] == 472
    assert wycheproof["mlkem_768_test"] == 193
    assert wycheproof["mlkem_768_keygen_seed_test"] == 100
    assert wycheproof["mlkem_768_encaps_test"] == 132


@pytest.mark.parametrize("case", _published())
def test_published(case: Case) -> None:
    case.run()


def test_an_empty_folder_misses_every_area(tmp_path: Path) -> None:
    assert "noise" in public.missing_areas(tmp_path)
    assert list(public.run_public(tmp_path)) == []


def test_a_changed_vector_fails_and_is_named(tmp_path: Path) -> None:
    """One byte of one answer: the report names the vector and still counts the others."""
    folder = tmp_path / "wycheproof"
    folder.mkdir()
    tests = [
        {"tcId": 1, "private": "77" * 32, "public": "09" + "00" * 31, "shared": "00" * 31 + "01"},
        {"tcId": 2, "private": "77" * 32, "public": "00" * 32, "shared": "00" * 32},
    ]
    (folder / "x25519_test.json").write_text(json.dumps({"testGroups": [{"tests": tests}]}))
    assert list(public.run_public(tmp_path)) == [Report("wycheproof/x25519_test", 1, ("x25519_test-1",))]


def test_what_we_do_not_have_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    vectors = [{"protocol_name": "Noise_XX_448_AESGCM_SHA512"}]
    (tmp_path / "noise" / "other.json").write_text(json.dumps({"vectors": vectors}))
    for name in ("cpace/vectors", "wycheproof/rsa_test"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / f"{name}.json").write_text("{}")
    unknown = [report.unknown for report in public.run_public(tmp_path)]
    assert unknown == [("Noise_XX_448_AESGCM_SHA512",), ("cpace/vectors", "wycheproof/rsa_test")]
