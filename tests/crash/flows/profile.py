"""Flows of one profile: its creation, passphrase and recovery, and a database of an earlier release."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import closing, suppress
from typing import ClassVar, Final

from chat.storage import folder, keys, migrations, persons, profile
from chat.storage.database import Database
from chat.storage.errors import WrongPassphrase
from protocol.identity.log import Recover, parse_operation
from tests.crash.flows.scene import Ended, Flow, Scene, answer, ended
from tests.crash.points import KILLED
from tests.support.cli.line import PASSPHRASE
from tests.support.e2e.programs import PATIENCE, Station
from tests.support.lab.programs import Program
from tests.support.storage import later, released


class Init(Flow):
    """A profile is there or not, and the program says which."""

    name = "init"

    def play(self, scene: Scene) -> Ended:
        return scene.run(scene.ada, "init", "--name", "Ada")

    def check(self, scene: Scene, how: Ended) -> None:
        ada, made = scene.ada, how.last("person")
        if folder.state(ada.profile) is folder.ProfileState.NEW:
            scene.holds("kept", not made, "the profile that was printed is gone")
            scene.truthful(False, how, "there is a profile")
            again = ada.run("init", "--name", "Ada")
            scene.holds("opens", again.status == 0, f"init cannot be repeated: {again.err}")
        else:
            scene.truthful(True, how, "there is a profile")
        scene.sound(ada)
        with scene.opened(ada.profile) as database:
            own = keys.read_own(database).person.hex()
        scene.holds("kept", made in (None, own), "the person is another than the one that was printed")
        left = {path.name for path in ada.profile.iterdir()} - {
            "header",
            "history.db",
            "history.db-schema",
            "lock",
            folder.RESERVE,
        }
        if how.status == KILLED or any(part.endswith("engine.sock") for part in scene.under):
            left -= {"engine.sock"}  # nothing could remove it, and the next engine replaces it
        scene.holds("clean", not left, f"files are left: {left}")


class Passphrase(Flow):
    """One of both passphrases opens the profile, and it is the one that the program says."""

    name = "passphrase"
    needs = "paired"
    new: ClassVar[str] = "another one of several words"

    def play(self, scene: Scene) -> Ended:
        file = scene.folder / "new"
        file.touch(0o600)
        file.write_text(f"{self.new}\n")
        return scene.run(scene.ada, "passphrase", "--new-passphrase-file", str(file))

    def check(self, scene: Scene, how: Ended) -> None:
        ada = scene.ada
        try:
            profile.unlock(ada.profile, PASSPHRASE).close()
            now = PASSPHRASE
        except WrongPassphrase:
            now = self.new
        changed = now == self.new
        scene.holds("kept", changed or how.last("changed") is None, "the new passphrase does not open it")
        scene.truthful(changed, how, "the passphrase is changed")
        if changed:
            ada.options = ("--passphrase-file", str(scene.folder / "new"))
        scene.sound(ada, now)
        again = ada.run("passphrase", "--new-passphrase-file", str(scene.folder / "passphrase"))
        scene.holds("repeats", again.status == 0, f"it cannot be repeated: {again.err}")
        scene.sound(scene.ada)


class Migrate(Flow):
    """A database of an earlier release says what it said, with the schema of a later one."""

    name = "migrate"
    needs = "old"
    program: ClassVar[tuple[str, ...]] = (sys.executable, "-m", "tests.support.storage.later")

    def play(self, scene: Scene) -> Ended:
        return scene.run(self._ada(scene), "contacts", "list")

    def _ada(self, scene: Scene) -> Station:
        ada = _of_kept(scene.ada)
        ada.program = self.program
        return ada

    def check(self, scene: Scene, how: Ended) -> None:
        ada = self._ada(scene)
        listed = ada.run("contacts", "list")
        scene.holds("opens", listed.status == 0, f"it does not open: {listed.err}")
        scene.holds("kept", how.status != 0 or how.said == listed.out.splitlines(), "the contacts differ")
        expected = json.loads((ada.profile / released.EXPECTED).read_text("utf-8"))
        with closing(_database(ada)) as database:
            version = migrations.version(database)
            scene.holds("opens", version == later.LATER.version, f"it has schema {version}")
            scene.holds("opens", database.integrity() == (), f"unsound: {database.integrity()}")
            now = json.loads(json.dumps(released.contents(database)))
        lost = [
            name for name in sorted(expected.keys() - _TIDIED) if not released.says(now[name], expected[name])
        ]
        scene.holds("kept", not lost, f"it says something else of {lost}")


_TIDIED: Final = {"cleaning is due", "files without a key"}
"""What an engine ends in its own time."""


def let_end(station: Station) -> None:
    """Make the kept profile and start it once: what has ended is gone, and later starts end nothing."""
    shutil.copytree(released.FOLDER / "v0001", station.profile)
    assert _of_kept(station).run("contacts", "list").status == 0
    with closing(_database(station)) as database:
        said = json.dumps(released.contents(database))
    (station.profile / released.EXPECTED).write_text(said, "utf-8")


def _of_kept(station: Station) -> Station:
    file = station.profile.with_name("old")
    file.touch(0o600)
    file.write_text(f"{released.PASSPHRASE}\n")
    station.options = ("--passphrase-file", str(file))
    return station


def _database(station: Station) -> Database:
    """The database as it is, of whichever release."""
    key = bytes.fromhex((station.profile / released.KEY).read_text())
    return Database(station.profile / folder.DATABASE, key)


class RecoveryConfirm(Flow):
    """The recovery words are here or erased, never in between."""

    name = "recovery confirm"
    needs = "paired"
    serves = True  # the words are shown while the engine starts, which writes

    def play(self, scene: Scene) -> Ended:
        with scene.victim(scene.ada, "recovery") as program:
            confirm_words(program)
            return ended(program)

    def check(self, scene: Scene, how: Ended) -> None:
        ada, words = scene.ada, (scene.folder / "words").read_text().split()
        seed = bytes.fromhex((scene.folder / "seed").read_text())
        if how.last("erased"):
            left = scene.left(ada.profile, [seed])
            scene.holds("erased", not left, f"the seed is in {left}")
        with scene.opened(ada.profile) as database:
            erased = keys.read_own(database).recovery_seed is None
        scene.holds("kept", erased or not how.last("erased"), "the words are back")
        scene.holds("kept", how.last("words") in (None, words), "the words were others")
        scene.truthful(erased, how, "the words are erased")
        scene.sound(ada)
        if not erased:
            with ada.start("recovery") as program:
                confirm_words(program)
                again = ended(program)
            scene.holds("repeats", again.status == 0, f"it cannot be repeated: {again.complaint}")


def confirm_words(program: Program) -> list[str]:
    """Type the words that are asked for, where the program comes as far. Returns all that it showed."""
    if (first := program.first(PATIENCE)) is None:
        return []
    shown = json.loads(first)
    words: list[str] = shown["words"]
    answer(program, "".join(f"{words[number - 1]}\n" for number in shown["asked"]))
    return words


NEW = "new words"
"""The file with the words that a recovery has shown."""


class RecoveryUse(Flow):
    """The recovery is signed as a whole or not at all: the new words are in force, or the old ones are."""

    name = "recovery use"
    needs = "paired"
    serves = True  # contacts get the recovery, and the file is cleaned

    def play(self, scene: Scene) -> Ended:
        (scene.folder / NEW).unlink(missing_ok=True)
        with scene.victim(scene.ada, "recovery", "use") as program:
            with suppress(BrokenPipeError):  # it died before it read
                program.write((scene.folder / "words").read_text() + "\n")
            if shown := confirm_words(program):
                (scene.folder / NEW).write_text(" ".join(shown))
            return ended(program)

    def check(self, scene: Scene, how: Ended) -> None:
        ada = scene.ada
        with scene.opened(ada.profile) as database:
            own = keys.read_own(database).person
            operations = map(parse_operation, persons.operations_of(database, own))
            used = sum(isinstance(one.operation, Recover) for one in operations)
        scene.holds("kept", used or not how.last("recovered"), "the recovery is gone")
        scene.truthful(used > 0, how, "the recovery is there")
        scene.sound(ada)
        old, new = scene.folder / "words", scene.folder / NEW
        scene.holds("kept", new.exists() or not used, "it was signed before its words were shown")
        holds, others = (new, old) if used else (old, new)
        for file, status in ((others, 64), (holds, 0)):
            if file.exists():
                again = ada.run("recovery", "use", "--same-words", typed=file.read_text() + "\n")
                scene.holds("repeats", again.status == status, f"by {file.name}: {again.err}")
