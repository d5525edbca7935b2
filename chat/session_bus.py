"""A client of the session's D-Bus for one service: org.freedesktop.Notifications.

It speaks to local sockets only, and passes texts as strings of the protocol: no command line has them.
Source: the D-Bus specification 0.43 and the Desktop Notifications specification 1.3.
"""

from __future__ import annotations

import asyncio
import os
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from chat.errors import UsageError, phrase

WITHIN: Final = 3.0
"""Seconds in which the bus and the desktop answer."""

MESSAGE_MAX: Final = 1 << 17
"""Bytes of a message of the bus that is read. Other programs of this user fill it."""

_LINE_MAX: Final = 256
_CALL, _ANSWER, _ERROR = 1, 2, 3
_PATH, _INTERFACE, _MEMBER, _REPLY, _DESTINATION, _SIGNATURE = 1, 2, 3, 5, 6, 8

NOT_LOCAL: Final = phrase("The address of the session's D-Bus names no local socket.")

Value = str | int


class BusFailure(Exception):
    """The bus or the desktop did not do it."""


def socket_of(address: str) -> str:
    """The path of the first local socket of a bus address; an abstract one begins with NUL.

    Raises UsageError: it names none.
    """
    for one in address.split(";"):
        transport, _, rest = one.partition(":")
        keys = dict(pair.partition("=")[::2] for pair in rest.split(","))
        if transport == "unix" and "path" in keys:
            return _plain(keys["path"])
        if transport == "unix" and "abstract" in keys:
            return "\0" + _plain(keys["abstract"])
    raise UsageError(NOT_LOCAL)


