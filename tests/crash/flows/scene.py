"""One run of a flow: what the program said, the profiles that it left, and what was broken of the laws."""

from __future__ import annotations

import json
import os
import re
import select
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from chat.interface import ParlourError
from chat.storage import profile
from chat.storage.errors import StorageMisuse
from tests.crash.points import KILLED
from tests.support.cli.line import PASSPHRASE
from tests.support.e2e.programs import PARLOUR, PATIENCE, Station
from tests.support.lab.hosts import Host
from tests.support.lab.inspection import residues
from tests.support.lab.programs import Program, Silent

LIVES_WITHIN: Final = "45"
"""Seconds in which an engine that had a failure takes what comes next."""

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
    program: ClassVar[tuple[str, ...]] = PARLOUR
    """The program that the fault strikes."""
    serves: ClassVar[bool] = False
    """Its program goes on with other work, so that a line may come amid a commit of something else."""

    @abstractmethod
    def play(self, scene: Scene) -> Ended:
        """Run the program that the fault strikes, and what it meets."""

    @abstractmethod
    def check(self, scene: Scene, how: Ended) -> None:
        """Tell the scene which laws are broken."""


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
