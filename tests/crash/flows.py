"""The flows that faults strike, each with what has to hold when its program has died, failed or gone on."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from chat.interface import ParlourError
from chat.storage import contacts, keys, persons, profile
from chat.storage import folder as stored_folder
from chat.storage.errors import StorageMisuse, WrongPassphrase
from protocol.identity.author import recovery_words
from protocol.identity.log import Recover, parse_operation
from tests.crash.points import KILLED
from tests.support.cli.line import PASSPHRASE
from tests.support.e2e.programs import (
    PARLOUR,
    PATIENCE,
    Station,
    created,
    first_to_end,
    invited,
    listening,
    pair,
    settle,
    settle_pairing,
    wait_event,
)
from tests.support.lab.hosts import Host
from tests.support.lab.inspection import residues
from tests.support.lab.programs import Program, Silent
from tests.support.storage import released

TOLD_WITHIN: Final = 30.0
"""Seconds in which each side of a pairing says how it ended."""

LIVES_WITHIN: Final = "45"
"""Seconds in which an engine that had a failure takes what comes next."""

NEEDLE: Final = "quagga zephyrneedlexylophonists"
TAIL: Final = b"lexylophonists"
"""The end of a word, which the index of the search does not compress."""

_DENIES: Final = re.compile(
    r"\bnothing (?:\w+ )*?was (?:stored|erased|signed|changed|deleted|done)", re.IGNORECASE
)
_CLAIMS: Final = re.compile(
    "profile was created|passphrase was changed|after this was stored|history no longer shows it"
)
_INTERNAL: Final = re.compile("internal error|Traceback|failed in the background")


@dataclass
class Ended:
    """How the program ended, and what it said."""

    status: int = 0
    said: list[str] = field(default_factory=list)
    complained: list[str] = field(default_factory=list)
    struck: bool = False
    """Whether the program was killed, where this is another's end."""

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.said]

    @property
    def complaint(self) -> str:
        return " ".join(self.complained)

    @property
    def denies(self) -> bool:
        """Whether it says that it changed nothing."""
        return _DENIES.search(self.complaint) is not None

    @property
    def claims(self) -> bool:
        """Whether it says that it did what it was to do, in spite of a failure."""
        return _CLAIMS.search(self.complaint) is not None

    def last(self, name: str) -> object:
        """A field of the last line that has it, or None."""
        return next((line[name] for line in reversed(self.objects) if name in line), None)


@dataclass
class Scene:
    """One run of a flow in a folder of its own, and what it showed to be broken: laws with how."""

    folder: Path
    hosts: Sequence[Host]
    under: tuple[str, ...] = ()
    program: tuple[str, ...] = PARLOUR
    lasting: bool = False
    """Whether the fault goes on, so that nothing new can be stored."""
    broken: list[tuple[str, str]] = field(default_factory=list)

    def station(self, name: str, host: int = 0) -> Station:
        return Station(name, self.folder, self.hosts[host])

    @property
    def ada(self) -> Station:
        return self.station("Ada")

    @property
    def ben(self) -> Station:
        return self.station("Ben", 1)

    def victim(self, station: Station, *arguments: str) -> Program:
        """Start the program that the fault strikes."""
        station.program = self.program
        program = station.start(*arguments, under=self.under)
        station.program = PARLOUR
        return program

    def run(self, station: Station, *arguments: str, typed: str = "") -> Ended:
        """Run the program that the fault strikes to its end."""
        with self.victim(station, *arguments) as program:
            answer(program, typed)
            return ended(program)

    def holds(self, law: str, condition: object, how: str) -> None:
        if not condition:
            self.broken.append((law, how))

    def sound(self, station: Station, passphrase: str = PASSPHRASE) -> None:
        """The profile opens, for the program too, and every page of it is sound."""
        listed = station.run("terminal", "list")
        self.holds("opens", listed.status == 0, f"the profile does not open: {listed.err}")
        with self.opened(station.profile, passphrase) as database:
            self.holds("opens", database.integrity() == (), f"unsound: {database.integrity()}")

    @contextmanager
    def opened(self, folder: Path, passphrase: str = PASSPHRASE) -> Any:
        with profile.unlock(folder, passphrase) as vault, closing(vault.database()) as database:
            yield database

    def stored(self, station: Station) -> set[str]:
        """The ids of all entries that are stored."""
        with self.opened(station.profile) as database:
            return {id.hex() for (id,) in database.rows("SELECT id FROM entries")}

    def left(self, folder: Path, needles: Iterable[bytes]) -> list[str]:
        """Pages and frames that hold one of these, before anything else opens the profile."""
        with profile.unlock(folder, PASSPHRASE) as vault:
            key = vault._open_key().reveal()
        return [place for needle in needles for place in residues(folder / "history.db", key, needle)]

    def truthful(self, done: bool, how: Ended, what: str) -> None:
        """What the program said agrees with what is there after a restart."""
        self.holds("truth", not (done and how.denies), f"{what}, and it said: {how.complaint}")
        self.holds("truth", done or not how.claims, f"not {what}, and it said: {how.complaint}")


