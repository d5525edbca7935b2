"""A relay's process holds nothing in memory or files; every search also finds a needle that was planted."""

from __future__ import annotations

import random
import re
import secrets
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from protocol.link.framing import length_of
from protocol.relay.states import WasAbsent, WasJoined
from tests.support.lab.inspection import copies, traced, which_are_held, writing
from tests.support.machine import needs_process_memory, needs_strace
from tests.support.protocol.ratchets import pair
from tests.support.relay.in_process import token
from tests.support.relay.processes import Ended, Relay, Terminal, eventually, meet, receive, relay, waiting

FRAMES = 10_000
BATCH = 100


def joined(running: Relay, wanted: bytes = b"", entered: Relay | None = None) -> tuple[Terminal, Terminal]:
    """A dialler, at this relay or where it entered, and the terminal that it was joined with."""
    wanted = wanted or token()
    waiter = waiting(running, wanted)
    dialler, _ = meet(waiter, entered or running, wanted)
    return dialler, waiter


def passes(data: bytes, sender: Terminal, reader: Terminal) -> bool:
    """Whether the one receives what the other sends."""
    sender.socket.sendall(data)
    return receive(reader.socket, len(data)) == data


class Frames:
    def __init__(self, number: int) -> None:
        alice, self._bob = pair()
        self.plain = [secrets.token_bytes(200) for _ in range(number)]
        sealed = [alice.encrypt(content) for content in self.plain]
        self.framed = [length_of(envelope) + envelope for envelope in sealed]

    def needles(self, chosen: list[int]) -> list[bytes]:
        """Of each its content, and a part of the sealed frame from its middle and from its end."""
        both = [(self.plain[number], self.framed[number]) for number in chosen]
        return [part for plain, frame in both for part in (plain[64:96], frame[100:132], frame[-32:])]


def after_forwarding(frames: Frames, number: int, others: int, planted: str = "") -> set[bytes]:
    chosen = [*range(number - BATCH, number), *random.sample(range(number - BATCH), others)]
    with relay("--examinable", planted=planted) as running:
        dialler, waiter = joined(running)
        for first in range(0, number, BATCH):
            ends = (dialler, waiter) if first // BATCH % 2 else (waiter, dialler)
            assert passes(b"".join(frames.framed[first : first + BATCH]), *ends)
        # The relay is done with what passed before these, however slow it is.
        assert passes(b".", dialler, waiter)
        assert passes(b".", waiter, dialler)
        held = which_are_held(running.pid, [*frames.needles(chosen), running.address.key])
        assert running.address.key in held, "the search finds what is there"
        return held - {running.address.key}


def test_attack_60_of_10_000_frames_none_is_in_its_memory() -> None:
    needs_process_memory()
    assert after_forwarding(Frames(FRAMES), FRAMES, 200) == set()


# It keeps the beginning of the last large piece that passed, in which one frame is whole.
KEEPS_ONE_FRAME = """
from chat.relay.circuit import Buffers
kept, honest = [], Buffers.take_back
def take_back(self, buffer, used):
    kept[:] = [bytes(buffer[:900])] if used >= 900 else kept
    honest(self, buffer, used)
Buffers.take_back = take_back
"""
# It zeroes nothing, so that what passed last is in its buffer.
ZEROES_NOTHING = """
from chat.relay.circuit import Buffers
honest = Buffers.take_back
Buffers.take_back = lambda self, buffer, used: honest(self, buffer, 0)
"""


@pytest.mark.parametrize("planted", [KEEPS_ONE_FRAME, ZEROES_NOTHING], ids=["keeps one", "zeroes nothing"])
def test_attack_60_a_relay_that_keeps_something_is_found_out(planted: str) -> None:
    needs_process_memory()
    assert after_forwarding(Frames(BATCH), BATCH, 0, planted) != set()


def test_attack_60_what_waits_for_a_slow_reader_is_zeroed_once_it_is_gone() -> None:
    """While it waits it is in the one buffer, which shows that the search would see it."""
    needs_process_memory()
    needle = secrets.token_bytes(32)
    with relay("--examinable") as running:
        dialler, waiter = joined(running)
        sent = 0

        def stands_in_the_buffer() -> bool:
            nonlocal sent
            sent += fill(dialler.socket, needle * 2_048)
            return copies(running.pid, needle) > 0

        eventually(stands_in_the_buffer, "what waits is in the buffer")
        assert len(receive(waiter.socket, sent)) == sent
        eventually(lambda: copies(running.pid, needle) == 0, "it is zeroed behind its last write")


