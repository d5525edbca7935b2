"""The lab does what its tests rely on: a network that can be cut, a terminal, searches that find."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from chat.tools.prove.search import Unreadable
from tests.support.lab.hosts import Host, Lab, LabError
from tests.support.lab.inspection import copies, residues
from tests.support.lab.programs import Program, Silent
from tests.support.lab.terminal import Terminal, Unseen
from tests.support.lab.virtual import Deadlock, VirtualClock, run_virtual
from tests.support.machine import needs_process_memory, needs_public_vectors, needs_root_network, needs_tmux

# Prints the sender of every datagram to its port.
HEAR = """
import socket
hearing = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
hearing.bind(("", 4747))
print("hearing", flush=True)
while True:
    print(hearing.recvfrom(64)[0].decode(), flush=True)
"""

SAY = """
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(sys.argv[2].encode(), (sys.argv[1], 4747))
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    needs_root_network()
    with Lab(2) as lab:
        yield lab


def python(host: Host, source: str, *words: str) -> Program:
    return host.start(sys.executable, "-c", source, *words)


def say(host: Host, to: Host, word: str) -> None:
    host.run(sys.executable, "-c", SAY, to.address, word)


def reaches(host: Host, address: str) -> bool:
    """Whether anybody answers there: nobody listens, so the answer is a refusal."""
    attempt = f"import socket; socket.create_connection(({address!r}, 9), 1)"
    try:
        host.run(sys.executable, "-c", attempt)
    except LabError as error:
        return "ConnectionRefusedError" in str(error)
    return True


@pytest.mark.network
class TestHosts:
    def test_a_cut_stops_and_heal_restores(self, lab: Lab) -> None:
        one, two = lab.hosts
        assert "default" not in one.run("ip", "route")
        assert reaches(one, two.address)
        lab.cut(two)
        assert not reaches(one, two.address)
        lab.heal(two)
        assert reaches(one, two.address)

    def test_a_block_is_silent_and_one_way(self, lab: Lab) -> None:
        one, two = lab.hosts
        at_one, at_two = python(one, HEAR), python(two, HEAR)
        assert (at_one.line(), at_two.line()) == ("hearing", "hearing")
        say(one, two, "introduces the two")
        say(two, one, "introduces the two")
        at_one.line(), at_two.line()
        lab.block(one, two)
        say(two, one, "lost")
        say(one, two, "arrives")
        assert at_two.line() == "arrives"
        lab.heal(one)
        say(two, one, "arrives again")
        assert at_one.line() == "arrives again"

    def test_down_ends_what_runs_inside_and_only_that(self) -> None:
        needs_root_network()
        with Program(["cat"]) as outside, Lab(1) as lab:
            inside = lab.hosts[0].popen("sleep", "1000")
            lab.down()
            assert inside.returncode == -9
            assert not Path("/run/netns", lab.hosts[0].namespace).exists()
            outside.write("still here\n")
            assert outside.line() == "still here"


class TestProgram:
    def test_a_wait_in_vain_shows_what_was_said(self) -> None:
        with Program(["sh", "-c", "echo hello; echo oh dear >&2; exit 3"]) as program:
            program.wait_exit()
            with pytest.raises(Silent, match=r"(?s)exit status: 3.*hello.*oh dear"):
                program.wait_for(lambda line: line == "goodbye")

    def test_a_wait_ends_at_its_deadline(self) -> None:
        with Program(["cat"]) as program, pytest.raises(Silent):
            program.line(seconds=0.05)


@pytest.mark.terminal
class TestTerminal:
    @pytest.fixture(autouse=True)
    def _tmux(self) -> None:
        needs_tmux()

    def test_a_screen_that_never_comes_is_shown(self) -> None:
        with Terminal(["cat"]) as terminal:
            terminal.write("something else")
            terminal.wait_for("something else")
            with pytest.raises(Unseen, match=r"\| something else"):
                terminal.wait_for("what is wanted", seconds=0.05)

    def test_a_wait_ends_with_the_program(self) -> None:
        with Terminal(["sh", "-c", "echo last words; exit 7"]) as terminal:
            with pytest.raises(Unseen, match=r"(?s)ended \(7\).*last words"):
                terminal.wait_for("more", seconds=60)
            assert "last words" in terminal.screen()


