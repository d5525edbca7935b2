"""`python -m tests.soak.files`: a large file and many small ones between two programs. Exits with 1.

The cable is pulled every few seconds, and either program is killed at moments of the large file; once the
disk of the one who takes it is full. All must be whole in the end, and what was stored must not come again.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from chat.interface import WITHOUT_ASKING, Closed, EntryView, FileState, Messenger, ParlourError
from chat.service.transfers import AHEAD, ASKED, PENDING_MAX
from protocol.limits import PIECE_BYTES
from tests.support.e2e.pieces_noted import WHERE, twice
from tests.support.e2e.programs import Station, end, pair, wait_event
from tests.support.lab.hosts import Lab
from tests.support.lab.programs import Program

LOOKS_EVERY = 0.005
CUT_FOR = 1.0
FULL_FOR = 3.0
PATIENCE = 3_600.0


@dataclass
class Outcome:
    """How often the disk was `filled`; `twice`: pieces that came whole again; `stored_again`: those of them
    that had been stored before.
    """

    cuts: int = 0
    filled: int = 0
    kills: dict[str, int] = field(default_factory=lambda: {"Ada": 0, "Ben": 0})
    twice: int = 0
    stored_again: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def problems(self) -> list[str]:
        """A piece in the memory of a program that is killed may come again, and one for each cut."""
        most = self.cuts + self.kills["Ada"] + self.kills["Ben"] * (PENDING_MAX + 1)
        most += self.filled * (ASKED * AHEAD + PENDING_MAX)  # which came while the disk was full
        found = list(self.faults)
        if self.stored_again:
            found.append(f"{self.stored_again} pieces came again that had been stored")
        if self.twice > most:
            found.append(f"{self.twice} pieces came twice, at most {most} may")
        return found


class Two:
    """Ada, who sends, and Ben, on two hosts; `notes`: what Ben's program notes of pieces."""

    def __init__(self, lab: Lab, folder: Path, stack: ExitStack) -> None:
        self.lab, self.folder, self.notes = lab, folder, folder / "notes"
        self.outcome = Outcome()
        self._stack = stack
        os.environ[WHERE] = str(self.notes)
        self.notes.touch()
        program = sys.executable, "-m", "tests.support.e2e.pieces_noted"
        self.ada, self.ben = (
            Station(name, folder, host, program).create()
            for name, host in zip(("Ada", "Ben"), lab.hosts, strict=True)
        )
        pair(self.ada, self.ben)
        self.running = dict[str, Program]()
        for station in (self.ada, self.ben):
            self.start(station)
        self.ben.ask(lambda one: one.set_preference(WITHOUT_ASKING, "1000000"))

    def start(self, station: Station) -> None:
        program = self._stack.enter_context(station.start("listen"))
        wait_event(program, "ready")
        self.running[station.name] = program

    def send(self, path: Path) -> EntryView:
        (friend,) = self.ada.contacts()
        return self.ada.ask(lambda one: one.send_file(friend.person, str(path)))

    def stored(self) -> int:
        return self.notes.read_bytes().count(b"stored ")

    def wait_stored(self, count: int) -> None:
        until = time.monotonic() + PATIENCE
        while self.stored() < count and time.monotonic() < until:
            threading.Event().wait(LOOKS_EVERY)

    def kill(self, station: Station) -> None:
        self.running[station.name].kill()
        self.outcome.kills[station.name] += 1
        self.start(station)

    def cut(self) -> None:
        self.lab.cut(self.lab.hosts[1])
        self.outcome.cuts += 1
        threading.Event().wait(CUT_FOR)
        self.lab.heal(self.lab.hosts[1])

    def until_whole(self, entries: Sequence[EntryView], sources: Sequence[Path]) -> None:
        """Wait until Ben holds all of these files, and compare what he saves with their sources."""
        target = self.folder / "saved"
        target.mkdir(exist_ok=True)
        for entry, source in zip(entries, sources, strict=True):
            path = self.ben.ask(lambda one, entry=entry: _saved(one, entry, target))  # type: ignore[misc]
            if _digest(Path(path)) != _digest(source):
                self.outcome.faults.append(f"{source.name} is another file")
            Path(path).unlink()

    def finish(self) -> Outcome:
        end(*self.running.values())
        self.outcome.twice, self.outcome.stored_again = twice(self.notes)
        return self.outcome