def ended(program: Program, seconds: float = PATIENCE) -> Ended:
    return Ended(program.wait_exit(seconds), program.said, program.complained)


def status_of(program: Program) -> int | None:
    """Its exit status, None while it runs. Its parent may hear of its end later than its tracer."""
    if program.process.poll() is None:
        with os.fdopen(os.pidfd_open(program.pid)) as handle:
            if not select.select([handle], [], [], 0)[0]:
                return None
    return program.wait_exit(PATIENCE)


def answer(program: Program, typed: str) -> None:
    try:
        program.write(typed)
        program.end_input()
    except BrokenPipeError:
        pass  # it died before it read


def outcome(scene: Scene, how: Ended) -> None:
    """What holds for every flow's program: a failure has a status and a line about it."""
    scene.holds("said", not _INTERNAL.search(how.complaint), f"an internal error: {how.complaint}")
    scene.holds(
        "said",
        how.status in (0, KILLED) or how.complaint,
        f"status {how.status} without a word about it",
    )


class Flow(ABC):
    """One flow: `prepare` once, then `play` and `check` in a copy for each point."""

    name: ClassVar[str]
    victim: ClassVar[str] = "ada"
    needs: ClassVar[str] = ""
    """The preparation that it begins with: several flows share one."""
    serves: ClassVar[bool] = False
    """Its program goes on with other work, so that a line may come amid a commit of something else."""

    @abstractmethod
    def play(self, scene: Scene) -> Ended:
        """Run the program that the fault strikes, and what it meets."""

    @abstractmethod
    def check(self, scene: Scene, how: Ended) -> None:
        """Tell the scene which laws are broken."""


class Init(Flow):
    """A profile is there or not, and the program says which."""

    name = "init"

    def play(self, scene: Scene) -> Ended:
        return scene.run(scene.ada, "init", "--name", "Ada")

    def check(self, scene: Scene, how: Ended) -> None:
        ada, made = scene.ada, how.last("person")
        if stored_folder.state(ada.profile) is stored_folder.ProfileState.NEW:
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
            "lock",
            stored_folder.RESERVE,
        }
        left -= {"engine.sock"} if how.status == KILLED else set()  # the next engine replaces it
        scene.holds("clean", not left, f"files are left: {left}")


