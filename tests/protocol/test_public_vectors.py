"""Published vectors that nobody here wrote, each a test with the vector's own id, and our own ones."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.errors import (
    AuthenticationFailed,
    LimitExceeded,
    Malformed,
    ProtocolError,
    Unexpected,
    Untrusted,
)
from protocol.vectors import own, public
from protocol.vectors.frame import (
    Area,
    Case,
    Report,
    Seed,
    VectorMismatch,
    expect_equal,
    expect_outcome,
    read_phrase,
)
from protocol.vectors.generate import FOLDER, PHRASE_FILE, differing
from tests.needs import needs_public_vectors

_PUBLISHED = os.environ.get("PARLOUR_PUBLIC_VECTORS")
_HEX = re.compile(r"([0-9a-f]{2})*")


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


@pytest.mark.parametrize("case", _cases(own.own_areas()))
def test_own(case: Case) -> None:
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
    (tmp_path / "wycheproof").mkdir()
    (tmp_path / "wycheproof" / "rsa_test.json").write_text("{}")
    unknown = [report.unknown for report in public.run_public(tmp_path)]
    assert unknown == [("Noise_XX_448_AESGCM_SHA512",), ("rsa_test",)]


# --- Our own files ---


def test_own_reports_pass() -> None:
    for report in own.run_own():
        assert report.passed > 0
        assert report.failed == ()


def test_committed_files_are_what_the_generator_makes() -> None:
    assert differing() == []


def test_every_file_of_the_folder_is_an_area() -> None:
    files = {path.stem for path in FOLDER.glob("*.json")} - {"schema"}
    assert files == set(own.AREAS)


def test_seed_rule_is_what_the_files_say() -> None:
    """The rule, written out once more by hand."""
    phrase = read_phrase(PHRASE_FILE.read_text(encoding="utf-8"))
    expected = hashlib.sha256(phrase.encode() + b"\x00noise\x00other").digest()
    assert Seed(phrase, "noise").bytes("other") == expected
    assert own.load("noise")["seed"]["phrase"] == phrase


def _conforms(value: Any, schema: dict[str, Any]) -> bool:
    """The part of JSON Schema that schema.json uses."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int}
    if not isinstance(value, kinds[schema["type"]]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "pattern" in schema and not re.search(schema["pattern"], str(value)):
        return False
    if isinstance(value, list):
        return all(_conforms(item, schema["items"]) for item in value)
    return not isinstance(value, dict) or _object_conforms(value, schema)


def _object_conforms(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, item in value.items():
        rule = properties.get(name, others)
        if rule is False or (isinstance(rule, dict) and not _conforms(item, rule)):
            return False
    return all(name in value for name in schema.get("required", ()))


@pytest.mark.parametrize("area", own.AREAS)
def test_file_has_the_shape_of_the_schema(area: str) -> None:
    schema = json.loads((FOLDER / "schema.json").read_text(encoding="utf-8"))
    file = own.load(area)
    assert _conforms(file, schema)
    assert not _conforms(file | {"count": "1"}, schema)
    assert not _conforms({**file, "more": 1}, schema)


@pytest.mark.parametrize("area", own.AREAS)
def test_ids_count_and_flags_agree(area: str) -> None:
    file = own.load(area)
    tests = [test for group in file["groups"] for test in group["tests"]]
    assert file["count"] == len(tests) == len({test["id"] for test in tests})
    assert {flag for test in tests for flag in test["flags"]} == set(file["notes"])
    classes = {error.error_class for error in (Malformed, Unexpected, AuthenticationFailed, LimitExceeded)}
    assert {test["expect"] for test in tests} <= classes | {"success", Untrusted.error_class}


@pytest.mark.parametrize("area", own.AREAS)
def test_bytes_are_lower_case_hex(area: str) -> None:
    names = ("message", "payload", "envelope", "content")
    for group in own.load(area)["groups"]:
        for test in group["tests"]:
            for step in test["steps"]:
                assert all(_HEX.fullmatch(step[name]) for name in names if name in step)


# --- The frame itself ---


def _fail(error: ProtocolError) -> None:
    raise error


def test_expect_outcome_holds_the_class() -> None:
    assert expect_outcome("success", lambda: 1) == 1
    expect_outcome("malformed", lambda: _fail(Malformed("x")))
    with pytest.raises(VectorMismatch):
        expect_outcome("malformed", lambda: _fail(Unexpected("x")))
    with pytest.raises(VectorMismatch):
        expect_outcome("malformed", lambda: 1)
    with pytest.raises(VectorMismatch):
        expect_equal("bytes", b"a", b"b")
