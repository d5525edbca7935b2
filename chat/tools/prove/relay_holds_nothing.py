"""C1: a relay holds nothing. Its memory and its files are searched from the outside."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct

from chat.network.connection import TcpConnection
from chat.network.relay.connection import CONNECT_WITHIN, Circuit, Lost, RelayLine
from chat.ports import Connection, Listener, RelayPlace, SystemClock
from chat.tools.prove import search as search_module
from chat.tools.prove.findings import CannotShow, Record
from chat.tools.prove.programs import Examined, own_relay, running_relay
from chat.tools.prove.search import Written, search_memory
from chat.tools.prove.stage import Stage
from chat.tools.prove.tracing import Reached
from chat.tools.prove.wire import HERE, LoopbackTransport
from protocol.keys import X25519Pair
from protocol.link.framing import length_of
from protocol.primitives import CHACHA20POLY1305
from protocol.ratchet import RatchetSession, parlour_parameters
from protocol.relay.rendezvous import RelayAddress

CONTENT, TOKEN = 200, 16  # bytes


class _Keeping(LoopbackTransport):
    """Keeps the stream that it opened to a relay."""

    opened: TcpConnection

    async def connect_relay(self, relay: RelayPlace, timeout: float) -> TcpConnection:
        self.opened = await super().connect_relay(relay, timeout)
        return self.opened


async def line_to(relay: RelayAddress) -> tuple[RelayLine, TcpConnection]:
    """A connection to a relay that has proved its key, and the stream under it. Raises CannotShow."""
    transport = _Keeping()
    transport.name_relays([relay])
    try:
        return await RelayLine.open(transport, relay, SystemClock(), os.urandom), transport.opened
    except (OSError, Lost) as error:
        raise CannotShow(f"the relay at {relay.host}:{relay.port} is not reached ({error})") from None


async def circuit(relay: RelayAddress) -> tuple[Circuit, Circuit]:
    """Both ends of a circuit: dialler and waiter. Raises CannotShow."""
    token = secrets.token_bytes(TOKEN)
    (waiting, _), (dialling, _) = await line_to(relay), await line_to(relay)
    try:
        waiting.wait([token])
        await waiting.called()
        called = asyncio.create_task(_called(waiting))
        reached = await dialling.dial(token)
        if reached is None:
            raise CannotShow("the relay does not find who waits at it")
        return reached.circuit, await called
    except Lost as error:
        raise CannotShow(f"the relay ended a connection ({error})") from None


async def _called(waiting: RelayLine) -> Circuit:
    while (found := await waiting.called()) is None:
        pass
    return found.circuit


async def receive(end: Connection, size: int) -> bytes:
    """Exactly so many bytes. Raises CannotShow if the circuit ends before."""
    data = bytearray()
    while len(data) < size:
        part = await end.read()
        if not part:
            raise CannotShow("the relay ended a circuit")
        data += part
    return bytes(data)


async def echo(one: Connection, other: Connection) -> None:
    """One byte in each direction: everything before it has then left the relay."""
    for sender, reader in ((one, other), (other, one)):
        await sender.write(b".")
        await receive(reader, 1)


def sealed_frames(number: int) -> tuple[list[bytes], list[bytes]]:
    """The frames; and per frame its content, and parts of the sealed frame from the middle and the end."""
    pair, root = X25519Pair.generate(os.urandom), secrets.token_bytes(32)
    parameters = parlour_parameters(CHACHA20POLY1305)
    session = RatchetSession.init_alice(root, pair.public, os.urandom, parameters=parameters)
    frames, needles = list[bytes](), list[bytes]()
    for _ in range(number):
        content = secrets.token_bytes(CONTENT)
        envelope = session.encrypt(content)
        frame = length_of(envelope) + envelope
        frames.append(frame)
        needles += [content[64:96], frame[100:132], frame[-32:]]
    return frames, needles


class Tap:
    """Stands before a relay and keeps what two terminals send, by connection and direction."""

    def __init__(self, relay: RelayAddress) -> None:
        self._relay = relay
        self._transport = LoopbackTransport()
        self._transport.name_relays([relay])
        self._listener: Listener | None = None
        self.streams: list[bytearray] = []

    async def start(self) -> RelayAddress:
        """The relay's address as it is to be named, so that everything passes here."""
        self._listener = await self._transport.listen(0, self._pass)
        return RelayAddress(HERE, self._listener.port, self._relay.key)

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.close()

    async def _pass(self, caller: Connection) -> None:
        try:
            called = await self._transport.connect_relay(self._relay, CONNECT_WITHIN)
        except OSError:
            caller.close()
            return
        await asyncio.gather(self._keep(caller, called), self._keep(called, caller))

    async def _keep(self, source: Connection, sink: Connection) -> None:
        stream = bytearray()
        self.streams.append(stream)
        with suppress(OSError):
            while data := await source.read():
                stream += data
                await sink.write(data)
        sink.close()
        source.close()


