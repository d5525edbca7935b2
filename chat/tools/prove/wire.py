"""The wire between two terminals, which keeps and alters their frames, and a terminal behind it.

The terminal is one real engine on a throw-away profile, on loopback. The wire knows no key.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from chat.config import Config
from chat.engine import open_engine
from chat.ipc.server import ControlServer
from chat.network.transport import Accept, Place, TcpTransport
from chat.ports import Announcement, Connection, DiscoveryEvents, Listener, Ports, SystemClock
from chat.storage import folder as stored_folder
from chat.storage import profile
from protocol.errors import ProtocolError
from protocol.link.framing import FRAME_MAX, GREETING_SIZE, FrameReader, length_of

HERE: Final = "127.0.0.1"


class LoopbackTransport(TcpTransport):
    places: Sequence[Place] = ((socket.AF_INET, HERE),)

    def addresses(self) -> tuple[str, ...]:
        return (HERE,)


CONNECT_WITHIN: Final = 5.0
HANDSHAKE_FRAMES: Final = 2
"""Frames of one side of a link at most before all of its frames are envelopes (SPEC §6)."""

Trick = Callable[[bytes], list[bytes] | None]
"""From the body of a frame what goes in its place, as bodies; None to be asked again at the next one."""


class Answer(Enum):
    """What followed a trick first: its receiver or its speaker ended the link, or another link began."""

    HEARER_ENDED = "hearer ended"
    SPEAKER_ENDED = "speaker ended"
    ANOTHER_BEGAN = "another began"


class Played:
    """A trick for the next frame of `speaker`. `answer` is what followed first."""

    def __init__(self, speaker: str, trick: Trick) -> None:
        self.speaker, self.trick = speaker, trick
        self.passage: Passage | None = None
        self.done = False
        self.answer: Answer | None = None

    def takes(self, passage: Passage, speaker: str) -> bool:
        """Whether the trick takes the next frame of `speaker`; it stays on its first passage."""
        if self.done or self.speaker != speaker or self.passage not in (None, passage):
            return False
        self.passage = passage
        return True

    def settle(self, answer: Answer) -> None:
        if self.done and self.answer is None:
            self.answer = answer


class Wire:
    """Stands before both terminals, and keeps all bytes of both directions and the number of frames."""

    def __init__(self) -> None:
        self.captured = bytearray()
        self.frames = 0
        self.played: Played | None = None
        self._cut = False
        self._passages: set[Passage] = set()
        self._changed = asyncio.Event()
        self._listeners: list[Listener] = []
        self._transport = LoopbackTransport()
        self._behind: dict[str, int] = {}

    async def front(self, name: str) -> int:
        listener = await self._transport.listen(0, lambda caller: self._pass(name, caller))
        self._listeners.append(listener)
        return listener.port

    def lead(self, name: str, port: int) -> None:
        self._behind[name] = port

    def play(self, speaker: str, trick: Trick) -> Played:
        """Play a trick once, on the next envelope of this terminal."""
        self.played = Played(speaker, trick)
        return self.played

    async def quiet(self) -> None:
        """Wait until there is one connection, and none that could replace it."""
        while len(self._passages) != 1:
            self._changed.clear()
            await self._changed.wait()

    def part(self) -> None:
        """Cut it: connections end, and none is let through until `mend`."""
        self._cut = True
        for passage in list(self._passages):
            passage.close()

    def mend(self) -> None:
        self._cut = False

    async def close(self) -> None:
        self.part()
        for listener in self._listeners:
            await listener.close()

    async def _pass(self, owner: str, caller: Connection) -> None:
        if self._cut or owner not in self._behind:
            caller.close()
            return
        try:
            called = await self._transport.connect(HERE, self._behind[owner], CONNECT_WITHIN)
        except OSError:
            caller.close()
            return
        if self.played is not None:
            self.played.settle(Answer.ANOTHER_BEGAN)
        (dialler,) = (name for name in self._behind if name != owner)
        passage = Passage(self, (dialler, caller), (owner, called))
        self._passages.add(passage)
        self._changed.set()
        left = await passage.run()
        self._passages.discard(passage)
        self._changed.set()
        if self.played is not None and self.played.passage is passage:
            by_speaker = left == self.played.speaker
            self.played.settle(Answer.SPEAKER_ENDED if by_speaker else Answer.HEARER_ENDED)
        passage.close()

    def tricked(self, passage: Passage, speaker: str, body: bytes) -> list[bytes]:
        """What is passed on in place of a frame."""
        self.frames += 1
        played = self.played
        if played is None or not played.takes(passage, speaker):
            return [body]
        replaced = played.trick(body)
        if replaced is None:
            return []
        played.done = True
        return replaced


End = tuple[str, Connection]  # a terminal's name, and the connection to it


class Passage:
    def __init__(self, wire: Wire, dialler: End, listener: End) -> None:
        self._wire, self._ends = wire, (dialler, listener)

    async def run(self) -> str:
        """Run until one side ends the stream, and return which."""
        one, other = self._ends
        lanes = self._lane(one, other, 0), self._lane(other, one, GREETING_SIZE)
        running = [asyncio.create_task(lane) for lane in lanes]
        try:
            ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            return ended.pop().result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)

    def close(self) -> None:
        for _, connection in self._ends:
            connection.close()

    async def _lane(self, source: End, sink: End, head: int) -> str:
        """Pass on one direction, whose first `head` bytes are not framed, until a side ends it: which."""
        reader, frames = FrameReader(), 0
        while data := await source[1].read():
            self._wire.captured += data
            reader.feed(data)
            out = b""
            try:
                if head and (unframed := reader.take(head)) is not None:
                    out, head = unframed, 0
                while not head and (body := reader.next_frame(FRAME_MAX)) is not None:
                    frames += 1
                    is_envelope = frames > HANDSHAKE_FRAMES
                    bodies = self._wire.tricked(self, source[0], body) if is_envelope else [body]
                    out += b"".join(length_of(each) + each for each in bodies)
                reader.settle()
                if out:
                    await sink[1].write(out)
            except ConnectionError:
                return sink[0]
            except ProtocolError:
                break  # these are no frames
        return source[0]


CONFIG: Final = replace(Config(), keep_port=True, clean_after=0.0)
Say = Callable[[dict[str, object]], None]


class BehindWire:
    """ports.Listener, reached at the port of the wire in front of it."""

    def __init__(self, inner: Listener, port: int) -> None:
        self._inner, self.port = inner, port

    async def close(self) -> None:
        await self._inner.close()


class WiredTransport(LoopbackTransport):
    """Behind a wire at this port."""

    def __init__(self, port: int, say: Say) -> None:
        super().__init__()
        self._port, self._say = port, say

    async def listen(self, port: int, accept: Accept) -> Listener:  # type: ignore[override]
        inner = await super().listen(0, accept)
        self._say({"listening": inner.port})
        return BehindWire(inner, self._port)


class Nobody:
    """ports.Discovery that announces nothing: temporary people must not appear nearby."""

    events: DiscoveryEvents | None = None

    async def start(self, events: DiscoveryEvents) -> None:
        self.events = events

    async def announce(self, announcement: Announcement | None) -> None:
        """To nobody."""

    async def close(self) -> None:
        self.events = None


async def serve(folder: Path, port: int, say: Say) -> None:
    """Run the engine until standard input ends. A line means that the network has changed."""
    lines = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(lines)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    passphrase = (await lines.readline()).decode().rstrip("\n")
    opened = await asyncio.to_thread(profile.unlock, folder, passphrase)
    discovery = Nobody()
    ports = Ports(SystemClock(), os.urandom, WiredTransport(port, say), discovery)
    config = replace(CONFIG, port=port)
    engine = await open_engine(opened, ports, config, ThreadPoolExecutor(1, "database"))
    try:
        await engine.start()
        await engine.serve(ControlServer(engine, folder / stored_folder.SOCKET))
        say({"ready": os.getpid()})
        while await lines.readline():
            if discovery.events is not None:
                discovery.events.network_changed()
    finally:
        await engine.close()