def _plain(escaped: str) -> str:
    return re.sub("%([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), escaped)


def _without_markup(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Writer:
    """Values in the form of the protocol, little-endian, each at a multiple of its size."""

    def __init__(self) -> None:
        self.data = bytearray()

    def align(self, size: int) -> None:
        self.data += bytes(-len(self.data) % size)

    def byte(self, value: int) -> None:
        self.data.append(value)

    def number(self, value: int, form: str = "<I") -> None:
        self.align(4)
        self.data += struct.pack(form, value)

    def text(self, value: str) -> None:
        written = value.replace("\0", "").encode(errors="replace")
        self.number(len(written))
        self.data += written + b"\0"

    def signature(self, value: str) -> None:
        self.byte(len(value))
        self.data += value.encode() + b"\0"


class Reader:
    """The same, read. Raises BusFailure where a value is cut."""

    def __init__(self, data: bytes, big: bool = False) -> None:
        self._data = data
        self._form = ">I" if big else "<I"
        self.at = 0

    def align(self, size: int) -> None:
        self.at += -self.at % size

    def take(self, count: int) -> bytes:
        taken = self._data[self.at : self.at + count]
        self.at += count
        if len(taken) != count:
            raise BusFailure("cut")
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        self.align(4)
        return int(struct.unpack(self._form, self.take(4))[0])

    def text(self) -> str:
        return self.take(self.number() + 1)[:-1].decode(errors="replace")

    def signature(self) -> str:
        return self.take(self.byte() + 1)[:-1].decode(errors="replace")


def message(kind: int, serial: int, fields: Mapping[int, tuple[str, Value]], body: bytes = b"") -> bytes:
    """A message with these header fields, each with the signature of its value."""
    head = Writer()
    for code, (signature, value) in fields.items():
        head.align(8)
        head.byte(code)
        head.signature(signature)
        if signature == "g":
            head.signature(str(value))
        elif isinstance(value, int):
            head.number(value)
        else:
            head.text(value)
    whole = Writer()
    whole.data += struct.pack("<cBBBIII", b"l", kind, 0, 1, len(body), serial, len(head.data)) + head.data
    whole.align(8)
    return bytes(whole.data) + body


class Message:
    """What came: its kind, header fields by code, and body."""

    def __init__(self, kind: int, serial: int, fields: Mapping[int, Value], body: Reader) -> None:
        self.kind, self.serial, self.fields, self.body = kind, serial, fields, body


async def read_message(reader: asyncio.StreamReader) -> Message:
    """The next message. Raises BusFailure, OSError, EOFError."""
    fixed = await reader.readexactly(16)
    big = fixed[:1] == b"B"
    kind = fixed[1]
    size, serial, length = struct.unpack(">III" if big else "<III", fixed[4:])
    padded = length + -length % 8
    if max(size, padded) > MESSAGE_MAX:
        raise BusFailure("too long")
    head = Reader((await reader.readexactly(padded))[:length], big)
    fields: dict[int, Value] = {}
    while head.at < length:
        head.align(8)
        code, signature = head.byte(), head.signature()
        if signature in ("s", "o"):
            fields[code] = head.text()
        elif signature == "g":
            fields[code] = head.signature()
        elif signature == "u":
            fields[code] = head.number()
        else:
            raise BusFailure("an unknown field")
    return Message(kind, serial, fields, Reader(await reader.readexactly(size), big))


async def connected(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has said which user this is. Raises BusFailure, OSError, EOFError, UsageError."""
    if not hasattr(asyncio, "open_unix_connection"):  # Windows
        raise BusFailure("no unix sockets")
    reader, writer = await asyncio.open_unix_connection(socket_of(address), limit=MESSAGE_MAX)
    try:
        writer.write(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        line = await reader.readuntil(b"\r\n")
        if not line.startswith(b"OK ") or len(line) > _LINE_MAX:
            raise BusFailure("refused")
        writer.write(b"BEGIN\r\n")
    except asyncio.LimitOverrunError:
        writer.close()
        raise BusFailure("too long") from None
    except BaseException:
        writer.close()
        raise
    return reader, writer


class Notifications:
    """The desktop's notifications. What fails is not said: nobody waits for it."""

    def __init__(self, address: str) -> None:
        """Raises UsageError: the address names no local socket."""
        socket_of(address)
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._serial = 0
        self._markup = False

    async def show(self, title: str, line: str, replaces: int = 0, *, urgent: bool = False) -> int:
        """Show a line, in place of another one; returns its id, 0 where it is not shown."""
        try:
            async with asyncio.timeout(WITHIN):
                await self._open()
                answer = await self._ask("Notify", "susssasa{sv}i", self._body(title, line, replaces, urgent))
                return answer.number()
        except (OSError, EOFError, BusFailure, UsageError, TimeoutError):
            await self.end()
            return 0

    async def close(self, shown: int) -> None:
        """Close a notification; one that the person closed is closed."""
        body = Writer()
        body.number(shown)
        try:
            async with asyncio.timeout(WITHIN):
                await self._open()
                await self._ask("CloseNotification", "u", bytes(body.data))
        except BusFailure:
            return
        except (OSError, EOFError, UsageError, TimeoutError):
            await self.end()

    async def end(self) -> None:
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(WITHIN):
                    await writer.wait_closed()

    def _body(self, title: str, line: str, replaces: int, urgent: bool) -> bytes:
        body = Writer()
        body.text("Parlour")
        body.number(replaces)
        body.text("")
        body.text(title)
        # Where the desktop knows markup, a text could otherwise show links and load pictures.
        body.text(_without_markup(line) if self._markup else line)
        body.number(0)  # no actions
        hints = Writer()
        hints.text("urgency")
        hints.signature("y")
        hints.byte(2 if urgent else 1)
        body.number(len(hints.data))
        body.align(8)
        body.data += hints.data
        body.number(-1, "<i")
        return bytes(body.data)

    async def _open(self) -> None:
        if self._streams is not None:
            return
        self._streams = await connected(self._address)
        self._serial = 0
        await self._ask("Hello", "", b"", "org.freedesktop.DBus")
        answer = await self._ask("GetCapabilities", "", b"")
        end = answer.number() + answer.at
        found = []
        while answer.at < end:
            found.append(answer.text())
        self._markup = "body-markup" in found

    async def _ask(
        self, member: str, signature: str, body: bytes, name: str = "org.freedesktop.Notifications"
    ) -> Reader:
        if self._streams is None:
            raise BusFailure("closed")
        reader, writer = self._streams
        self._serial += 1
        fields: dict[int, tuple[str, Value]] = {
            _PATH: ("o", "/" + name.replace(".", "/")),
            _INTERFACE: ("s", name),
            _MEMBER: ("s", member),
            _DESTINATION: ("s", name),
        }
        if signature:
            fields[_SIGNATURE] = ("g", signature)
        writer.write(message(_CALL, self._serial, fields, body))
        await writer.drain()
        while True:
            came = await read_message(reader)
            if came.fields.get(_REPLY) == self._serial and came.kind in (_ANSWER, _ERROR):
                if came.kind == _ERROR:
                    raise BusFailure("refused")
                return came.body