FRAMES: Final = 2_000
BATCH: Final = 100
ENTRIES: Final = 60
PIECES: Final = 100
STREAM_LEAST: Final = 8_192
"""Bytes of a stream, of which the later half is of a link and no longer of the rendezvous."""
BLOCKS: Final = 512
BLOCK: Final = 65_536
NEEDLE: Final = 32
STANDARD: Final = (1, 2)
"""Where a relay says what it is, which may lead into a file; from its start on it can write nothing there."""


async def show(stage: Stage, record: Record) -> None:
    """Frames and a conversation pass through a relay, which is then searched."""
    if not sys.platform.startswith("linux"):
        raise CannotShow("the memory of another process can be read on Linux alone")
    pid = stage.setting.relay_pid
    async with own_relay(stage.setting.relay) if pid is None else running_relay(pid) as relay:
        own = "A relay was started, confined as ever but open to being examined by its own user."
        record.did(own if pid is None else f"The relay that runs as process {pid} was examined.")
        before = await asyncio.to_thread(search_module.written, relay.pid)
        searching = Search(relay, record)
        await _absent(searching)
        await _forward(searching)
        await _hold_up(searching)
        await _converse(stage, searching)
        record.measure(
            "needles", searching.looked_for, "marks and pieces of all that searched for in its memory"
        )
        record.measure("needles_found", searching.found, "of them found")
        await asyncio.to_thread(_look_at_files, relay, before, record)


class Search(Struct):
    """All searches of a relay's memory: needles searched and found."""

    relay: Examined
    record: Record
    looked_for: int = 0
    found: int = 0

    async def for_any(self, needles: Iterable[bytes], what: str) -> None:
        """Search all of its memory; any match is a violation."""
        wanted = set(needles)
        held = (await asyncio.to_thread(search_memory, self.relay.pid, wanted)).held
        self.looked_for += len(wanted)
        self.found += len(held)
        if held:
            self.record.violated(f"{len(held)} of {len(wanted)} {what} are in the relay's memory")


async def _absent(searching: Search) -> None:
    """Dial someone who is not there, and send something for them."""
    relay, record = searching.relay, searching.record
    needle, token, began = secrets.token_bytes(NEEDLE), secrets.token_bytes(16), time.monotonic()
    line, stream = await line_to(relay.address)
    try:
        if await line.dial(token) is not None:
            record.violated("the relay joined a device with somebody who was not there")
    except Lost:
        record.violated("the relay did not say that somebody was absent")
    taken = (time.monotonic() - began) * 1000
    with suppress(ConnectionError):
        await stream.write(length_of(needle * 64) + needle * 64)
        await stream.read()  # which ends: that is nothing that a relay listens to
    line.close()
    waiting, _ = await line_to(relay.address)
    waiting.wait([token])
    await waiting.called()
    await searching.for_any([needle], "pieces that were sent for somebody absent")
    waiting.close()
    record.measure("absent_milliseconds", round(taken), "milliseconds until an absent device was refused")
    record.did(
        "A device that was not there was asked for: the relay said so at once, and took nothing for it."
    )


