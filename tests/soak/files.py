"""`python -m tests.soak.files`: a large file and a folder of many small ones between two programs in a lab.

For a minute the cable is pulled every five seconds, either program is killed at drawn moments, and once the
disk of the one who takes the files is full. All must be whole in the end, by their roots and by their
content. A ledger says which pieces went again after which cut or kill. Exits with 1.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import Struct

from chat.interface import WITHOUT_ASKING, FileState, Messenger, ParlourError
from chat.ports import SystemClock
from chat.storage import files, profile
from chat.storage.pieces import Pieces
from protocol.attachments import shape_of
from protocol.limits import PIECE_BYTES
from tests.soak.ledger import FULL, ROOM, Ledger, ledger
from tests.support.cli.line import PASSPHRASE
from tests.support.e2e.pieces_noted import WHERE
from tests.support.e2e.programs import Station, end, pair, wait_event, whole_history
from tests.support.lab.hosts import Lab
from tests.support.lab.programs import Program

LOOKS_EVERY = 0.005
CUT_FOR = 0.2, 3.0
FULL_FOR = 3.0
STILL_FOR = 3.0
PATIENCE = 3_600.0
SMALL_MAX = 8 << 10
IN_A_FOLDER = 100
SAID_EVERY = 10.0

COMES: Final = frozenset({FileState.TAKING, FileState.WHOLE})


class Plan(Struct, frozen=True):
    """What is sent, and what happens meanwhile: cuts so many seconds after another."""

    mebibytes: int
    files: int
    kills: int
    cut_every: float
    cut_until: float
    seed: int


@dataclass
class Outcome:
    """How often the disk was `filled`, bytes that Ada's host sent (`wire`), and seconds of each part."""

    cuts: int = 0
    filled: int = 0
    kills: dict[str, int] = field(default_factory=lambda: {"Ada": 0, "Ben": 0})
    ledger: Ledger = field(default_factory=Ledger)
    faults: list[str] = field(default_factory=list)
    content: int = 0
    wire: int = 0
    whole: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """What is not as it must be; a piece in the memory of a program that is killed may come again."""
        return [*self.faults, *self.ledger.problems()]


class Source(Struct, frozen=True):
    """A file to send: where it is, and its name with the folders above it."""

    path: Path
    named: str


class Two:
    """Ada, who sends, and Ben, on two hosts; `notes`: what both programs note of pieces."""

    def __init__(self, lab: Lab, folder: Path, stack: ExitStack) -> None:
        self.lab, self.folder, self.notes = lab, folder, folder / "notes"
        self.outcome = Outcome()
        self._stack, self.counted, self._read = stack, 0, 0
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

    def note(self, incident: str) -> None:
        with self.notes.open("ab", buffering=0) as notes:
            notes.write(f"{incident}\n".encode())

    def stored(self) -> int:
        """Pieces that Ben's program has stored."""
        with self.notes.open("rb") as notes:
            notes.seek(self._read)
            lines, _, _ = notes.read().rpartition(b"\n")
        if lines:
            self._read += len(lines) + 1
            self.counted += sum(line.startswith(b"stored ") for line in lines.split(b"\n"))
        return self.counted

    def wait_stored(self, count: int) -> None:
        until = time.monotonic() + PATIENCE
        while self.stored() < count and time.monotonic() < until:
            threading.Event().wait(LOOKS_EVERY)

    def kill(self, station: Station) -> None:
        self.running[station.name].kill()
        self.note(f"kill {station.name}")
        self.outcome.kills[station.name] += 1
        self.start(station)

    def cut(self, seconds: float) -> None:
        self.lab.cut(self.lab.hosts[1])
        self.note("cut")
        self.outcome.cuts += 1
        threading.Event().wait(seconds)
        self.lab.heal(self.lab.hosts[1])

    def fill(self) -> None:
        """Let Ben's disk be full for some seconds while files come."""
        self.outcome.filled += 1
        filler = self.ben.profile / "filler"
        self.note(FULL)
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 20))
        threading.Event().wait(FULL_FOR)
        filler.unlink()
        self.ben.ask(_take_rest)
        self.note(ROOM)

    def until_whole(self, count: int) -> None:
        """Wait until Ben holds so many files, all whole; what the full disk paused is taken again."""
        until, before, moved = time.monotonic() + PATIENCE, -1, 0.0
        while (now := time.monotonic()) < until:
            if (stored := self.stored()) != before:
                before, moved = stored, now
            if now >= moved + STILL_FOR:
                whole, comes = self.ben.ask(_take_rest)
                if whole == count:
                    return
                if not comes:
                    moved = now  # they are not sent yet
            threading.Event().wait(LOOKS_EVERY * 10)
        self.outcome.faults.append("not all files came in time")

    def compare(self, sources: Sequence[Source]) -> None:
        """Compare what Ben saves with what Ada sent."""
        target = self.folder / "saved"
        target.mkdir()
        self.ben.ask(lambda one: _save_all(one, target))
        for source in sources:
            saved = target / source.named
            if not saved.is_file() or _digest(saved) != _digest(source.path):
                self.outcome.faults.append(f"{source.named} is another file")
        extra = sum(path.is_file() for path in target.rglob("*")) - len(sources)
        if extra:
            self.outcome.faults.append(f"{extra} files too many")

    def finish(self) -> Outcome:
        """End both programs, and look at each file on Ben's disk by its root."""
        sent = self.lab.hosts[0].run("cat", "/sys/class/net/eth0/statistics/tx_bytes")
        self.outcome.wire = int(sent)
        end(*self.running.values())
        with self.notes.open(encoding="ascii") as notes:
            self.outcome.ledger = ledger(notes)
        self._check_roots()
        return self.outcome

    def _check_roots(self) -> None:
        with profile.unlock(self.ben.profile, PASSPHRASE) as opened, closing(opened.database()) as database:
            rows, last = list[files.FileRow](), 1 << 62
            while part := files.part_of(database, last):
                rows += filter(None, (files.get(database, one.entry) for one in part))
                last = part[-1].number
        pieces = Pieces(self.ben.profile, lambda: SystemClock().boot()[0])
        for row in rows:
            file = pieces.open(row.place, shape_of(row.body))
            try:
                if file.check(row.body.key, row.body.root) or not file.whole:
                    self.outcome.faults.append(f"{row.body.name} does not prove itself")
                else:
                    self.outcome.whole += 1
            finally:
                file.close(sync=False)


