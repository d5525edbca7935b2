"""Flows by which content goes: deleted here, for everyone from both sides, and at the end of a timer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import ClassVar, Final

from chat.interface import DeletionScope, EntryState, Messenger, ParlourError
from chat.storage import registers
from chat.storage.entries import ON_ALL
from protocol.notes import Register
from tests.crash.flows.scene import LIVES_WITHIN, Ended, Flow, Scene, ended, status_of
from tests.crash.points import KILLED
from tests.support.e2e.programs import (
    PATIENCE,
    Station,
    first_to_end,
    listening,
    until_nothing_waits,
    whole_history,
)
from tests.support.lab.programs import Program

NEEDLE: Final = "quagga zephyrneedlexylophonists"
TAIL: Final = b"lexylophonists"
"""The end of a word, which the index of the search does not compress."""


class Delete(Flow):
    """Deleted is deleted: neither shown again nor in any page."""

    name = "delete"
    needs = "paired"
    scope: ClassVar[str] = "--here"

    def play(self, scene: Scene) -> Ended:
        return scene.run(scene.ada, "delete", "Ben", self._entry(scene), self.scope, "--yes")

    def _entry(self, scene: Scene) -> str:
        return (scene.folder / "needle").read_text()

    def check(self, scene: Scene, how: Ended) -> None:
        id = self._entry(scene)
        if how.last("deleted") is not None:
            left = scene.left(scene.ada.profile, [TAIL])
            scene.holds("erased", not left, f"the text is in {left}")
        entries = {one["id"]: one for one in scene.ada.run("history", "Ben").objects}
        kinds = [one["kind"] for one in entries.values()]
        scene.holds("kept", len(kinds) == 3 and kinds.count("text") >= 2, f"the other entries: {kinds}")
        gone = entries.get(id, {}).get("kind") == "deleted"
        scene.holds("kept", gone or how.last("deleted") is None, "what was deleted is shown again")
        scene.truthful(gone, how, "the entry is deleted")
        again = scene.ada.run("delete", "Ben", id, self.scope, "--yes")
        scene.holds("repeats", again.status == 0, f"it cannot be repeated: {again.err}")
        left = scene.left(scene.ada.profile, [TAIL])
        scene.holds("erased", not left, f"after a repetition the text is in {left}")
        scene.sound(scene.ada)


class DeleteOnAll(Delete):
    """The same on all devices of the person: the notes say so of what is gone, and of nothing else."""

    name = "delete on all"
    serves = True
    scope = "--all-mine"

    def check(self, scene: Scene, how: Ended) -> None:
        self._agrees(scene, "after it ended")
        super().check(scene, how)
        self._agrees(scene, "after a repetition")

    def _agrees(self, scene: Scene, when: str) -> None:
        id = bytes.fromhex(self._entry(scene))
        with scene.opened(scene.ada.profile) as database:
            gone = database.value("SELECT destroyed FROM entries WHERE id = ?", id) == ON_ALL
            said = registers.is_written(database, Register.DELETED, id)
        scene.holds("settles", gone == said, f"{when} the notes say {said}, and the entry {gone}")


class DeleteForAll(Delete):
    """The same for both sides: what one of them has deleted, the other deletes."""

    name = "delete for all"
    serves = True

    def __init__(self) -> None:
        self.said: Ended = Ended()
        """What the author's program said."""

    def play(self, scene: Scene) -> Ended:
        with listening(scene.ben):
            self.said = scene.run(scene.ada, *self._line(scene))
        return self.said

    def check(self, scene: Scene, how: Ended) -> None:
        done, known = self.said.last("deleted") is not None, self.said.last("state") == "delivered"
        if done:
            left = scene.left(scene.ada.profile, [TAIL])
            scene.holds("erased", not left, f"the text is in {left}")
        for station, certain in ((scene.ada, done), (scene.ben, known)):
            gone = self._is_gone(scene, station)
            scene.holds("kept", gone or not certain, f"what was deleted is there again at {station.name}")
            if station is scene.ada:
                scene.truthful(gone, self.said, "the entry is deleted")
        self._settles(scene, done=done)

    def _line(self, scene: Scene) -> list[str]:
        wait = "5" if scene.lasting else LIVES_WITHIN  # nobody may take it
        return ["delete", "Ben", self._entry(scene), "--for-everyone", "--yes", "--wait", wait]

    def _is_gone(self, scene: Scene, station: Station) -> bool:
        id = bytes.fromhex(self._entry(scene))
        with scene.opened(station.profile) as database:
            return bool(database.value("SELECT destroyed FROM entries WHERE id = ?", id))

    def _settles(self, scene: Scene, *, done: bool) -> None:
        """Both run again: both show it, or neither. Then it is deleted again, and both files are clean."""
        ada, ben, id = scene.ada, scene.ben, self._entry(scene)
        with listening(ada, ben):
            ada.ask(until_nothing_waits)
            ada.ask(lambda messenger: _until_known(messenger, id))
            said, there = ada.said(), ben.said()
            scene.holds("settles", said == there, f"one shows {said}, the other {there}")
            texts = [text for _, text in said]
            scene.holds("kept", NEEDLE not in texts or not done, "what was deleted is shown again")
            others = [text for text in texts if text not in (NEEDLE, "")]
            scene.holds("kept", others == ["the first", "the last"], f"the other entries: {others}")
            self._repeats(scene)
            for station in (ada, ben):
                station.ask(_cleaned)
        for station in (ada, ben):
            left = scene.left(station.profile, [TAIL])
            scene.holds("erased", not left, f"after a repetition {station.name} has the text in {left}")
            scene.holds("opens", station.problems() == (), f"unsound: {station.problems()}")

    def _repeats(self, scene: Scene) -> None:
        """Delete it by the engine that runs: a program of its own would take a second more."""
        id = self._entry(scene)
        (contact,) = scene.ada.contacts()
        try:
            scene.ada.ask(lambda messenger: messenger.delete(contact.person, id, DeletionScope.EVERYONE))
        except ParlourError as failure:
            scene.holds("repeats", False, f"it cannot be repeated: {failure}")
        scene.ada.ask(lambda messenger: _until_known(messenger, id))