async def _forward(searching: Search) -> None:
    """Marked and sealed frames in both directions, of which nothing may be left."""
    relay, record = searching.relay, searching.record
    marker, (frames, needles) = secrets.token_bytes(16), await asyncio.to_thread(sealed_frames, FRAMES)
    # Frames of 256 bytes in which every part of 31 bytes contains the marker.
    await _through(relay, [marker * 16 * BATCH] * (FRAMES // BATCH), record)
    await searching.for_any([marker], "marks of frames")
    sealed = [b"".join(frames[first : first + BATCH]) for first in range(0, FRAMES, BATCH)]
    await _through(relay, sealed, record)
    await searching.for_any(needles, "pieces of sealed frames")
    record.did(
        f"{FRAMES:,} frames that all bear one mark and {FRAMES:,} sealed ones were forwarded; then all of its"
        " memory was searched for the mark and for three pieces of each of the sealed ones."
    )
    record.measure("frames_forwarded", 2 * FRAMES, "frames forwarded")


async def _through(relay: Examined, blocks: Sequence[bytes], record: Record) -> None:
    """Blocks in both directions of a circuit, until the relay has forwarded them."""
    one, other = await circuit(relay.address)
    for number, block in enumerate(blocks):
        sender, reader = (one, other) if number % 2 else (other, one)
        got, _ = await asyncio.gather(receive(reader, len(block)), sender.write(block))
        record.require(got == block, "the relay altered what it forwarded")
    await echo(one, other)
    one.close()
    other.close()


async def _hold_up(searching: Search) -> None:
    """Without a reader, the search must find the full buffer. After reading, nothing may be left."""
    relay, record = searching.relay, searching.record
    needle = secrets.token_bytes(NEEDLE)
    one, other = await circuit(relay.address)
    block = needle * (BLOCK // NEEDLE)
    writing = asyncio.create_task(_write(one, block, BLOCKS))
    while not (searched := await asyncio.to_thread(search_memory, relay.pid, [needle])).held:
        if writing.done():
            raise CannotShow("the search does not find what waits in the relay: nothing can be told from it")
    await asyncio.gather(receive(other, BLOCKS * BLOCK), writing)
    await echo(one, other)
    await searching.for_any([needle], "pieces that had waited for a reader")
    one.close()
    other.close()
    record.did(
        "A reader stopped reading: what waited for it was found in the relay's one buffer, which shows that"
        " the search finds what is there. Once it had been read nothing of it was left."
    )
    record.measure("bytes_searched", searched.size, "bytes of memory in each search")


async def _write(end: Connection, block: bytes, times: int) -> None:
    for _ in range(times):
        await end.write(block)


async def _converse(stage: Stage, searching: Search) -> None:
    """The two people, who have no other path, talk through it."""
    relay, record = searching.relay, searching.record
    tap = Tap(relay.address)
    named = await tap.start()
    stage.relays.append(Reached(named.host, named.port))
    stage.wire.part()
    try:
        for each in stage.both:
            await each.messenger.add_relay(str(named))
        texts = [f"{stage.needle} through the relay, {number}" for number in range(ENTRIES // 2)]
        await stage.say(stage.ada, *texts)
        await stage.say(stage.ben, *texts)
        await searching.for_any([stage.needle.encode(), *_pieces(tap)], "pieces of the conversation")
        _look_for_names(stage, tap, record)
        for each in stage.both:
            await each.messenger.remove_relay(str(named))
    finally:
        stage.wire.mend()
        await tap.close()
    for each in stage.both:
        each.look_around()
    record.did(
        "The direct way between the two people was cut: they talked through the relay, and its memory was"
        " searched again."
    )
    record.measure("entries_relayed", ENTRIES, "messages delivered through it")


def _look_for_names(stage: Stage, tap: Tap, record: Record) -> None:
    """What the relay received shows neither the text nor the people."""
    for each in stage.both:
        known = any(id in stream for id in each.ids for stream in tap.streams)
        record.require(not known, f"the relay was told who {each.name} is")
    said = any(stage.needle.encode() in stream for stream in tap.streams)
    record.require(not said, "the relay was sent what was said in clear")
    record.measure("bytes_relayed", sum(map(len, tap.streams)), "bytes sent through it")


def _pieces(tap: Tap) -> Iterator[bytes]:
    """Pieces of the tapped bytes that certainly belong to a link."""
    long = [bytes(stream) for stream in tap.streams if len(stream) >= STREAM_LEAST]
    if not long:
        raise CannotShow("too little passed through the relay to be searched for")
    for stream in long:
        for _ in range(PIECES // len(long)):
            at = len(stream) // 2 + secrets.randbelow(len(stream) // 2 - NEEDLE)
            yield stream[at : at + NEEDLE]


def _look_at_files(relay: Examined, before: Written, record: Record) -> None:
    """What it has open, could write to, and has written."""
    files, after = search_module.open_files(relay.pid), search_module.written(relay.pid)
    limit = search_module.file_size_limit(relay.pid)
    for one in files:
        if one.keeps and not (one.number in STANDARD and limit == 0):
            record.violated(f"the relay has {one.target} open for writing")
    for path in search_module.shared_files(relay.pid):
        record.violated(f"the relay can write to {path} as to its memory")
    record.require(limit == 0, "nothing forbids the relay to write into files")
    record.require(after.disk == before.disk, f"the relay wrote {after.disk - before.disk} bytes to a disk")
    calls = after.calls - before.calls
    record.require(calls == 0, f"the relay wrote {calls} bytes by calls that write to files and terminals")
    record.did(
        "Its open files, the kernel's counters of what it wrote and the limits that it set itself were looked"
        " at: it forwards by calls for sockets, which these counters leave out. What the kernel holds itself"
        " of a socket is no part of this."
    )
    kinds = sorted({one.kind for one in files if one.writable})
    record.measure("open_descriptors", len(files), "descriptors open")
    record.measure("writable_kinds", kinds, "of those that can be written to, the kinds")
    record.measure("bytes_to_disk", after.disk - before.disk, "bytes written to a disk meanwhile")
    record.measure("bytes_by_write", calls, "bytes written to files, pipes and terminals meanwhile")
    record.measure("file_size_limit", -1 if limit is None else limit, "bytes at most in a file of its")
    record.measure("bytes_swapped", search_module.swapped(relay.pid), "bytes of its memory on a swap disk")