class Pairing(Flow):
    """Both are contacts of each other or can repeat it, and then they talk."""

    needs = "two"
    serves = True

    def play(self, scene: Scene) -> Ended:
        ada, ben, strikes_ada = scene.ada, scene.ben, self.victim == "ada"
        lines = ("invite", "--yes"), ("join",)
        with scene.victim(ada, *lines[0]) if strikes_ada else ada.start(*lines[0]) as inviting:
            said = inviting.first(PATIENCE)
            if said is None:
                return ended(inviting)
            joined = (*lines[1], invited(said))
            with ben.start(*joined) if strikes_ada else scene.victim(ben, *joined) as joining:
                how = self._until_over(scene, inviting, joining)
        return how

    def _until_over(self, scene: Scene, inviting: Program, joining: Program) -> Ended:
        """Each side ends within the time, but for one whose other side was killed."""
        struck, other = (inviting, joining) if self.victim == "ada" else (joining, inviting)
        for program in (joining, inviting):
            if joining.process.poll() == KILLED:
                inviting.process.terminate()  # it would wait for the joiner until the invitation expires
            try:
                program.wait_exit(TOLD_WITHIN)
            except Silent:
                # The inviter cannot know of a joiner that failed before it came.
                met = struck is inviting or "used the invitation" in " ".join(inviting.complained)
                side = "inviter" if program is inviting else "joiner"
                scene.holds(
                    "told",
                    program is inviting and not met,
                    f"the {side} does not hear that the pairing has ended",
                )
                program.process.terminate()
                program.wait_exit(PATIENCE)
        outcome(scene, ended(other))
        return ended(struck)

    def check(self, scene: Scene, how: Ended) -> None:
        paired, stored = {}, {}
        for name, station in (("ada", scene.ada), ("ben", scene.ben)):
            with scene.opened(station.profile) as database:
                paired[name] = bool(contacts.all(database))
                stored[name] = paired[name] or bool(contacts.pending(database))
        scene.holds("kept", paired[self.victim] or not how.last("paired"), "the printed contact is gone")
        scene.holds("kept", stored[self.victim] or not any(paired.values()), "only the other has the contact")
        if not scene.broken:
            settle_pairing(scene.ada, scene.ben)


class Inviting(Pairing):
    name = "pairing, inviter"


class Joining(Pairing):
    name = "pairing, joiner"
    victim = "ben"


class Send(Flow):
    """What was printed is in the history and comes to the other; the entry stays queued until then."""

    name = "send"
    needs = "paired"

    def __init__(self) -> None:
        self.tried: dict[str, Ended] = {}

    def play(self, scene: Scene) -> Ended:
        with listening(scene.ben):
            self.tried["hello"] = scene.run(scene.ada, "send", "Ben", "hello", "--wait", "20")
        return self.tried["hello"]

    def check(self, scene: Scene, how: Ended) -> None:
        stored = scene.stored(scene.ada)
        texts = [text for _, text in settle(scene.ada, scene.ben)]
        for text, tried in self.tried.items():
            printed = tried.last("id")
            scene.holds("kept", printed is None or printed in stored, f"{printed} was printed and is gone")
            scene.holds("kept", printed is None or text in texts, f"{text} was printed and did not come")
            scene.truthful(text in texts, tried, f"{text} is there")


class SendToEngine(Send):
    """The same of an engine that another command holds, which dies later with what a failure left."""

    name = "send, to an engine"
    serves = True

    def play(self, scene: Scene) -> Ended:
        with listening(scene.ben), scene.victim(scene.ada, "listen") as struck:
            if struck.first(PATIENCE) is None:
                return ended(struck)
            for text in ("hello", "again", "and again"):  # the fault strikes one at most
                with scene.ada.start("send", "Ben", text, "--wait", LIVES_WITHIN) as sending:
                    self.tried[text] = ended(sending)
            status, failed = status_of(struck), [one for one in self.tried.values() if one.status]
            scene.holds("lives", status in (None, KILLED), f"the engine ended: {struck.complained}")
            takes = scene.lasting or status == KILLED or len(failed) < 2
            scene.holds("lives", takes, f"it takes nothing any more: {failed}")
            struck.kill()
            first = self.tried["hello"]
            return Ended(first.status, first.said, first.complained, struck=status == KILLED)


