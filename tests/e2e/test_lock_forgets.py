"""A lock leaves nothing in memory: the program starts again in its process, and its memory is discarded.

The memory of the real program is searched from outside, as root may read it.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chat.storage import folder, keys, profile
from protocol import profile_header
from tests.support.cli.line import PASSPHRASE
from tests.support.e2e.people import Person
from tests.support.e2e.programs import PARLOUR, PATIENCE, Station, listening, pair
from tests.support.lab.hosts import Lab
from tests.support.lab.inspection import copies
from tests.support.lab.programs import Program
from tests.support.lab.terminal import Terminal
from tests.support.machine import needs_confinement, needs_process_memory, needs_tmux

pytestmark = [pytest.mark.network, pytest.mark.slow]

FORM = "Enter your passphrase."
ASKED = "Type your passphrase. It is not shown."
COUNTED = (
    (rb"\x1b\[22;2t", rb"\x1b\[23;2t"),
    (rb"\x1b\[>\d+u", rb"\x1b\[<u"),
    (rb"\x1b\[\?1049h", rb"\x1b\[\?1049l"),
)
"""What a terminal counts: the title that it keeps, the way of telling keys, the second screen."""


@dataclass(frozen=True)
class Scene:
    """Ada, and Ben who listens. `needles`: what must be gone after a lock of Ada's."""

    ada: Station
    ben: Station
    passphrase: str
    needles: dict[str, bytes]
    texts: tuple[str, str]

    def held(self, pid: int) -> set[str]:
        """Which of them are in a process's memory."""
        return {name for name, needle in self.needles.items() if copies(pid, needle)}

    @property
    def all(self) -> set[str]:
        return set(self.needles)

    def line(self, *options: str) -> list[str]:
        command = [*PARLOUR, "--profile", str(self.ada.profile), *options]
        return self.ada.host.enter(*command) if self.ada.host else command


@pytest.fixture
def scene(lab: Lab, ada: Station, ben: Station) -> Iterator[Scene]:
    """Ada's passphrase is a random one, which nothing else in memory can equal."""
    needs_process_memory()
    pair(ada, ben)
    passphrase = secrets.token_hex(16)
    texts = f"from-ben-{secrets.token_hex(12)}", f"from-ada-{secrets.token_hex(12)}"
    with profile.unlock(ada.profile, PASSPHRASE) as opened, closing(opened.database()) as database:
        row = keys.read_own(database)
        opened.change_passphrase(PASSPHRASE, passphrase, random=os.urandom, cost=profile_header.CHEAPEST)
    key = folder.unwrap(folder.read_header(ada.profile / folder.HEADER), passphrase).reveal()
    needles = {
        "passphrase": passphrase.encode(),
        "key": key,
        "key in digits": key.hex().encode(),
        "static secret": row.static_secret,
        "signing seed": row.signing_seed,
        "self key": row.first_self_key,
        **{text: text.encode() for text in texts},
    }
    with listening(ben):
        yield Scene(ada, ben, passphrase, needles, texts)


@contextmanager
def drawn(scene: Scene) -> Iterator[Person]:
    """Ada at the interface, in the conversation with Ben, who wrote and was answered."""
    needs_tmux()
    with Person(scene.ada.name, scene.ada.profile, scene.ada.host) as person:
        person.unlock(scene.passphrase)
        person.see("Write to Ben")
        person.write(scene.texts[1])
        scene.ben.say(scene.texts[0])
        for text in scene.texts:
            person.see(text)
        yield person


@contextmanager
def linear(scene: Scene) -> Iterator[Terminal]:
    """The same in the linear mode, at a terminal."""
    needs_tmux()
    with Terminal(scene.line("--linear"), host=None) as terminal:
        unlock(terminal, scene)
        terminal.write(f"/open Ben\n{scene.texts[1]}\n")
        scene.ben.say(scene.texts[0])
        for text in scene.texts:
            terminal.wait_for(text, PATIENCE)
        yield terminal


def unlock(terminal: Terminal, scene: Scene) -> None:
    terminal.wait_for(lambda screen: screen.count(ASKED) > screen.count("Opening…"), PATIENCE)
    terminal.burst(f"{scene.passphrase}\r")
    terminal.wait_for(lambda screen: screen.count("You are Ada") == screen.count(ASKED), PATIENCE)


def is_shown(terminal: Terminal) -> bool:
    """Whether the terminal itself shows what is typed."""
    descriptor = os.open(terminal.tty, os.O_RDONLY | os.O_NOCTTY)
    try:
        return bool(termios.tcgetattr(descriptor)[3] & termios.ECHO)
    finally:
        os.close(descriptor)