async def _take_rest(ben: Messenger) -> tuple[int, int]:
    """Take what is paused, or asks; returns how many files are whole, and how many come."""
    (writer,) = await ben.contacts()
    found = [(one.id, one.file.state) for one in await whole_history(ben) if one.file is not None]
    for entry in [entry for entry, state in found if state not in COMES]:
        with suppress(ParlourError):  # the disk is full still
            await ben.take_file(writer.person, entry)
    states = [state for _, state in found]
    return states.count(FileState.WHOLE), len(states) - states.count(FileState.WHOLE)


async def _save_all(ben: Messenger, target: Path) -> None:
    (writer,) = await ben.contacts()
    for entry in await whole_history(ben):
        if entry.file is not None:
            await ben.save_file(writer.person, entry.id, str(target))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Sending(threading.Thread):
    """Sends files by Ada's program, one after the other, each again under its id where it was killed."""

    def __init__(self, two: Two, sources: Sequence[Source]) -> None:
        super().__init__(daemon=True)
        self._two, self._sources = two, sources
        self.done, self.seconds = 0, 0.0

    def run(self) -> None:
        began = time.monotonic()
        while self.done < len(self._sources):
            with suppress(ParlourError, OSError):  # it was killed, and is started again
                self._two.ada.ask(self._send)
            threading.Event().wait(LOOKS_EVERY * 10)
        self.seconds = time.monotonic() - began

    async def _send(self, ada: Messenger) -> None:
        (friend,) = await ada.contacts()
        while self.done < len(self._sources):
            source = self._sources[self.done]
            # Drawn bytes begin now and then as a kind of picture does that cannot be cleaned.
            await ada.send_file(
                friend.person, str(source.path), source.named, f"soak-{self.done}", original=True
            )
            self.done += 1


def carry(folder: Path, size: int, acts: Sequence[tuple[float, str]]) -> Outcome:
    """A file of so many bytes, and an empty one; at parts of the first one of: cut, kill Ada, kill Ben."""
    sources = [Source(folder / name, name) for name in ("large", "empty")]
    sources[0].path.write_bytes(os.urandom(size))
    sources[1].path.touch()
    with Lab(2) as lab, ExitStack() as stack:
        two = Two(lab, folder, stack)
        sending = Sending(two, sources)
        sending.start()
        for part, act in acts:
            two.wait_stored(int(part * size / PIECE_BYTES))
            if act == "cut":
                two.cut(1.0)
            else:
                two.kill(two.ada if act == "Ada" else two.ben)
        two.until_whole(len(sources))
        two.compare(sources)
        return two.finish()


