"""Flows of one profile: its creation, passphrase and recovery, and a database of the first release."""

from __future__ import annotations

import json
from typing import ClassVar

from chat.storage import folder, keys, persons, profile
from chat.storage.errors import WrongPassphrase
from protocol.identity.log import Recover, parse_operation
from tests.crash.flows.scene import Ended, Flow, Scene, answer, ended
from tests.crash.points import KILLED
from tests.support.cli.line import PASSPHRASE
from tests.support.e2e.programs import PATIENCE, Station
from tests.support.lab.programs import Program
from tests.support.storage import released


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
    """A database of the first release says what it said, with the schema of now."""

    name = "migrate"
    needs = "old"

    def play(self, scene: Scene) -> Ended:
        return scene.run(self._ada(scene), "contacts", "list")

    def _ada(self, scene: Scene) -> Station:
        ada = scene.ada
        (scene.folder / "old").touch(0o600)
        (scene.folder / "old").write_text(f"{released.PASSPHRASE}\n")
        ada.options = ("--passphrase-file", str(scene.folder / "old"))
        return ada

    def check(self, scene: Scene, how: Ended) -> None:
        ada = self._ada(scene)
        listed = ada.run("contacts", "list")
        scene.holds("opens", listed.status == 0, f"it does not open: {listed.err}")
        scene.holds("kept", how.status != 0 or how.said == listed.out.splitlines(), "the contacts differ")
        scene.sound(ada, released.PASSPHRASE)
        expected = json.loads((ada.profile / released.EXPECTED).read_text("utf-8"))
        with scene.opened(ada.profile, released.PASSPHRASE) as database:
            now = json.loads(json.dumps(released.contents(database)))
        lost = [
            name
            for name, then in expected.items()
            if name != "cleaning is due" and not _says(now[name], then)
        ]
        scene.holds("kept", not lost, f"it says something else of {lost}")


def _says(now: object, then: object) -> bool:
    """Whether everything that was said then is said now; later versions may say more of a row."""
    if isinstance(now, dict) and isinstance(then, dict):
        return all(name in now and _says(now[name], value) for name, value in then.items())
    if isinstance(now, list) and isinstance(then, list):
        return len(now) == len(then) and all(map(_says, now, then))
    return now == then


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


def confirm_words(program: Program) -> None:
    """Type the words that are asked for, where the program comes as far."""
    if (first := program.first(PATIENCE)) is not None:
        shown = json.loads(first)
        answer(program, "".join(f"{shown['words'][number - 1]}\n" for number in shown["asked"]))


class RecoveryUse(Flow):
    """The recovery is signed as a whole or not at all, and can then be done."""

    name = "recovery use"
    needs = "paired"
    serves = True  # contacts get the recovery, and the file is cleaned

    def play(self, scene: Scene) -> Ended:
        return scene.run(scene.ada, "recovery", "use", typed=self._words(scene))

    def _words(self, scene: Scene) -> str:
        return (scene.folder / "words").read_text() + "\n"

    def check(self, scene: Scene, how: Ended) -> None:
        ada = scene.ada
        with scene.opened(ada.profile) as database:
            own = keys.read_own(database).person
            operations = map(parse_operation, persons.operations_of(database, own))
            used = sum(isinstance(one.operation, Recover) for one in operations)
        scene.holds("kept", used or not how.last("recovered"), "the recovery is gone")
        scene.truthful(used > 0, how, "the recovery is there")
        scene.sound(ada)
        again = ada.run("recovery", "use", typed=self._words(scene))
        scene.holds("repeats", again.status == 0, f"it cannot be repeated: {again.err}")