# Holds a needle that its line does not show, across the end of the first step of a search.
HOLD = """
import mmap, sys
region = mmap.mmap(-1, 3 * 4096)
for place in range(16):
    region[4090 + place] = (place * 37 + 11) % 256
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_needle_in_memory_across_two_steps_is_counted_once_and_another_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs_process_memory()
    monkeypatch.setattr("chat.tools.prove.search._STEP", 4096)
    with Program([sys.executable, "-c", HOLD]) as program:
        program.line()
        assert copies(program.pid, bytes((place * 37 + 11) % 256 for place in range(16))) == 1
        assert copies(program.pid, os.urandom(32)) == 0


class TestPages:
    KEY = bytes(range(32))

    @pytest.fixture
    def database(self, tmp_path: Path) -> Path:
        path = tmp_path / "chat.db"
        connection = dbapi2.connect(str(path), isolation_level=None)
        connection.execute(f"PRAGMA key = \"x'{self.KEY.hex()}'\"")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x TEXT) STRICT")
        connection.execute("INSERT INTO t VALUES ('the-needle-in-a-page')")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("INSERT INTO t VALUES ('the-needle-in-a-frame')")
        for end in ("", "-wal"):  # closing removes the log
            shutil.copy(f"{path}{end}", tmp_path / f"copy.db{end}")
        connection.close()
        return tmp_path / "copy.db"

    def test_pages_frames_and_text_in_clear_are_searched(self, database: Path) -> None:
        def kinds(needle: bytes) -> list[str]:
            return [place.split()[0] for place in residues(database, self.KEY, needle)]

        assert kinds(b"needle-in-a-page") == ["page", "frame"]
        assert kinds(b"needle-in-a-frame") == ["frame"]
        assert kinds(b"never written") == []
        assert residues(database, self.KEY, database.read_bytes()[:16]) == ["copy.db in clear"]

    def test_a_torn_frame_is_searched_as_the_page_that_it_still_holds(self, database: Path) -> None:
        log = database.with_name("copy.db-wal")
        whole = log.read_bytes()
        log.write_bytes(whole[:32] + (1).to_bytes(4, "big") + whole[36:])  # of another page than it says
        assert residues(database, self.KEY, b"needle-in-a-frame") == ["frame 1 of page 1"]
        log.write_bytes(whole + whole[32:56])  # a header alone
        assert residues(database, self.KEY, b"needle-in-a-frame") == ["frame 1 of page 2"]
        log.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        with pytest.raises(Unreadable, match="frame 1"):
            residues(database, self.KEY, b"needle")

    def test_what_cannot_be_read_is_not_called_clean(self, database: Path) -> None:
        with pytest.raises(Unreadable, match="page 1"):
            residues(database, bytes(32), b"needle")


class TestVirtualTime:
    def test_a_day_passes_at_once_and_in_order(self) -> None:
        async def scenario(clock: VirtualClock) -> list[tuple[str, float]]:
            seen: list[tuple[str, float]] = []

            async def wake(name: str, after: float) -> None:
                await asyncio.sleep(after)
                seen.append((name, clock.monotonic()))

            began = clock.wall()
            await asyncio.gather(wake("late", 80_000), wake("early", 0.25))
            assert clock.wall() - began == 80_000_000
            return seen

        assert run_virtual(scenario) == [("early", 0.25), ("late", 80_000.0)]

    def test_waiting_for_nothing_is_a_deadlock(self) -> None:
        async def scenario(clock: VirtualClock) -> None:
            await asyncio.Event().wait()

        with pytest.raises(Deadlock, match=r"virtual second 0\.000\n.*test_lab\.py"):
            run_virtual(scenario)

    def test_a_scenario_without_end_is_ended(self) -> None:
        async def scenario(clock: VirtualClock) -> None:
            for _ in count():
                await asyncio.sleep(60)

        with pytest.raises(Deadlock, match="no end"):
            run_virtual(scenario, limit=3600)


@pytest.mark.parametrize(("ci", "ends"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_needs_skip_at_home_and_fail_under_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, ends: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.delenv("PARLOUR_PUBLIC_VECTORS", raising=False)
    with pytest.raises(ends, match="PARLOUR_PUBLIC_VECTORS"):
        needs_public_vectors()
