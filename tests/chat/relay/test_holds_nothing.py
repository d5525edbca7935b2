"""A relay holds nothing: its memory after many frames, its files in a whole life, and who is absent.

Rules: the relay runs as people run it, as a process of its own; needles are made outside of it, and each
search has found its needle where it was planted.
"""

from __future__ import annotations

import random
import re
import secrets
import socket
from pathlib import Path

import pytest

from protocol.frames import length_of
from protocol.relay_states import WaitBegun, WasAbsent, WasCalled, WasJoined
from tests.chat.relay.terminals import Ended, Relay, Terminal, eventually, receive, relay
from tests.lab.memory import copies, which_are_held
from tests.needs import needs_process_memory, needs_strace
from tests.protocol.sessions import pair

FRAMES = 10_000
BATCH = 100


def token() -> bytes:
    return secrets.token_bytes(16)


def joined(running: Relay) -> tuple[Terminal, Terminal]:
    """A dialler and the terminal that it was joined with."""
    wanted = token()
    waiter = running.terminal().welcomed().wait(wanted)
    waiter.expect(WaitBegun)
    dialler = running.terminal().welcomed().dial(wanted)
    waiter.expect(WasCalled)
    dialler.expect(WasJoined)
    return dialler, waiter


class Frames:
    """Sealed frames of a session, with what can be searched of each."""

    def __init__(self, number: int) -> None:
        alice, self._bob = pair()
        self.plain = [secrets.token_bytes(200) for _ in range(number)]
        sealed = [alice.encrypt(content) for content in self.plain]
        self.framed = [length_of(envelope) + envelope for envelope in sealed]

    def needles(self, chosen: list[int]) -> list[bytes]:
        """Of each its content, and a part of the sealed frame from its middle and from its end."""
        found = []
        for number in chosen:
            frame = self.framed[number]
            found += [self.plain[number][64:96], frame[100:132], frame[-32:]]
        return found


def test_attack_60_of_10_000_frames_none_is_in_its_memory() -> None:
    needs_process_memory()
    frames = Frames(FRAMES)
    chosen = [*range(FRAMES - 100, FRAMES), *random.sample(range(FRAMES - 100), 200)]
    with relay("--examinable") as running:
        dialler, waiter = joined(running)
        for first in range(0, FRAMES, BATCH):
            block = b"".join(frames.framed[first : first + BATCH])
            sender, reader = (dialler, waiter) if first // BATCH % 2 else (waiter, dialler)
            sender.socket.sendall(block)
            assert receive(reader.socket, len(block)) == block
        held = which_are_held(running.pid, frames.needles(chosen))
        assert held == set()
        assert copies(running.pid, running.address.key) > 0, "the search finds what is there"


def test_attack_60_what_waits_for_a_slow_reader_is_zeroed_once_it_is_gone() -> None:
    """While it waits it stands in the one buffer, which shows that the search would see it."""
    needs_process_memory()
    needle = secrets.token_bytes(32)
    with relay("--examinable") as running:
        dialler, waiter = joined(running)
        sent = fill(dialler.socket, needle * 2_048)
        eventually(lambda: copies(running.pid, needle) > 0, "what waits is in the buffer")
        assert len(receive(waiter.socket, sent)) == sent
        eventually(lambda: copies(running.pid, needle) == 0, "it is zeroed behind its last write")


def fill(end: socket.socket, block: bytes) -> int:
    """Send whole blocks until none is taken for a second; returns the bytes sent."""
    sent, part = 0, b""
    end.settimeout(1)
    try:
        while True:
            part = part or block
            done = end.send(part)
            sent, part = sent + done, part[done:]
    except TimeoutError:
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
        waiter = running.terminal().welcomed().wait(wanted)
        waiter.expect(WaitBegun)
        assert waiter.silent()
        assert copies(running.pid, needle) == 0
        assert copies(running.pid, wanted) > 0, "the search finds what is there"


def test_absent_takes_no_longer_than_an_answer() -> None:
    with relay() as running:
        dialler = running.terminal().welcomed()
        dialler.socket.settimeout(2)
        for _ in range(16):
            dialler.dial(token()).expect(WasAbsent)


def test_attack_59_it_opens_no_file_for_writing_in_its_life(tmp_path: Path) -> None:
    needs_strace()
    log = tmp_path / "strace"
    tracer = [
        "strace",
        "-D",
        "-f",
        "-qq",
        "-o",
        str(log),
        "-e",
        "trace=%file,%desc,accept4,connect,memfd_create",
    ]
    with relay("--metrics", "127.0.0.1:0", before=tracer) as running:
        running.terminal().welcomed().dial(token()).expect(WasAbsent)
        dialler, waiter = joined(running)
        dialler.socket.sendall(b"something" * 1_000)
        receive(waiter.socket, 9_000)
        running.terminal().socket.sendall(b"garbage that is none of a relay's frames" * 10)
        dialler.close()
        waiter.close()
        assert running.end() == 0
    calls = log.read_text(errors="replace")
    assert "accept4(" in calls
    assert writing(calls) == []


WRITING = re.compile(
    r"\b(?:open|openat|openat2)\(.*(?:O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE)"
    r"|\b(?:creat|mkdir\w*|rename\w*|link\w*|symlink\w*|unlink\w*|rmdir|mknod\w*|f?truncate|memfd_create)\("
    r"|\bconnect\("
)


def writing(calls: str) -> list[str]:
    """The calls that open a file for writing, make or remove one, or connect anywhere."""
    return [line for line in calls.splitlines() if WRITING.search(line)]
