"""The demo network of seeds/demo.json behind a fake `Messenger`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from chat.interface import EntryState, EntryView
from tests.architecture.imports import ROOT
from tests.support.fakes.messenger import FakeMessenger

DEMO: dict[str, Any] = json.loads((ROOT / "seeds" / "demo.json").read_text(encoding="utf-8"))


def demo(messenger: FakeMessenger | None = None, *, chinese: bool = False) -> FakeMessenger:
    """The person of the demo, with contacts, history and a stranger nearby."""
    filled = messenger or FakeMessenger(DEMO["person"], prompt=False)
    persons = {}
    for contact in DEMO["contacts"]:
        marks = {mark: contact[mark] for mark in ("verified", "present", "blocked")}
        persons[contact["name"]] = filled.add_contact(contact["name"], **marks).person
    for conversation in DEMO["conversations"]:
        person = persons[conversation["with"]]
        _converse(filled, person, conversation, "zh" if chinese else "text")
    for stranger in DEMO["nearby"]:
        filled.see_stranger(stranger["name"])
    return filled


def _converse(messenger: FakeMessenger, person: str, conversation: dict[str, Any], form: str) -> None:
    held, ids = messenger._conversations[person], dict[str, str]()
    for entry in conversation["entries"]:
        text = entry.get(form) or entry["text"]
        view = _entry(messenger, person, {**entry, "text": text}, ids.get(entry.get("reply", ""), ""))
        if "id" in entry:
            ids[entry["id"]] = view.id
        held.entries.append(view)
    theirs = [view.id for view in held.entries if not view.own]
    held.unread = set(theirs[len(theirs) - conversation["unread"] :])
    messenger._count_unread(person)


def _entry(messenger: FakeMessenger, person: str, entry: dict[str, str], reply: str) -> EntryView:
    own = entry["author"] == DEMO["person"]
    time = datetime.fromisoformat(entry["time"])
    view = messenger._entry(messenger._contacts[person], entry["text"], own=own, time=time, reply=reply)
    return replace(view, state=EntryState(entry["state"])) if own else view