class DeletedByContact(DeleteForAll):
    """The same, with the fault at the side that receives the delete."""

    name = "delete for all, contact"
    victim = "ben"

    def __init__(self) -> None:
        super().__init__()
        self.cleaned = False

    def play(self, scene: Scene) -> Ended:
        with (
            scene.victim(scene.ben, "listen") as struck,
            scene.ada.start(*self._line(scene)) as deleting,
        ):
            if first_to_end(struck, deleting) is deleting:
                self.cleaned = cleaned(scene.ben)
                struck.process.terminate()
                self.said = ended(deleting)
                knows = self.said.last("state") == "delivered" or _killed(struck)
                scene.holds("lives", knows or scene.lasting, f"the delete is not there: {self.said}")
            else:
                deleting.process.terminate()
                self.said = ended(deleting)
            return ended(struck)

    def check(self, scene: Scene, how: Ended) -> None:
        ready = any(line.get("event") == "ready" for line in how.objects)
        scene.holds("lives", not ready or how.status in (0, KILLED), f"the engine ended: {how.complaint}")
        if self.cleaned and self.said.last("state") == "delivered":
            left = scene.left(scene.ben.profile, [TAIL])
            scene.holds("erased", not left, f"the contact's file is clean, and the text is in {left}")
        if any(line.get("event") == "deleted" for line in how.objects):
            gone = self._is_gone(scene, scene.ben)
            scene.holds("kept", gone, "it was shown as deleted and is there again")
        super().check(scene, how)


class Expire(Flow):
    """What has ended is shown no more, and is gone after the next start."""

    name = "expire"
    needs = "ended"
    serves = True

    def __init__(self) -> None:
        self.cleaned = False

    def play(self, scene: Scene) -> Ended:
        with scene.victim(scene.ada, "listen") as struck:
            if struck.first(PATIENCE) is not None:
                self._look(scene)
                self.cleaned = cleaned(scene.ada)
                status = status_of(struck)
                scene.holds("lives", status in (None, KILLED), f"the engine ended: {struck.complained}")
                struck.process.terminate()
            return ended(struck)

    def _look(self, scene: Scene) -> None:
        """An engine that runs shows nothing that has ended, whatever failed."""
        with suppress(ParlourError, OSError):
            texts = [text for _, text in scene.ada.said()]
            scene.holds("expired", NEEDLE not in texts, "what has ended is shown")

    def check(self, scene: Scene, how: Ended) -> None:
        ada = scene.ada
        if self.cleaned:
            left = scene.left(ada.profile, [TAIL])
            scene.holds("erased", not left, f"the file is clean, and the text is in {left}")
        with listening(ada):
            shown = {one.id: one for one in ada.ask(whole_history)}
            ada.ask(_cleaned)
        one = shown[(scene.folder / "needle").read_text()]
        scene.holds("expired", (one.kind, one.text) == ("expired", ""), f"after a restart it is {one}")
        texts = [one.text for one in shown.values() if one.kind == "text"]
        scene.holds("kept", texts == ["the first", "the last"], f"the other entries: {texts}")
        left = scene.left(ada.profile, [TAIL])
        scene.holds("erased", not left, f"after a restart the text is in {left}")
        scene.holds("opens", ada.problems() == (), f"unsound: {ada.problems()}")


def _killed(program: Program) -> bool:
    return status_of(program) == KILLED


async def _cleaned(messenger: Messenger) -> None:
    async with asyncio.timeout(PATIENCE):
        await messenger.clean()


def cleaned(station: Station) -> bool:
    """Whether the engine of a profile says that the file is clean. It may have died, or fail."""
    try:
        station.ask(_cleaned)
    except (ParlourError, OSError):
        return False
    return True


async def _until_known(messenger: Messenger, id: str) -> None:
    """Wait until the contact has the delete of an entry, if there is one."""
    events = messenger.events()
    (contact,) = await messenger.contacts()
    entry = await messenger.entry(contact.person, id)
    assert entry is not None
    async with asyncio.timeout(PATIENCE):
        while entry.change:
            change = await messenger.entry(contact.person, entry.change)
            if change is None or change.state not in (EntryState.QUEUED, EntryState.SENT):
                return
            await anext(events)
