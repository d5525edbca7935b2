"""A thief has a copy of the most senior device. The recovery words outrank it, by real programs in a lab."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.e2e.programs import PATIENCE, Station, end, link, listening, pair, wait_event
from tests.support.lab.hosts import Lab

HOSTS = 4
pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_the_recovery_words_outrank_a_thief_of_the_first_device(
    lab: Lab, ada: Station, ben: Station, tmp_path: Path
) -> None:
    laptop, thief = (Station("Ada", tmp_path, lab.hosts[number]) for number in (1, 2))
    laptop.profile, thief.profile = tmp_path / "laptop", tmp_path / "thief"
    pair(ada, ben)
    words = _written_down(ada)
    with listening(ben):
        link(ada, laptop, "laptop")
    shutil.copytree(ada.profile, thief.profile, ignore=shutil.ignore_patterns("*.sock"))
    (desk,) = [one["terminal"] for one in ada.run("terminal", "list").objects if one["this"]]

    with listening(ben, laptop, thief) as (heard, _, stolen):
        thief.say("by the thief")
        ben.until_said("by the thief")
        laptop.until_said("by the thief")
        refused = laptop.run("terminal", "remove", desk, "--yes")
        assert refused.status == 77, refused.err
        newer = _replaced(laptop, desk, words)
        assert newer != words
        again = laptop.run("recovery", "use", typed=" ".join(words) + "\n")
        assert (again.status, again.objects) == (64, [])
        assert "were replaced by a recovery" in again.err
        wait_event(heard, "held", held=True)
        waiting = laptop.say("after the words")
        assert ben.run("verify", "Ada", laptop.safety_number()).status == 0
        wait_event(heard, "held", held=False)
        assert laptop.run("verify", "Ben").objects[0]["unvouched"], "only the desk has paired with Ben"
        assert laptop.run("verify", "Ben", ben.safety_number()).status == 0
        ben.until_said("after the words")
        ben.say("to the owner")
        laptop.until_said("to the owner")
        assert laptop.run("history", "Ben").objects[-2]["id"] == waiting
        late = thief.run("send", "Ben", "the thief again", "--wait", "0")
        assert late.status == 77
        assert "This device was removed from your identity" in late.err
        assert {"after the words", "to the owner"}.isdisjoint(text for _, text in thief.said())
        assert "the thief again" not in [text for _, text in ben.said()]
        end(stolen)


def _replaced(laptop: Station, removed: str, words: list[str]) -> list[str]:
    """Recover by the words, and type back new ones, which are returned."""
    with laptop.start("recovery", "use", "--remove", removed) as asking:
        asking.write(" ".join(words) + "\n")
        shown = json.loads(asking.line(PATIENCE))
        new: list[str] = shown["words"]
        asking.write("".join(f"{new[number - 1]}\n" for number in shown["asked"]))
        used = json.loads(asking.line(PATIENCE))
    assert (used["recovered"], used["removed"], used["new_keys"]) == (True, [removed], False)
    return new


def _written_down(ada: Station) -> list[str]:
    """The recovery words, of which the profile keeps nothing."""
    with ada.start("recovery") as asking:
        shown = json.loads(asking.line(PATIENCE))
        words: list[str] = shown["words"]
        asking.write("".join(f"{words[number - 1]}\n" for number in shown["asked"]))
        assert json.loads(asking.line(PATIENCE)) == {"erased": True}
    return words