async def _saved(ben: Messenger, entry: EntryView, target: Path) -> str:
    (writer,) = await ben.contacts()
    events = ben.events()
    async with asyncio.timeout(PATIENCE):
        while True:
            held = await ben.entry(writer.person, entry.id)
            if held is not None and held.file is not None and held.file.state is FileState.WHOLE:
                return await ben.save_file(writer.person, entry.id, str(target))
            if held is not None and held.file is not None and held.file.state is not FileState.TAKING:
                await ben.take_file(writer.person, entry.id)
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    if isinstance(await anext(events), Closed):
                        raise ParlourError


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def carry(folder: Path, size: int, acts: Sequence[tuple[float, str]]) -> Outcome:
    """One file of so many bytes; at each part of it one of: cut, kill Ada, kill Ben."""
    source = folder / "large"
    source.write_bytes(os.urandom(size))
    with Lab(2) as lab, ExitStack() as stack:
        two = Two(lab, folder, stack)
        entry = two.send(source)
        for part, act in acts:
            two.wait_stored(int(part * size / PIECE_BYTES))
            if act == "cut":
                two.cut()
            else:
                two.kill(two.ada if act == "Ada" else two.ben)
        two.until_whole([entry], [source])
        return two.finish()


@contextmanager
def _cable(two: Two, every: float) -> Iterator[None]:
    """Pull the cable every so many seconds during the block."""
    over = threading.Event()

    def pull() -> None:
        while not over.wait(every):
            two.cut()

    thread = threading.Thread(target=pull)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of so many bytes at a folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(two: Two, count: int) -> None:
    """Let the disk be full for some seconds while the file comes."""
    two.wait_stored(count)
    two.outcome.filled += 1
    filler = two.ben.profile / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    threading.Event().wait(FULL_FOR)
    filler.unlink()
    two.ben.ask(_take_again)


async def _take_again(ben: Messenger) -> None:
    """The disk was full, which has paused the file."""
    (writer,) = await ben.contacts()
    for entry in await ben.history(writer.person):
        await ben.take_file(writer.person, entry.id)


def soak(folder: Path, mebibytes: int, files: int, kills: int, every: float) -> Outcome:
    """A file of so many MiB with kills and cuts, then so many small ones with cuts."""
    size, began = mebibytes << 20, time.monotonic()
    source, small = folder / "large", folder / "small"
    with source.open("wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(1 << 20))
    with ExitStack() as stack:
        stack.enter_context(_small_disk(folder / "ben", size + size // 50 + (400 << 20)))
        lab = stack.enter_context(Lab(2))
        two = Two(lab, folder, stack)
        entry = two.send(source)
        acts: list[tuple[float, Callable[[], None]]] = [
            ((number + 1) / (kills + 1), lambda one=one: two.kill(one))  # type: ignore[misc]
            for number, one in zip(range(kills), [two.ada, two.ben] * kills, strict=False)
        ]
        with _cable(two, every):
            for number, (part, act) in enumerate(acts):
                two.wait_stored(int(part * size / PIECE_BYTES))
                act()
                if number == kills // 2:
                    _fill(two, int((part + 0.01) * size / PIECE_BYTES))
            two.until_whole([entry], [source])
            sent, sources = list[EntryView](), list[Path]()
            for number in range(files):
                path = small.with_name(f"small {number}")
                path.write_bytes(os.urandom(1 + number % 2_000))
                sent.append(two.send(path))
                sources.append(path)
            two.until_whole(sent, sources)
        outcome = two.finish()
        outcome.seconds = time.monotonic() - began
        return outcome


def main() -> int:
    """Run it, print what is wrong, and return the exit status."""
    parser = argparse.ArgumentParser(prog="tests.soak.files")
    parser.add_argument("--mebibytes", type=int, default=1_024)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cut-every", type=float, default=5.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parlour-soak-") as folder:
        outcome = soak(Path(folder), chosen.mebibytes, chosen.files, chosen.kills, chosen.cut_every)
    found = outcome.problems()
    sys.stdout.write(f"{outcome}\n")
    for line in found:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(found)} violations\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
