"""`parlour demo` in a real terminal: what a newcomer tries first, and that nothing of it leaves or stays."""

from __future__ import annotations

import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from chat.tools.demo.door import PREFIX
from tests.support.cli.terminals import heard_until, python_at, terminal
from tests.support.e2e.programs import PATIENCE
from tests.support.lab.terminal import Terminal, attached
from tests.support.machine import needs_tmux
from tests.support.tui.linear.harsh import faults

needs_tmux()
pytestmark = pytest.mark.terminal

FAMILIES = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet", "netlink")


def start(place: Path, **environment: str) -> Terminal:
    """A demo whose folder is made in `place`."""
    kept_in = {"TMPDIR": str(place), "XDG_RUNTIME_DIR": "", **environment}
    return Terminal([sys.executable, "-m", "chat.cli", "demo"], environment=kept_in)


def test_the_linear_mode_shows_the_same_and_every_byte_of_it_suits_a_listener(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": "", "LANG": "C.UTF-8"}.items():
        monkeypatch.setenv(name, value)
    with terminal() as (person, at):
        program = python_at(at, "-m", "chat.cli", "demo", "--linear")
        heard = heard_until(person, b"Preparing a demo")
        heard = heard_until(person, b"deleted when you quit", heard)
        os.write(person, b"/open Ben\nWhich keys do we have?\n")
        heard = heard_until(person, b"The keys never leave the device.\r\n", heard)
        os.write(person, b"/lock\n")
        heard = heard_until(person, b"Its passphrase: demo", heard)
        os.write(person, b"demo\n/quit\n")
        heard = heard_until(person, b"Parlour is closed.\r\n", heard)
        assert program.wait(PATIENCE) == 0
    said = heard.decode().split("\r\n")
    assert faults(heard, said[said.index("/lock") :]) == []
    assert list(tmp_path.iterdir()) == []


def network_sockets(pid: int) -> list[str]:
    """The kernel's lines on this process's sockets, but for those within the machine's file system."""
    links = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    lines = [line for name in FAMILIES for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()]
    return [line for line in lines if inodes.intersection(line.split())]


def test_a_newcomer_writes_and_is_answered_and_nothing_is_left(tmp_path: Path) -> None:
    # In a detached terminal nothing is read, and the conversation would open at what is unread.
    with start(tmp_path) as terminal, attached(terminal):
        terminal.wait_written(b"Preparing a demo", PATIENCE)
        terminal.wait_for(lambda screen: "+ Dov" in screen and "nothing is saved" in screen, PATIENCE)
        (folder,) = tmp_path.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        terminal.send("Enter")
        terminal.wait_for("Write to Ben", PATIENCE)
        terminal.write("Which keys do we have?")
        terminal.send("Enter")
        terminal.wait_for("The keys never leave the device.", PATIENCE)
        assert network_sockets(terminal.pid) == []
        terminal.send("M-l")
        terminal.wait_for("Its passphrase: demo", PATIENCE)
        terminal.write("demo")
        terminal.send("Enter")
        terminal.wait_for("The keys never leave the device.", PATIENCE)
        terminal.send("C-q")
        assert terminal.wait_exit(PATIENCE) == 0
    assert list(tmp_path.iterdir()) == []


def test_signals_leave_nothing_and_what_a_kill_leaves_goes_with_the_next_demo(tmp_path: Path) -> None:
    with start(tmp_path) as asked, start(tmp_path) as hung_up, start(tmp_path) as killed:
        for terminal in (asked, hung_up, killed):
            terminal.wait_for("nothing is saved", PATIENCE)
        os.kill(asked.pid, signal.SIGTERM)
        os.kill(hung_up.pid, signal.SIGHUP)
        assert [asked.wait_exit(PATIENCE), hung_up.wait_exit(PATIENCE)] == [0, 0]
        killed.kill()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(PREFIX)
    with start(tmp_path, LANG="zh_CN.UTF-8") as after:
        after.wait_for("Dov", PATIENCE)
        assert not left.exists()
        after.send("C-q")
        assert after.wait_exit(PATIENCE) == 0
    assert list(tmp_path.iterdir()) == []


def test_the_first_moment_is_no_way_to_leave_something_behind(tmp_path: Path) -> None:
    """Ctrl+Q while the demo is being made."""
    with start(tmp_path) as terminal:
        terminal.wait_written(b"Preparing a demo", PATIENCE)
        terminal.send("C-q")
        assert terminal.wait_exit(PATIENCE) == 0
    assert list(tmp_path.iterdir()) == []