def fill(end: socket.socket, block: bytes) -> int:
    """Send whole blocks until none is taken for a second; returns the bytes sent."""
    sent = 0
    end.settimeout(1)
    with suppress(TimeoutError):
        while True:
            sent += end.send(block[sent % len(block) :])
    return sent


def test_attack_61_who_is_absent_is_answered_at_once_and_nothing_is_kept() -> None:
    needs_process_memory()
    needle, wanted = secrets.token_bytes(32), token()
    with relay("--examinable") as running:
        dialler = running.terminal().welcomed().dial(wanted)
        dialler.expect(WasAbsent)
        dialler.socket.sendall(needle * 100)
        with pytest.raises(Ended):
            dialler.expect(WasJoined)
        assert waiting(running, wanted).silent()
        assert copies(running.pid, needle) == 0
        assert copies(running.pid, wanted) > 0, "the search finds what is there"


def life(log: Path, planted: str = "") -> None:
    with relay("--metrics", "127.0.0.1:0", before=traced(log), planted=planted) as running:
        running.terminal().welcomed().dial(token()).expect(WasAbsent)
        dialler, waiter = joined(running)
        assert passes(b"something" * 1_000, dialler, waiter)
        running.terminal().socket.sendall(b"garbage that is none of a relay's frames" * 10)
        dialler.close()
        waiter.close()
        assert running.end() == 0
    assert "accept4(" in log.read_text(errors="replace")


def test_attack_59_it_opens_no_file_for_writing_in_its_life(tmp_path: Path) -> None:
    """Python keeps bytecode of what it has not loaded before: the first life is not looked at."""
    needs_strace()
    with relay() as first:
        first.end()
    life(tmp_path / "calls")
    assert writing(tmp_path / "calls") == []


# It tries to write what it forwards to a file, which its confinement holds off: the attempt is seen.
WRITES_A_FRAME = """
import contextlib
from chat.relay import circuit
honest = circuit.Lane.start
def start(self):
    with contextlib.suppress(OSError):
        open("frames.log", "ab")
    honest(self)
circuit.Lane.start = start
"""


def test_attack_59_one_attempt_in_a_whole_life_is_seen(tmp_path: Path) -> None:
    needs_strace()
    life(tmp_path / "calls", WRITES_A_FRAME)
    seen = writing(tmp_path / "calls")
    assert {line.partition("= ")[2].split()[1] for line in seen} == {"EACCES"}
    assert all("frames.log" in line for line in seen)
    assert len(seen) == 2, "one for each lane"


# Every way to write a file, or what is one, but through open and openat.
OTHER_WAYS = """
import ctypes, os, socket
library, here = ctypes.CDLL(None), os.open(".", os.O_RDONLY)
library.creat(b"made", 0o600)
how = (ctypes.c_uint64 * 3)(os.O_WRONLY | os.O_CREAT, 0o600, 0)
library.syscall(437, here, b"by openat2", how, 24)
os.close(os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600))
os.memfd_create("memory")
library.syscall(425, 1, (ctypes.c_char * 120)())
os.truncate("made", 5)
os.mkdir("folder")
os.rename("made", "renamed")
os.link("renamed", "linked")
os.symlink("renamed", "symbolic")
os.mkfifo("pipe")
os.unlink("pipe")
os.rmdir("folder")
socket.socket().connect_ex(("127.0.0.1", 9))
"""
THEIR_CALLS = {
    *("creat", "openat2", "openat", "memfd_create", "io_uring_setup", "truncate", "mkdir", "rename", "link"),
    *("symlink", "mknod", "unlink", "rmdir", "connect"),
}


def test_every_way_to_write_is_seen(tmp_path: Path) -> None:
    """A planted file a way: of `openat` alone stands the one with O_TMPFILE."""
    needs_strace()
    log = tmp_path / "calls"
    subprocess.run([*traced(log), sys.executable, "-B", "-c", OTHER_WAYS], cwd=tmp_path, check=True)
    eventually(lambda: "exited with" in log.read_text() or "connect(" in log.read_text(), "the last call")
    seen = writing(log)
    called = {re.sub(r"at$", "", re.sub(r"^\d+ +", "", line).partition("(")[0]) for line in seen}
    assert called == {re.sub(r"at$", "", name) for name in THEIR_CALLS}
    assert any("O_TMPFILE" in line for line in seen)