@contextmanager
def _cable(two: Two, plan: Plan, drawn: random.Random) -> Iterator[None]:
    """Pull the cable at the moments of the plan during the block."""
    over, began = threading.Event(), time.monotonic()

    def pull() -> None:
        moment = plan.cut_every
        while moment <= plan.cut_until and not over.wait(max(0.0, began + moment - time.monotonic())):
            two.cut(drawn.uniform(*CUT_FOR))
            moment += plan.cut_every

    thread = threading.Thread(target=pull)
    thread.start()
    try:
        yield
        thread.join()
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


def _sources(folder: Path, plan: Plan, drawn: random.Random) -> list[Source]:
    """The large file, and the small ones in folders of a folder."""
    found = [Source(folder / "large", "large")]
    with found[0].path.open("wb") as file:
        for _ in range(plan.mebibytes):
            file.write(drawn.randbytes(1 << 20))
    for number in range(plan.files):
        named = f"small/{number // IN_A_FOLDER:03}/{number:05}"
        path = folder / "sent" / named
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn.randbytes(drawn.randrange(SMALL_MAX)) if number % 50 else b"")
        found.append(Source(path, named))
    return found


def _acts(two: Two, plan: Plan, drawn: random.Random) -> list[tuple[int, Callable[[], None]]]:
    """What happens once so many pieces are stored: the kills, and one full disk during the large file."""
    large = (plan.mebibytes << 20) // PIECE_BYTES
    sides = [two.ada, two.ben] * ((plan.kills + 1) // 2)
    moments = drawn.sample(range(1, max(2, large + plan.files)), plan.kills)
    acts: list[tuple[int, Callable[[], None]]] = [
        (moment, partial(two.kill, one)) for moment, one in zip(moments, sides, strict=False)
    ]
    if plan.kills:
        acts.append((int(large * drawn.uniform(0.2, 0.8)), two.fill))
    return sorted(acts, key=lambda act: act[0])


def soak(folder: Path, plan: Plan) -> Outcome:
    """Send everything, let all of it happen, and wait until all is whole."""
    drawn = random.Random(plan.seed)
    sources, size = _sources(folder, plan, drawn), plan.mebibytes << 20
    room = size + size // 50 + plan.files * (32 << 10) + (400 << 20)
    with ExitStack() as stack:
        stack.enter_context(_small_disk(folder / "ben", room))
        two = Two(stack.enter_context(Lab(2)), folder, stack)
        outcome, sending, began = two.outcome, Sending(two, sources), time.monotonic()
        outcome.content = sum(one.path.stat().st_size for one in sources)
        saying = stack.enter_context(_saying(two, sending))
        sending.start()
        with _cable(two, plan, drawn):
            for moment, act in _acts(two, plan, drawn):
                two.wait_stored(moment)
                act()
        two.until_whole(len(sources))
        sending.join()
        outcome.seconds["sent"] = sending.seconds
        outcome.seconds["whole"] = time.monotonic() - began
        saying.set()
        two.compare(sources)
        outcome.seconds["saved"] = time.monotonic() - began
        return two.finish()


@contextmanager
def _saying(two: Two, sending: Sending) -> Iterator[threading.Event]:
    """Say how far it is until the event is set, or the block ends."""
    over, began = threading.Event(), time.monotonic()

    def say() -> None:
        while not over.wait(SAID_EVERY):
            one = two.outcome
            did = f"{one.cuts} cuts, kills {one.kills}, {one.filled} full"
            passed = time.monotonic() - began
            sys.stdout.write(
                f"{passed:.0f} s: {sending.done} files sent, {two.counted} pieces stored, {did}\n"
            )
            sys.stdout.flush()

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield over
    finally:
        over.set()
        thread.join()


def _account(plan: Plan, outcome: Outcome) -> list[str]:
    """What is printed of a run."""
    seconds = ", ".join(f"{name} after {passed:.0f} s" for name, passed in outcome.seconds.items())
    return [
        *outcome.ledger.lines(),
        f"{outcome.cuts} cuts, kills {outcome.kills}, {outcome.filled} full disk, seed {plan.seed}",
        f"{outcome.content:,} bytes of content, {outcome.wire:,} bytes sent by Ada's host",
        f"{outcome.whole:,} of {plan.files + 1:,} files whole by their roots; {seconds}",
    ]


def main() -> int:
    """Run it, print what is wrong, and return the exit status."""
    parser = argparse.ArgumentParser(prog="tests.soak.files")
    parser.add_argument("--mebibytes", type=int, default=1_024)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cut-every", type=float, default=5.0)
    parser.add_argument("--cut-until", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    plan = Plan(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory(prefix="parlour-soak-") as folder:
        outcome = soak(Path(folder), plan)
    found = outcome.problems()
    for line in (*_account(plan, outcome), *found, f"{len(found)} violations"):
        sys.stdout.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
