"""Our own vectors: each a test with its own id, and what holds of all their files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol import labels
from protocol import primitives as primitives_of
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
    Json,
    Report,
    VectorMismatch,
    expect_equal,
    expect_outcome,
)
from tests.architecture import spec_document
from tests.support.machine import needs_public_vectors
from tests.vectors import primitives
from tests.vectors.files import Seed, read_phrase
from tests.vectors.generate import PHRASE_FILE, differing
from tests.vectors.persons_log import Person

_RULES = {rule.id: rule.error_class for rule in spec_document.rules(spec_document.read())}


def _own_cases() -> list[Any]:
    return [pytest.param(case, id=case.id) for area in own.own_areas() for case in area.cases]


@pytest.mark.parametrize("case", _own_cases())
def test_vector(case: Case) -> None:
    case.run()


def test_own_reports_cover_every_area_and_count_its_cases() -> None:
    """`test_vector` runs every case; that all reports pass, the built wheel shows."""
    areas = {area.name: area for area in own.own_areas()}
    assert list(areas) == list(own.AREAS)
    assert all(len(area.cases) == own.load(name)["count"] for name, area in areas.items())
    assert areas["codec"].report() == Report("codec", own.load("codec")["count"])
    wrong = Case("codec-0000", lambda: expect_equal("bytes", b"a", b"b"))
    assert Area("codec", (*areas["codec"].cases, wrong)).report().failed == ("codec-0000",)


def test_committed_files_are_what_the_generator_makes() -> None:
    """Also after something else in this process asked for a signature that no vector has."""
    Person(Seed("other", "persons"), "other", "Anna").recover("recover")
    assert differing() == []


def test_seed_rule_is_what_the_files_say() -> None:
    """The rule, written out once more by hand."""
    phrase = read_phrase(PHRASE_FILE.read_text(encoding="utf-8"))
    expected = hashlib.sha256(phrase.encode() + b"\x00noise\x00other").digest()
    assert Seed(phrase, "noise").bytes("other") == expected
    assert own.load("noise")["seed"]["phrase"] == phrase


def _tests(area: str) -> list[Json]:
    return [test for group in own.load(area)["groups"] for test in group["tests"]]


def _all_tests() -> Iterator[Json]:
    return (test for area in own.AREAS for test in _tests(area))


@pytest.mark.parametrize("area", own.AREAS)
def test_ids_count_and_flags_agree(area: str) -> None:
    file, tests = own.load(area), _tests(area)
    assert [test["id"] for test in tests] == [f"{area}-{n:04d}" for n in range(1, len(tests) + 1)]
    assert file["count"] == len(tests)
    assert {flag for test in tests for flag in test["flags"]} == set(file["notes"])
    classes = {error.error_class for error in (Malformed, Unexpected, AuthenticationFailed, LimitExceeded)}
    assert {test["expect"] for test in tests} <= classes | {"success", Untrusted.error_class}


def _rule_is_met(test: Json) -> bool:
    return test["expect"] == _RULES[test["rule"]] if "rule" in test else True


@pytest.mark.parametrize("area", own.AREAS)
def test_a_rule_that_is_named_is_met_by_its_class(area: str) -> None:
    """What succeeds breaks no rule, and what breaks one has the class that SPEC gives it."""
    assert [test["id"] for test in _tests(area) if not _rule_is_met(test)] == []


def test_another_class_than_that_of_the_rule_is_seen() -> None:
    assert _rule_is_met({"expect": "limit", "rule": "V-CD-01"})
    assert not _rule_is_met({"expect": "malformed", "rule": "V-CD-01"})
    assert not _rule_is_met({"expect": "success", "rule": "V-CD-01"})


def _unnamed(rules: Iterable[str], tests: Iterable[Json]) -> list[str]:
    """The rules that no test is refused by."""
    named = {test["rule"] for test in tests if "rule" in test}
    return [rule for rule in rules if rule not in named]


def test_every_rule_has_a_vector_that_breaks_it() -> None:
    assert len(_RULES) > 100
    assert _unnamed(_RULES, _all_tests()) == []


def test_a_rule_without_a_vector_is_seen() -> None:
    others = (test for test in _all_tests() if test.get("rule") != "V-EL-01")
    assert _unnamed(_RULES, others) == ["V-EL-01"]


def test_every_refusal_names_its_rule() -> None:
    """But for a bare AEAD, whose refusals become those of its caller, and an own nonce that is used up."""
    refused = (test for test in _all_tests() if test["expect"] != "success" and "rule" not in test)
    assert {test["steps"][-1]["do"] for test in refused} == {"open", "write"}


def test_there_are_as_many_as_were_promised() -> None:
    expects = [test["expect"] for test in _all_tests()]
    assert len(expects) >= 300
    assert len(expects) - expects.count("success") >= 100


def test_every_label_has_a_vector() -> None:
    shown = [row[0] for row in primitives.FORMULAS] + [row[0] for row in primitives.SIGNED]
    assert sorted(shown) == sorted(labels.registry())


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


def test_published_vectors_pass_and_are_all_there() -> None:
    """Counts as published: a file that shrank, or an area that went, must not pass in silence."""
    folder = needs_public_vectors()
    assert public.missing_areas(folder) == ()
    reports = list(public.run_public(folder))
    assert [report.failed for report in reports if report.failed] == []
    assert {report.area: report.passed for report in reports}.items() >= {
        "noise/cacophony-25519-chachapoly": 177,
        "wycheproof/x25519_test": 518,
        "wycheproof/ed25519_test": 151,
        "wycheproof/chacha20_poly1305_test": 325,
        "wycheproof/aegis256_test": 472,
        "wycheproof/mlkem_768_test": 193,
        "wycheproof/mlkem_768_keygen_seed_test": 100,
        "wycheproof/mlkem_768_encaps_test": 132,
        "wycheproof/mldsa_65_verify_test": 210,
        "wycheproof/mldsa_65_sign_seed_test": 105,
    }.items()


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


def test_a_signature_that_verifies_though_it_must_not_fails_its_vector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "wycheproof"
    folder.mkdir()
    seed = bytes(32)
    signed = {"tcId": 1, "msg": b"of Ada".hex(), "sig": primitives_of.mldsa_sign(seed, b"of Ada").hex()}
    tests = [
        {**signed, "result": "valid"},
        {**signed, "tcId": 2, "msg": b"of Ben".hex(), "result": "invalid"},
        {**signed, "tcId": 3, "ctx": "00", "sig": "00" * 3309, "result": "valid"},
    ]
    key = primitives_of.mldsa_from_seed(seed).hex()
    verifies = json.dumps({"testGroups": [{"publicKey": key, "tests": tests}]})
    (folder / "mldsa_65_verify_test.json").write_text(verifies)
    groups = [
        {"privateSeed": seed.hex(), "publicKey": key, "tests": [tests[0]]},
        {"privateSeed": seed.hex(), "publicKey": "00" * 1952, "tests": [{"tcId": 4, "result": "valid"}]},
        {"privateSeed": seed.hex()[2:], "publicKey": "", "tests": [{"tcId": 5, "result": "invalid"}]},
    ]
    (folder / "mldsa_65_sign_seed_test.json").write_text(json.dumps({"testGroups": groups}))
    assert list(public.run_public(tmp_path)) == [
        Report("wycheproof/mldsa_65_sign_seed_test", 2, ("mldsa_65_sign_seed_test-4",)),
        Report("wycheproof/mldsa_65_verify_test", 3, ()),
    ]
    monkeypatch.setattr(primitives_of, "mldsa_verify", lambda *_: None)
    _, verifying = public.run_public(tmp_path)
    assert verifying.failed == ("mldsa_65_verify_test-2", "mldsa_65_verify_test-3")


def test_what_we_do_not_have_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    vectors = [{"protocol_name": "Noise_XX_448_AESGCM_SHA512"}]
    (tmp_path / "noise" / "other.json").write_text(json.dumps({"vectors": vectors}))
    for name in ("cpace/vectors", "wycheproof/rsa_test"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / f"{name}.json").write_text("{}")
    unknown = [report.unknown for report in public.run_public(tmp_path)]
    assert unknown == [("Noise_XX_448_AESGCM_SHA512",), ("cpace/vectors", "wycheproof/rsa_test")]
