"""The command about the relays that this person named: relays with add, list and remove.

Rules: it needs no network, an engine that runs takes the change over at once; what is printed is read again
after the change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from chat.cli.failures import DONE
from chat.cli.options import TEXT, group
from chat.cli.session import Call
from chat.interface import Messenger, RelayStanding, RelayView, UsageError

STANDINGS: Final[Mapping[RelayStanding, str]] = {
    RelayStanding.UNKNOWN: "not tried yet",
    RelayStanding.CONNECTING: "connecting",
    RelayStanding.WAITING: "ready",
    RelayStanding.UNREACHABLE: "cannot be reached",
    RelayStanding.OTHER_KEY: "has another key than this",
    RelayStanding.OTHER_VERSION: "speaks another version",
    RelayStanding.NO_RELAY: "what answers there is no relay",
    RelayStanding.OTHER_DATE: "has another date: set the clock of this machine",
    RelayStanding.REFUSED: "turned away: it is busy",
}


@group("relays")
@click.pass_context
def relays(ctx: click.Context) -> int | None:
    """List the relays where contacts are met, or add or remove one.

    A relay joins terminals whose networks do not reach each other; 'parlour relay' runs one and prints its
    address. It sees addresses, which of them meet, and when how much is sent; never who they are or what they
    say.
    """
    call: Call = ctx.obj
    return None if ctx.invoked_subcommand is not None else _list(call)


@relays.command("list")
@click.pass_obj
def list_(call: Call) -> int:
    """List the relays that were named, each with how it stands."""
    return _list(call)


@relays.command("add")
@click.argument("address", type=TEXT)
@click.pass_obj
def add(call: Call, address: str) -> int:
    """Meet contacts at the relay ADDRESS from now on: the whole line that 'parlour relay' prints."""

    async def use(opened: Messenger) -> int:
        _print(call, await opened.add_relay(address))
        return DONE

    return call.run(use, offline=True)


@relays.command("remove")
@click.argument("address", type=TEXT)
@click.pass_obj
def remove(call: Call, address: str) -> int:
    """Use the relay ADDRESS no more: the whole address, or its HOST:PORT."""

    async def use(opened: Messenger) -> int:
        found = _find(await opened.relays(), address)
        await opened.remove_relay(found.address)
        text = f"{_place(found)} is used no more. Invitations already given may still name it."
        call.result({"removed": found.address}, text)
        return DONE

    return call.run(use, offline=True)


def _list(call: Call) -> int:
    async def use(opened: Messenger) -> int:
        for view in await opened.relays():
            _print(call, view)
        return DONE

    return call.run(use, offline=True)


def _find(views: tuple[RelayView, ...], address: str) -> RelayView:
    """The relay that an address means. Raises UsageError, with what to choose from."""
    wanted = "".join(address.split())
    found = [view for view in views if wanted in (view.address, _place(view))]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{wanted} fits more than one relay: give the whole address of one.")
    named = ", ".join(map(_place, views))
    known = f"those named are {named}" if named else "none is named"
    raise UsageError(f"No relay is named {wanted}: {known}.")


def _place(view: RelayView) -> str:
    host = f"[{view.host}]" if ":" in view.host else view.host
    return f"{host}:{view.port}"


def _print(call: Call, view: RelayView) -> None:
    words = [STANDINGS[view.standing], *(["from an invitation"] if view.invited else [])]
    fields = {
        "relay": view.address,
        "host": view.host,
        "port": view.port,
        "standing": view.standing.value,
        "invited": view.invited,
    }
    call.result(fields, f"{view.address}  ({', '.join(words)})")
