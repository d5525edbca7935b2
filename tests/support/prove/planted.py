"""Violations that `parlour prove` must see, by PARLOUR_PLANTED; some call out: for closed namespaces only."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

from chat.cli.__main__ import main as relay
from chat.interface import PictureView
from chat.relay.circuit import Buffers
from chat.service.files import Files
from chat.storage.database import Database
from chat.storage.new_file import NewFile
from chat.storage.pieces import Pieces
from chat.tools.prove import tracing
from chat.tools.prove.tracing import tell_of_connections
from protocol.errors import ProtocolError
from protocol.link.link import Link
from protocol.link.states import Event, State
from tests.support.engines.planted import receipt_before_commit

FRAME = 256


def connect() -> None:
    """Python's own way."""
    with socket.socket() as calling:
        calling.connect(("192.0.2.1", 443))


def look_up() -> None:
    """A name, which needs a resolver."""
    socket.getaddrinfo("statistics.example", 443)


def connect_unseen() -> None:
    """A library's way, of which Python's audit events do not know; to a local address."""
    libc = ctypes.CDLL(None)
    calling = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    address = struct.pack("=H", socket.AF_INET) + struct.pack(">H", 9) + bytes((127, 0, 0, 1)) + bytes(8)
    libc.connect(calling, address, len(address))


def calling_terminal(call: Callable[[], None]) -> None:
    """A terminal that calls out once its connections are watched."""

    def tell_and_call(say: Callable[[dict[str, object]], None]) -> None:
        tell_of_connections(say)
        with suppress(OSError):
            call()

    with patch.object(tracing, "tell_of_connections", tell_and_call):
        tracing.main()


def forgiving_terminal() -> None:
    """A terminal that ignores what it must refuse, and goes on with the link."""
    strict = Link._fail

    def forgive(link: Link, error: ProtocolError) -> list[Event]:
        return [] if link.state is State.OPEN else strict(link, error)

    with patch.object(Link, "_fail", forgive):
        tracing.main()


def keeping_terminal() -> None:
    """A terminal that says *deleted* while pages and log still have it."""
    with patch.object(Database, "erase_unused", lambda database, first: (first + 1, first)):
        tracing.main()


def hoarding_terminal() -> None:
    """A terminal that says *deleted* while it keeps the pieces of a file."""
    with patch.object(Pieces, "delete", lambda pieces, place: None):
        tracing.main()


def drawing_terminal() -> None:
    """A terminal that keeps the pixels of a picture that it showed."""
    show = Files.show

    async def keep(use: Files, person: bytes, entry: bytes, width: int, height: int) -> PictureView:
        shown = await show(use, person, entry, width, height)
        (use._shelf._pieces._folder.parent / "thumbnail").write_bytes(shown.pixels)
        return shown

    with patch.object(Files, "show", keep):
        tracing.main()


def embellishing_terminal() -> None:
    """A terminal that writes other words into an export than were said."""
    finish = NewFile.finish

    def embellish(file: NewFile) -> None:
        said = file.unfinished.read_bytes()
        file.unfinished.write_bytes(said.replace(b"I left", b"I took"))
        finish(file)

    with patch.object(NewFile, "finish", embellish):
        tracing.main()


def hasty_terminal() -> None:
    """A terminal that says that it has entries before it has stored them."""
    receipt_before_commit(0.1)
    tracing.main()


def hoarding_relay(log: Path) -> None:
    """A relay that keeps the last frame of one buffer and has a file open for writing."""
    take_back, kept = Buffers.take_back, list[bytes]()

    def keep_one(buffers: Buffers, buffer: memoryview, used: int) -> None:
        if used >= FRAME and not kept:
            kept.append(bytes(buffer[used - FRAME : used]))
        take_back(buffers, buffer, used)

    with patch.object(Buffers, "take_back", keep_one), log.open("a"):
        relay()


if __name__ == "__main__":
    match os.environ["PARLOUR_PLANTED"].split(maxsplit=1):
        case ["connect" | "look_up" | "connect_unseen" as way]:
            calling_terminal({"connect": connect, "look_up": look_up, "connect_unseen": connect_unseen}[way])
        case ["forgive"]:
            forgiving_terminal()
        case ["keep"]:
            keeping_terminal()
        case ["keep_pieces"]:
            hoarding_terminal()
        case ["keep_pixels"]:
            drawing_terminal()
        case ["embellish"]:
            embellishing_terminal()
        case ["hasten"]:
            hasty_terminal()
        case ["hoard", log]:
            hoarding_relay(Path(log))
