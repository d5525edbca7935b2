"""The command `api`: JSON-RPC over standard streams or a socket, and the programs that are known here."""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click

from chat.api.calls import LINE_BYTES_MAX
from chat.api.session import Session, lines_of
from chat.cli.output import find, note, one_line, talks
from chat.cli.session import Call, coroutine, group, messenger, until_stopped
from chat.cli.terminal import Lines
from chat.interface import (
    CannotCreate,
    ClientRights,
    ClientView,
    Messenger,
    ParlourError,
    Unreachable,
    UsageError,
)
from chat.ipc import wire

SESSIONS_MAX: Final = 16
"""Programs at the socket at once; further ones are closed at once."""

RIGHTS: Final = {
    ClientRights.ALL: "reads and writes",
    ClientRights.READ: "only reads",
    ClientRights.SEND: "only sends",
}


@group("api")
@click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Serve programs with a token on a new Unix socket, which only this user can open.",
)
@click.option("--token-required", is_flag=True, help="Do only what the token of the program allows.")
@coroutine
async def api(call: Call, path: Path | None, token_required: bool) -> None:
    """Serve another program with JSON-RPC, one object per line, on standard input and output."""
    async with messenger(call) as opened:
        if path is not None:
            await until_stopped(_serve_socket(call, opened, path))
            return
        written = _Output()
        session = Session(opened, written.write, program=version("parlour"), token_required=token_required)
        await until_stopped(session.serve(_typed(call.lines)))


async def _typed(lines: Lines) -> AsyncIterator[bytes | None]:
    try:
        while (line := await lines.next_line()) is not None:
            yield line.encode()
    except UsageError:  # too long, or no text
        yield None


class _Output:
    """Standard output, written in a thread: a program that does not read stops neither engine nor exit."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines = queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]]()
        threading.Thread(target=self._run, name="api output", daemon=True).start()

    async def write(self, line: bytes) -> None:
        """Raises OSError where nobody reads any more."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._lines.put((line, done))
        await done

    def _run(self) -> None:
        while True:
            line, done = self._lines.get()
            failure: OSError | None = None
            try:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
            except OSError as error:
                failure = error
            with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                self._loop.call_soon_threadsafe(_settle, done, failure)


def _settle(done: asyncio.Future[None], failure: OSError | None) -> None:
    if done.done():
        return
    if failure is not None:
        done.set_exception(failure)
    else:
        done.set_result(None)


async def _serve_socket(call: Call, opened: Messenger, path: Path) -> None:
    with suppress(Unreachable):  # nobody listens on what an ended one left
        wire.connect(path).close()
        raise CannotCreate(f"Another program listens on {path}: choose another name.")
    server = await asyncio.start_unix_server(
        _Sessions(opened).accept, sock=wire.listen(path), limit=LINE_BYTES_MAX
    )
    call.result({"socket": str(path)}, f"Programs with a token can connect to {path}.")
    try:
        async with server:
            await server.serve_forever()
    finally:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - a name of a folder, which the loop does not wait for


class _Sessions:
    """The programs at the socket."""

    def __init__(self, opened: Messenger) -> None:
        self._opened = opened
        self._open = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= SESSIONS_MAX or not wire.same_user(writer.get_extra_info("socket")):
            writer.transport.abort()
            return

        async def write(line: bytes) -> None:
            writer.write(line)
            await writer.drain()

        self._open += 1
        try:
            session = Session(self._opened, write, program=version("parlour"), token_required=True)
            await session.serve(lines_of(reader))
        except ParlourError as problem:
            note(str(problem))
        finally:
            self._open -= 1
            writer.close()


@api.command("add")
@click.argument("client", metavar="PROGRAM")
@click.option("--with", "name", metavar="NAME", help="Only the conversation with this contact, or notes.")
@click.option("--read-only", "rights", flag_value=ClientRights.READ.value, help="Let it read and not write.")
@click.option("--send-only", "rights", flag_value=ClientRights.SEND.value, help="Let it send and not read.")
@coroutine
async def add(call: Call, client: str, name: str | None, rights: str | None) -> None:
    """Give a program a token, which is shown once, and what it allows."""
    async with messenger(call) as opened:
        person = find(await talks(opened), name)[1].person if name is not None else ""
        made = await opened.permit(client, ClientRights(rights or ClientRights.ALL), person)
        call.result({"program": made.client.name, "token": made.token}, made.token)


@api.command("list")
@coroutine
async def list_(call: Call) -> None:
    """List the programs that have a place or a token."""
    async with messenger(call) as opened:
        names = {one.person: one.label for one in await talks(opened)}
        for client in await opened.clients():
            name = names.get(client.contact, client.contact)
            fields = {
                "program": client.name,
                "token": client.token,
                "rights": client.rights.value,
                "with": name or None,
                "waiting": client.last - client.acknowledged,
            }
            call.result(fields, one_line(_line(client, name)))


def _line(client: ClientView, name: str) -> str:
    scope = f"has a token, {RIGHTS[client.rights]}" if client.token else "needs no token"
    within = f" with {name}" if name else ""
    return f"{client.name}  {scope}{within}  {client.last - client.acknowledged} waiting"


@api.command("revoke")
@click.argument("client", metavar="PROGRAM")
@coroutine
async def revoke(call: Call, client: str) -> None:
    """Refuse a program's token from now on, and forget its place."""
    async with messenger(call) as opened:
        await opened.forget_client(client)
    call.result({"revoked": client}, f"{client} was forgotten. A token of it is refused from now on.")


@api.command("schema")
@click.pass_obj
def schema(call: Call) -> None:
    """Print the JSON Schema of all methods, events, errors and types."""
    from chat.api.reference import schema_text

    click.echo(schema_text(), nl=False)
