"""A vector fails for each changed label, constant and check of `protocol/`; changes are made in a copy."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from protocol.vectors.own import AREAS
from tests.support.protocol import mutations
from tests.support.protocol.log_plants import LOG_PLANTS
from tests.support.protocol.mutations import COMPUTED, PROTOCOL, Plant, checks, constants, labels

PARTS = 4
"""Tests that share the changes: a test that takes minutes looks like one that hangs."""

pytestmark = pytest.mark.slow

UNSEEN = {
    **dict.fromkeys(
        ("LOG_MESSAGE_BYTES + 1", "LOG_MESSAGE_BYTES - 1"),
        "it says where a sender begins another message, which test_long_logs.py counts",
    ),
    "PSK_CANDIDATES_MAX + 1": "it bounds what an initiator gives itself, and no peer sees it",
    **dict.fromkeys(
        ("SAFETY_REDUCTIONS_MAX + 1", "SAFETY_REDUCTIONS_MAX - 1"),
        "it bounds what a terminal computes, which test_safety.py counts",
    ),
    **dict.fromkeys(
        ("EARLY_MARKS_MAX + 1", "EARLY_MARKS_MAX - 1"),
        "it bounds what a terminal remembers, which test_marks.py counts",
    ),
    **dict.fromkeys(
        ("MARKED_MAX + 1", "MARKED_MAX - 1"),
        "it bounds what a terminal reads of its history, which test_siblings.py counts",
    ),
    **dict.fromkeys(
        (
            'pairing/handover.py:            raise Unexpected("a contact before the person")',
            'pairing/handover.py:            raise Unexpected("the person\'s log has not come")',
        ),
        "the states of a linking refuse it before: V-SP-04 and V-AD-04",
    ),
    'pairing/linking.py:            raise Untrusted("an Add that adds nobody")': (
        "the Add that was consented to adds its terminal to every log that has room for it"
    ),
    "PIECE_PATH_MAX + 1": "no file has a tree of more levels: V-PE-02 refuses it already",
    "RELAY_TOKENS_MAX + 1": "the padding of Wait has no room for one more: V-RM-04 refuses it already",
    **dict.fromkeys(
        (
            'primitives.py:    if size < 0:\n        raise AuthenticationFailed("ciphertext does not open")',
            "primitives.py:    if call(into, ffi.NULL, ffi.NULL, ciphertext, len(ciphertext), ad, len(ad),"
            ' nonce, key) != 0:\n        raise AuthenticationFailed("ciphertext does not open")',
        ),
        "only the frames of a cluster of relays are opened in place, and test_rendezvous.py covers them",
    ),
    **dict.fromkeys(
        (
            f"ratchet.py:{before}        if self.n >= COUNTER_MAX:\n"
            '            raise LimitExceeded("envelope counter is used up")'
            for before in (
                '        """The next envelope, of content after a flag.'
                ' LimitExceeded when the counter is used up."""\n',
                "            return None\n",
            )
        ),
        "vectors run the fast implementation in hotpath.py, and test_ratchet.py runs both",
    ),
}
"""Changes that no vector can show, and why. They are not made: each would run every vector in vain."""


def outcomes(plants: Sequence[Plant], folder: Path) -> dict[str, str]:
    """The area that saw each plant, or why none did, by the plant's name."""
    shutil.copytree(PROTOCOL, folder / "protocol", ignore=shutil.ignore_patterns("bench"))
    table = folder / "plants.json"
    table.write_text(json.dumps([asdict(plant) for plant in plants]), encoding="utf-8")
    command = [sys.executable, mutations.__file__, str(folder), str(table)]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(zip((plant.name for plant in plants), told.splitlines(), strict=True))


def every() -> list[Plant]:
    return [*labels(), *constants(), *checks(), *COMPUTED, *(Plant(*one) for one in LOG_PLANTS)]


def test_each_planted_change_has_a_name() -> None:
    names = {plant.name for plant in every()}
    assert len(names) == len(every()) > 150
    assert names >= UNSEEN.keys()


@pytest.mark.parametrize("part", range(PARTS))
def test_every_planted_change_is_seen_by_a_vector(tmp_path: Path, part: int) -> None:
    shown = [plant for plant in every() if plant.name not in UNSEEN]
    # Neighbours, because the area that sees one change of a file is tried first for the next one.
    plants = shown[len(shown) * part // PARTS : len(shown) * (part + 1) // PARTS]
    unseen = {name: seen for name, seen in outcomes(plants, tmp_path).items() if seen not in AREAS}
    assert unseen == {}


def test_without_a_change_no_vector_fails(tmp_path: Path) -> None:
    nothing = Plant("nothing", "codec.py", "from __future__", "from __future__")
    lost = Plant("lost", "codec.py", "no such text", "")
    assert outcomes([nothing, lost], tmp_path) == {"nothing": "missed", "lost": "not found once"}
