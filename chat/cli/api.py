"""The command `api`: JSON-RPC over standard streams or a socket, and the programs that are known here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import click

from chat.cli.output import find, note, one_line, talks
from chat.cli.session import Call, coroutine, group, messenger, until_stopped
from chat.cli.terminal import Lines
from chat.interface import ClientRights, ClientView, UsageError

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
    from chat.api.serve import serve_socket, serve_streams

    async with messenger(call) as opened:
        if path is None:
            serving = serve_streams(opened, _typed(call.lines), token_required=token_required)
        else:
            said = {"socket": str(path)}, f"Programs with a token can connect to {path}."
            serving = serve_socket(opened, path, lambda: call.result(*said), note)
        await until_stopped(serving)


async def _typed(lines: Lines) -> AsyncIterator[bytes | None]:
    try:
        while (line := await lines.next_line()) is not None:
            yield line.encode()
    except UsageError:  # too long, or no text
        yield None


@api.command("add")
@click.argument("client", metavar="PROGRAM")
@click.option("--with", "name", metavar="NAME", help="Only the conversation with this contact, or notes.")
@click.option("--read-only", "rights", flag_value=ClientRights.READ.value, help="Let it read and not write.")
@click.option("--send-only", "rights", flag_value=ClientRights.SEND.value, help="Let it send and not read.")
@coroutine
async def add(call: Call, client: str, name: str | None, rights: str | None) -> None:
    """Give a program a token, which is shown once, and what it allows."""
    if rights == ClientRights.SEND.value and name is None:
        raise UsageError("A program that only sends does not see who your contacts are: add --with NAME.")
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
