"""Notes to oneself with the real commands: written, found, changed and deleted, with no contact."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.test_commands import pages_with
from tests.support.e2e.programs import Station
from tests.support.lab.hosts import Lab

pytestmark = [pytest.mark.network, pytest.mark.slow]
HOSTS = 1
WORD = "marmalade"


def test_a_person_alone_writes_finds_changes_and_deletes_notes(lab: Lab, tmp_path: Path) -> None:
    ada = Station("Ada", tmp_path, lab.hosts[0])
    ada.run("init", "--name", "Ada")
    (sent,) = ada.run("send", "notes", WORD, "and", "bread").objects
    assert sent["state"] == "kept"
    ada.run("send", "notes", "milk")
    assert [one["text"] for one in ada.run("history", "notes").objects] == [f"{WORD} and bread", "milk"]
    assert [one["id"] for one in ada.run("history", "--search", WORD).objects] == [sent["id"]]
    (edited,) = ada.run("edit", "notes", sent["id"], "oat", WORD).objects
    assert (edited["edited"], edited["state"]) == (sent["id"], "kept")
    exported = tmp_path / "notes.jsonl"
    ada.run("export", "notes", "--format", "jsonl", "--to", str(exported))
    assert f"oat {WORD}" in exported.read_text("utf-8")
    ada.run("delete", "notes", sent["id"], "--all-mine", "--yes")
    first, second = ada.run("history", "notes").objects
    assert (first["kind"], first["deleted_by"], second["text"]) == ("deleted", "mine", "milk")
    assert ada.run("history", "--search", WORD).objects == []
    assert pages_with(ada, WORD) == []
