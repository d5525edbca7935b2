"""A session bus of its own, and a desktop on it that shows notifications to a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chat.session_bus import Message, Reader, Value, Writer, connected, message, read_message

BUS = "org.freedesktop.DBus"
NAME = "org.freedesktop.Notifications"
_CALL, _ANSWER = 1, 2
_INTERFACE, _MEMBER, _REPLY, _DESTINATION, _SENDER, _SIGNATURE = 2, 3, 5, 6, 7, 8


@dataclass
class Desktop:
    """What is shown, by id: title, line, and whether it is urgent."""

    markup: bool
    shown: dict[int, tuple[str, str, bool]] = field(default_factory=dict)
    closed: list[int] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _number: int = 0

    async def until(self, shown: int, closed: int = 0) -> None:
        """Until so many are shown and so many were closed."""
        async with asyncio.timeout(10):
            while (len(self.shown), len(self.closed)) != (shown, closed):
                self.changed.clear()
                await self.changed.wait()

    def answer(self, came: Message) -> tuple[str, bytes]:
        """The signature and body of the answer to a call."""
        body, written = came.body, Writer()
        match came.fields.get(_MEMBER):
            case "GetCapabilities":
                names = Writer()
                for name in ["body", *(["body-markup"] if self.markup else [])]:
                    names.text(name)
                written.number(len(names.data))
                written.data += names.data
                return "as", bytes(written.data)
            case "Notify":
                written.number(self._show(body))
                return "u", bytes(written.data)
            case "CloseNotification":
                self.closed.append(number := body.number())
                self.shown.pop(number, None)
        return "", b""

    def _show(self, body: Reader) -> int:
        assert body.text() == "Parlour"
        replaces, _icon, title, line = body.number(), body.text(), body.text(), body.text()
        assert body.number() == 0  # actions
        body.number()
        body.align(8)
        assert (body.text(), body.signature()) == ("urgency", "y")
        urgent = body.byte() == 2
        if not replaces:
            self._number += 1
        number = replaces or self._number
        self.shown[number] = (title, line, urgent)
        return number


@asynccontextmanager
async def desktop(folder: Path, *, markup: bool = False) -> AsyncIterator[tuple[str, Desktop]]:
    """The address of a bus that runs meanwhile, and the desktop on it."""
    address = f"unix:path={folder / 'bus'}"
    daemon = await asyncio.create_subprocess_exec(
        "dbus-daemon", "--session", "--nofork", "--print-address=1", f"--address={address}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert daemon.stdout is not None
        assert (await daemon.stdout.readline()).startswith(b"unix:path=")
        reader, writer = await connected(address)
        shown = Desktop(markup)
        for serial, (member, signature, body) in enumerate(
            (("Hello", "", b""), ("RequestName", "su", _name())), 1
        ):
            fields: dict[int, tuple[str, Value]] = {
                1: ("o", "/org/freedesktop/DBus"), _INTERFACE: ("s", BUS), _MEMBER: ("s", member),
                _DESTINATION: ("s", BUS),
            }  # fmt: skip
            writer.write(
                message(_CALL, serial, fields | ({_SIGNATURE: ("g", signature)} if body else {}), body)
            )
            while (await read_message(reader)).fields.get(_REPLY) != serial:
                pass
        serving = asyncio.create_task(_serve(reader, writer, shown))
        yield address, shown
        serving.cancel()
        await asyncio.wait({serving})
        writer.close()
        await writer.wait_closed()
    finally:
        daemon.terminate()
        await daemon.wait()


def _signed(signature: str) -> dict[int, tuple[str, Value]]:
    return {_SIGNATURE: ("g", signature)} if signature else {}


def _name() -> bytes:
    written = Writer()
    written.text(NAME)
    written.number(0)
    return bytes(written.data)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, shown: Desktop) -> None:
    serial = 100
    while True:
        came = await read_message(reader)
        if came.kind != _CALL:
            continue
        signature, body = shown.answer(came)
        serial += 1
        fields: dict[int, tuple[str, Value]] = {
            _REPLY: ("u", came.serial), _DESTINATION: ("s", came.fields[_SENDER]),
        }  # fmt: skip
        writer.write(
            message(_ANSWER, serial, fields | ({_SIGNATURE: ("g", signature)} if body else {}), body)
        )
        shown.changed.set()