@pytest.mark.terminal
def test_the_drawn_interface_forgets_passphrase_keys_and_texts(scene: Scene) -> None:
    with drawn(scene) as person:
        terminal = person.terminal
        assert scene.held(terminal.pid) >= scene.all - {"passphrase"}
        before = len(terminal.written())
        terminal.send("M-l")
        person.see(FORM)
        assert scene.held(terminal.pid) == set()
        assert "Locked." in terminal.screen()
        again = terminal.written()[before:]
        assert [one for one in (b"\x1b[?1049", b"\x1b[2J") if one in again] == []
        assert not is_shown(terminal)
        person.unlock(scene.passphrase)
        person.see(scene.texts[1])
        person.quit()
        written = terminal.written()
    for begun, ended in COUNTED:
        assert len(re.findall(begun, written)) == len(re.findall(ended, written)), begun


@pytest.mark.terminal
def test_what_is_typed_right_after_the_key_that_locks_is_the_passphrase(scene: Scene) -> None:
    """Some of it reaches the program that locks, and the rest the one that follows."""
    with drawn(scene) as person:
        person.terminal.burst(f"\x1bl{scene.passphrase[:5]}")
        person.see("Locked.")
        person.terminal.burst(f"{scene.passphrase[5:]}\r")
        person.see(scene.texts[1])
        assert scene.passphrase[5:].encode() not in person.terminal.written()
        person.quit()


@pytest.mark.terminal
def test_the_linear_mode_at_a_terminal_forgets_too(scene: Scene) -> None:
    with linear(scene) as terminal:
        assert scene.held(terminal.pid) >= scene.all - {"passphrase"}
        terminal.burst("/lock\r")
        terminal.wait_for(lambda screen: screen.count(ASKED) == 2, PATIENCE)
        assert scene.held(terminal.pid) == set()
        assert not is_shown(terminal)
        unlock(terminal, scene)
        terminal.burst(f"/lock\r{scene.passphrase}\r/quit\r")
        assert terminal.wait_exit(PATIENCE) == 0
        assert scene.passphrase.encode() not in terminal.written()


def test_the_linear_mode_in_pipes_takes_the_lines_that_follow_the_lock(scene: Scene) -> None:
    """They are read together with it, so that the program which locks has them."""
    with Program(scene.line("--linear")) as program:
        program.write(f"{scene.passphrase}\n/open Ben\n{scene.texts[1]}\n/last 1\n")
        program.wait_for(lambda line: scene.texts[1] in line, PATIENCE)
        program.write(f"/lock\n{scene.passphrase}\n/open Ben\n/last 1\n")
        program.wait_for(ASKED.__eq__, PATIENCE)
        program.wait_for(lambda line: scene.texts[1] in line, PATIENCE)
        program.write("/lock\n")
        program.wait_for(ASKED.__eq__, PATIENCE)
        assert scene.held(program.pid) == set()
        program.write(f"{scene.passphrase}\n/quit\n")
        assert program.wait_exit(PATIENCE) == 0
        assert program.complained == []


@pytest.mark.terminal
def test_a_lock_by_another_command_makes_every_client_forget_and_is_answered(scene: Scene) -> None:
    """The drawn interface has the engine, the linear mode and `listen` use it."""
    with ExitStack() as stack:
        person = stack.enter_context(drawn(scene))
        other = stack.enter_context(Terminal(scene.line("--linear")))
        heard = stack.enter_context(scene.ada.start("listen"))
        other.wait_for("/help lists", PATIENCE)
        other.burst("/open Ben\r/last 5\r")
        other.wait_for(scene.texts[0], PATIENCE)
        heard.wait_for(lambda line: "ready" in line, PATIENCE)
        assert scene.texts[0] in scene.held(other.pid)
        assert scene.ada.run("lock").objects == [{"locked": True}]
        assert heard.wait_exit(PATIENCE) == 0
        person.see(FORM)
        other.wait_for(ASKED, PATIENCE)
        for pid in (person.terminal.pid, other.pid):
            assert scene.held(pid) == set()


UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
READING = "import sys; open(f'/proc/{sys.argv[1]}/environ', 'rb').read()"
"""The system asks for the same right as for the memory, but for what Yama adds to that."""


def is_read(pid: int) -> bool:
    """Whether a program without rights of its own reads what only a process's user may."""
    done = subprocess.run(
        [*UNPRIVILEGED, sys.executable, "-c", READING, str(pid)], capture_output=True, check=False
    )
    assert done.returncode == 0 or b"PermissionError" in done.stderr, done.stderr
    return done.returncode == 0


def test_no_other_program_of_its_user_reads_its_memory_and_it_leaves_no_core_file(tmp_path: Path) -> None:
    needs_confinement()
    station = Station("Ada", tmp_path).create()
    line = [*UNPRIVILEGED, *PARLOUR, "--profile", str(station.profile), "--linear"]
    with Program(line) as locked, Program([*UNPRIVILEGED, "sh", "-c", "echo here; exec cat"]) as other:
        locked.wait_for(ASKED.__eq__, PATIENCE)
        other.line(PATIENCE)
        assert is_read(other.pid)
        assert not is_read(locked.pid)
        limits = Path(f"/proc/{locked.pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 ", limits, re.MULTILINE)
