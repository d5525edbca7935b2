"""The stored conversation of version 1, replayed by the code of today (SPEC §17)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.interop.transcript import FILE, record, replay


def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def test_case_97_each_end_of_the_conversation_of_version_1_reads_what_it_read_then() -> None:
    replay(stored())


def test_what_is_recorded_today_can_be_replayed() -> None:
    replay(record())


@pytest.mark.parametrize("link", [0, 1], ids=["pairing", "conversation"])
@pytest.mark.parametrize("name", ["anna", "bob"])
def test_another_byte_or_another_event_fails(link: int, name: str) -> None:
    steps = [step for step in stored()["links"][link]["ends"][name]["steps"] if step["do"] == "receive"]
    at = len(steps) // 2
    for change in (_another_byte, _another_event):
        transcript = stored()
        received = [
            step for step in transcript["links"][link]["ends"][name]["steps"] if step["do"] == "receive"
        ]
        change(received[at])
        with pytest.raises(AssertionError):
            replay(transcript)


def _another_byte(step: dict[str, Any]) -> None:
    stream = step["stream"]
    step["stream"] = stream[:-2] + f"{int(stream[-2:], 16) ^ 1:02x}"


def _another_event(step: dict[str, Any]) -> None:
    step["events"] = [*step.get("events", []), {"open": ""}]
