"""The commands about relays: relay runs one; relays, with list, add and remove, has those of this person."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from chat.cli.completing import RELAY
from chat.cli.output import note
from chat.cli.session import TEXT, Call, command, coroutine, group, messenger, until_stopped
from chat.interface import RelayStanding, RelayView, UsageError

if TYPE_CHECKING:
    from chat.relay.run import Started

NOT_ITS_OWN: Final = (
    "A relay has no profile: omit --profile, --port and --passphrase-file (--listen sets the port)."
)
NEW_EACH_TIME: Final = (
    "The relay has a new key and address at each start. To keep them, create a key with --new-key FILE."
)
NATS_IS_GONE: Final = "NATS does not answer at any given address: until it does, this relay works alone."
NATS_IS_BACK: Final = "NATS answers again."


class Address(click.ParamType[tuple[str, int]]):
    """HOST:PORT, with an IPv6 address in brackets; the host may be left out."""

    name = "HOST:PORT"

    def convert(
        self, value: str | tuple[str, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, colon, port = value.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 0xFFFF:
            self.fail("is not HOST:PORT.", param, ctx)
        return host.removeprefix("[").removesuffix("]"), int(port)


@command("relay")
@click.option(
    "--listen",
    type=Address(),
    default=":4746",
    show_default=True,
    help="Address to listen on; without HOST, every address of this machine.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the relay's key; without it, the key and the address are new at each start.",
)
@click.option(
    "--new-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Create a key in a new file and exit.",
)
@click.option(
    "--metrics",
    type=Address(),
    help="Serve /metrics for Prometheus and /health on a loopback address.",
)
@click.option(
    "--nats",
    multiple=True,
    metavar="URL",
    help="Form a cluster with relays of the same key over NATS, nats://HOST:4222; repeatable.",
)
@click.option("--examinable", is_flag=True, help="Let its user read its memory, for 'parlour prove'.")
@coroutine
async def relay(
    call: Call,
    listen: tuple[str, int],
    key_file: Path | None,
    new_key: Path | None,
    metrics: tuple[str, int] | None,
    nats: tuple[str, ...],
    examinable: bool,
) -> None:
    """Run a relay: it joins two devices that are both connected, and holds nothing.

    It prints its address, which people add with 'parlour relays add', and how the system confines it. It
    never writes a file.
    """
    if call.profile or call.port or call.passphrase_file is not None:
        raise UsageError(NOT_ITS_OWN)
    sys.dont_write_bytecode = True  # the imports from here on leave nothing next to their source
    # A program of its own, as those that measure are.
    from chat.relay import run
    from protocol.relay.rendezvous import key_text

    if new_key is not None:
        key = key_text(run.new_key(new_key).public)
        said = f"The relay's key is {key}: start the relay with --key-file {new_key}"
        call.result({"key": key, "file": str(new_key)}, said)
        return

    def tell(connected: bool) -> None:
        with suppress(OSError):  # where the line cannot be written any more, the metrics have it
            note(NATS_IS_BACK if connected else NATS_IS_GONE)

    options = run.Options(*listen, key_file, metrics, examinable, nats)
    await until_stopped(run.serve(options, lambda started: _say(call, started), tell))


def _say(call: Call, started: Started) -> None:
    fields = {
        "relay": started.addresses[0],
        "addresses": started.addresses,
        "metrics": started.metrics,
        "confinement": {one.name: one.holds for one in started.means},
    }
    lines = [*started.addresses]
    lines += [f"{'holds' if one.holds else 'LACKS'}  {one.said}" for one in started.means]
    if started.metrics:
        lines.append(f"Metrics are at http://{started.metrics}/metrics")
    call.result(fields, "\n".join(lines))
    if not started.lasting:
        note(NEW_EACH_TIME)


STANDINGS: Final[Mapping[RelayStanding, str]] = {
    RelayStanding.UNKNOWN: "not tried yet",
    RelayStanding.CONNECTING: "connecting",
    RelayStanding.WAITING: "ready",
    RelayStanding.UNREACHABLE: "unreachable",
    RelayStanding.OTHER_KEY: "key does not match",
    RelayStanding.OTHER_VERSION: "incompatible version",
    RelayStanding.NO_RELAY: "not a relay",
    RelayStanding.OTHER_DATE: "clock differs: set the clock of this machine",
    RelayStanding.REFUSED: "busy",
}


@group("relays")
@coroutine
async def relays(call: Call) -> None:
    """List the relays where contacts are met, or add or remove one.

    A relay connects devices whose networks cannot reach each other. 'parlour relay' runs one and prints its
    address. A relay sees addresses, which of them connect, when, and how much data they send. It does not see
    who they are or what they write.
    """
    await _list(call)


@relays.command("list")
@coroutine
async def list_(call: Call) -> None:
    """List the relays that were named, each with how it stands."""
    await _list(call)


@relays.command("add")
@click.argument("address", type=TEXT)
@coroutine
async def add(call: Call, address: str) -> None:
    """Meet contacts at the relay ADDRESS from now on: the whole line that 'parlour relay' prints."""
    async with messenger(call, offline=True) as opened:
        _print(call, await opened.add_relay(address))


@relays.command("remove")
@click.argument("address", type=RELAY)
@coroutine
async def remove(call: Call, address: str) -> None:
    """Use the relay ADDRESS no more: the whole address, or its HOST:PORT."""
    async with messenger(call, offline=True) as opened:
        found = _find(await opened.relays(), address)
        await opened.remove_relay(found.address)
        text = f"{_place(found)} was removed. Invitations that you gave may still include it."
        call.result({"removed": found.address}, text)


async def _list(call: Call) -> None:
    async with messenger(call, offline=True) as opened:
        named = await opened.relays()
        for view in named:
            _print(call, view)
        if not named:
            call.nothing("You have no relays: 'parlour relays add ADDRESS' names one.")


def _find(views: tuple[RelayView, ...], address: str) -> RelayView:
    """The relay that an address means. Raises UsageError, with what to choose from."""
    wanted = "".join(address.split())
    found = [view for view in views if wanted in (view.address, _place(view))]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{wanted} matches more than one relay: give the whole address of one.")
    named = ", ".join(map(_place, views))
    known = f"your relays are {named}" if named else "you have no relays yet"
    raise UsageError(f"There is no relay {wanted}: {known}.")


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
