"""Flows of a backup: written next to the profile, and restored on a new machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from chat.interface import ParlourError
from chat.service import restore, restoring
from chat.storage import backup, contacts, folder, keys, profile
from protocol import profile_header
from protocol.backup import sealed
from protocol.backup.root import history_root
from tests.crash.flows.scene import Ended, Flow, Scene
from tests.crash.points import KILLED
from tests.support.cli.line import PASSPHRASE
from tests.support.e2e.programs import Station

FILE: Final = "ada.backup"
"""The one that is restored."""

NEXT: Final = "next.backup"
"""The one that a fault strikes."""

LINE: Final = "--backup-passphrase-file"


def export_line(folder: Path, file: str, *, recovery: bool = False) -> list[str]:
    words = ["--with-recovery"] if recovery else []
    return ["export", "--to", str(folder / file), LINE, str(folder / "passphrase"), *words]


def root_in(path: Path) -> str:
    """The root hash of a backup that is whole, empty for any other file."""
    try:
        return restore.verify(path, PASSPHRASE).view.root
    except ParlourError:
        return ""


def root_of(scene: Scene, station: Station) -> str:
    """The root hash of what a profile holds."""
    with scene.opened(station.profile) as database:
        own = keys.read_own(database).person
        roots = backup.roots(database, own)
        return history_root((conversation, one.root) for conversation, one in roots.items()).hex()


class Backup(Flow):
    """A file under its name is whole and durable; nothing else passes for a backup."""

    name = "backup"
    needs = "long"

    def play(self, scene: Scene) -> Ended:
        return scene.run(scene.ada, *export_line(scene.folder, NEXT))

    def check(self, scene: Scene, how: Ended) -> None:
        file, held = scene.folder / NEXT, root_of(scene, scene.ada)
        unfinished = file.with_name(f"{NEXT}.parlour-part")
        made, root = file.exists(), how.last("root")
        scene.holds("kept", root in (None, held), f"it said {root}, and the profile holds {held}")
        scene.holds("kept", made or root is None, "the backup that it wrote is gone")
        scene.holds("whole", not made or root_in(file) == held, "half a backup has the name of one")
        scene.truthful(made, how, "the backup is there")
        part = root_in(unfinished) if unfinished.exists() else ""
        scene.holds("whole", part in ("", held), f"a part passes for a backup of {part}")
        left = unfinished.exists() and how.status != KILLED
        scene.holds("clean", not left, f"a part is left: {how.complaint}")
        if not made:
            again = scene.ada.run(*export_line(scene.folder, NEXT))
            scene.holds("repeats", again.status == 0, f"it cannot be repeated: {again.err}")
            scene.holds("whole", root_in(file) == held, "the repetition is not whole")
            scene.holds("clean", not unfinished.exists(), "a part is left after a repetition")
        self._refuses(scene, file)
        self._restores(scene, file, held)
        scene.sound(scene.ada)

    def _refuses(self, scene: Scene, file: Path) -> None:
        """A file that was cut anywhere is no backup."""
        data, cut = file.read_bytes(), scene.folder / "cut"
        whole = sealed.HEADER_SIZE + sealed.SEALED_CHUNK_SIZE
        scene.holds("whole", len(data) > whole, "it is one chunk, so that nothing is shown")
        for size in (sealed.HEADER_SIZE, whole, len(data) - 1):
            cut.write_bytes(data[:size])
            scene.holds("whole", not root_in(cut), f"{size} of {len(data)} bytes pass for a backup")

    def _restores(self, scene: Scene, file: Path, held: str) -> None:
        words = tuple((scene.folder / "words").read_text().split())
        asked = restoring.Asked(file, PASSPHRASE, words)
        made = restoring.restore_new(
            scene.folder / "restored", PASSPHRASE, asked, os.urandom, profile_header.CHEAPEST
        )
        scene.holds("kept", made.root == held, f"restored is {made.root}, and the profile holds {held}")


class Restore(Flow):
    """There is nothing, or a profile with all that the backup has; and it can be restored again."""

    name = "restore"
    victim = "new"
    needs = "long"

    def play(self, scene: Scene) -> Ended:
        return scene.run(self._new(scene), *self._line(scene))

    def _new(self, scene: Scene) -> Station:
        return scene.station("New")

    def _line(self, scene: Scene) -> list[str]:
        return ["import", str(scene.folder / FILE), "--same-words", LINE, str(scene.folder / "passphrase")]

    def check(self, scene: Scene, how: Ended) -> None:
        new, root, held = self._new(scene), how.last("root"), root_in(scene.folder / FILE)
        made = folder.state(new.profile) is not folder.ProfileState.NEW
        scene.holds("kept", made or root is None, "the profile that was restored is gone")
        scene.holds("kept", root in (None, held), f"it said {root}, and the backup has {held}")
        scene.truthful(made, how, "the profile is restored")
        if made:
            self._same(scene, new, held)
        again = new.run(*self._line(scene))
        scene.holds("repeats", again.status == 0, f"it cannot be repeated: {again.err}")
        if not made:
            self._same(scene, new, held)
        scene.holds("kept", root_of(scene, new) == held, "after a repetition it is another history")
        scene.sound(new)
        left = {path.name for path in new.profile.iterdir()} - {
            folder.HEADER,
            folder.DATABASE,
            f"{folder.DATABASE}-schema",
            folder.RESERVE,
            "lock",
        }
        scene.holds("clean", not left, f"files are left: {left}")

    def _same(self, scene: Scene, new: Station, held: str) -> None:
        """It has what the backup has. Its passphrase costs little from then on."""
        with profile.unlock(new.profile, PASSPHRASE) as vault:
            vault.change_passphrase(PASSPHRASE, PASSPHRASE, random=os.urandom, cost=profile_header.CHEAPEST)
        root = root_of(scene, new)
        scene.holds("kept", root == held, f"it holds {root}, and the backup has {held}")
        with scene.opened(new.profile) as database:
            names = [row.name for row in contacts.all(database)]
        scene.holds("kept", names == ["Ben"], f"the contacts are {names}")


class Merge(Restore):
    """What an older copy of the profile has stays, and what it lacks comes, some of it or all."""

    name = "restore, into an old copy"
    victim = "old"

    def __init__(self) -> None:
        self.before: tuple[str, set[str]] = "", set()

    def _new(self, scene: Scene) -> Station:
        return scene.station("Old")

    def play(self, scene: Scene) -> Ended:
        old = self._new(scene)
        self.before = root_of(scene, old), scene.stored(old)
        return super().play(scene)

    def check(self, scene: Scene, how: Ended) -> None:
        old, root, held = self._new(scene), how.last("root"), root_in(scene.folder / FILE)
        scene.sound(old)
        now = root_of(scene, old)
        scene.holds("kept", root is None or root == now == held, f"it said {root}, and the profile has {now}")
        before, entries = self.before
        scene.truthful(now != before, how, "something was added")
        missing = entries - scene.stored(old)
        scene.holds("kept", not missing, f"{missing} are gone")
        again = old.run(*self._line(scene))
        scene.holds("repeats", again.status == 0, f"it cannot be repeated: {again.err}")
        scene.holds("kept", root_of(scene, old) == held, "after a repetition it is another history")
        scene.holds("opens", old.problems() == (), f"unsound: {old.problems()}")