class Receive(Flow):
    """What the sender shows as delivered is there; an engine that lives takes what comes next."""

    name = "receive"
    victim = "ben"
    needs = "paired"
    serves = True

    def __init__(self) -> None:
        self.delivered: list[str] = []

    def play(self, scene: Scene) -> Ended:
        with (
            scene.victim(scene.ben, "listen") as struck,
            scene.ada.start("send", "Ben", "hello", "--wait", LIVES_WITHIN) as sending,
        ):
            if first_to_end(struck, sending) is sending:
                if not scene.lasting:
                    self._goes_on(scene, struck, sending)
                struck.process.terminate()
            sending.process.terminate()
            sending.wait_exit(PATIENCE)
            shown = [json.loads(line) for line in sending.said]
            self.delivered = [one["id"] for one in shown if one["state"] == "delivered"]
            return ended(struck)

    def _goes_on(self, scene: Scene, struck: Program, sending: Program) -> None:
        state = json.loads(sending.said[-1])["state"] if sending.said else "nothing"
        scene.holds("lives", state == "delivered", f"after the failure the entry is {state}")
        again = scene.ada.run("send", "Ben", "again", "--wait", LIVES_WITHIN)
        status = status_of(struck)
        how = "the engine takes nothing any more" if status is None else "the engine died"
        scene.holds("lives", again.status == 0 or status == KILLED, f"{how}: {again}")

    def check(self, scene: Scene, how: Ended) -> None:
        ready = any(line.get("event") == "ready" for line in how.objects)
        scene.holds("lives", not ready or how.status in (0, KILLED), f"the engine ended: {how.complaint}")
        stored = scene.stored(scene.ben)
        scene.holds("kept", stored.issuperset(self.delivered), "an entry was shown as delivered and is gone")
        if not scene.broken:
            settle(scene.ada, scene.ben)


class Delete(Flow):
    """Deleted is deleted: neither shown again nor in any page."""

    name = "delete"
    needs = "paired"

    def play(self, scene: Scene) -> Ended:
        return scene.run(scene.ada, "delete", "Ben", self._entry(scene), "--yes")

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
        again = scene.ada.run("delete", "Ben", id, "--yes")
        scene.holds("repeats", again.status == 0, f"it cannot be repeated: {again.err}")
        left = scene.left(scene.ada.profile, [TAIL])
        scene.holds("erased", not left, f"after a repetition the text is in {left}")
        scene.sound(scene.ada)


class Passphrase(Flow):
    """One of both passphrases opens the profile, and it is the one that the program says."""

    name = "passphrase"
    needs = "paired"
    new: ClassVar[str] = "another one of several words"

    def play(self, scene: Scene) -> Ended:
        file = scene.folder / "new"
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
        return scene.run(scene.ada, "recovery", "use", "--force", typed=self._words(scene))

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
        again = ada.run("recovery", "use", "--force", typed=self._words(scene))
        scene.holds("repeats", again.status == 0, f"it cannot be repeated: {again.err}")


FLOWS: Final[dict[str, type[Flow]]] = {
    flow.name: flow
    for flow in (
        Init,
        Inviting,
        Joining,
        Send,
        SendToEngine,
        Receive,
        Delete,
        Passphrase,
        Migrate,
        RecoveryConfirm,
        RecoveryUse,
    )
}


def prepare(need: str, folder: Path, hosts: Sequence[Host]) -> None:
    """The profiles with which flows begin, to be copied."""
    folder.mkdir(parents=True)
    if need == "old":
        shutil.copytree(released.FOLDER / "v0001", folder / "ada")
    elif need:
        stations = created(folder, hosts, "Ada", "Ben")
        if need == "paired":
            _talk(folder, *stations)


def _talk(folder: Path, ada: Station, ben: Station) -> None:
    """Both are paired and have three entries, one to be deleted; the recovery words are noted."""
    pair(ada, ben)
    with listening(ada, ben) as (one, _):
        ada.say("the first")
        (folder / "needle").write_text(ada.say(NEEDLE))
        wait_event(one, "state", id=ada.say("the last"), state="delivered")
    with profile.unlock(ada.profile, PASSPHRASE) as vault, closing(vault.database()) as database:
        seed = keys.read_own(database).recovery_seed
    assert seed is not None
    (folder / "seed").write_text(seed.hex())
    (folder / "words").write_text(" ".join(recovery_words(seed)))


def judge(flow: Flow, scene: Scene) -> Ended:
    """Play and check; everything that is broken is in the scene."""
    how = Ended()
    try:
        how = flow.play(scene)
        outcome(scene, how)
        flow.check(scene, how)
    except Silent as silent:
        scene.broken.append(("liveness", str(silent)))
    except (AssertionError, ParlourError, StorageMisuse, TimeoutError) as failure:
        law = "opens" if isinstance(failure, ParlourError | StorageMisuse) else "settles"
        scene.broken.append((law, f"{type(failure).__name__}: {failure}"))
    return how
