"""The command that runs a relay: relay.

Rules: what it is and what holds it is said before the first byte is taken in, and nothing after that but a
failure; no profile is opened, no passphrase asked for.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from chat.cli.failures import DONE
from chat.cli.options import command
from chat.cli.output import note
from chat.cli.session import Call, until_stopped
from chat.interface import UsageError

if TYPE_CHECKING:
    from chat.relay.running import Options, Started

NOT_ITS_OWN: Final = (
    "A relay has no profile: leave --profile, --port and --passphrase-file out (--listen has the port)."
)
NEW_EACH_TIME: Final = (
    "Its key is new at each start, and so is its address: for one that stays, make a key with --new-key FILE."
)
NATS_IS_GONE: Final = (
    "NATS does not answer at any address that was named: until it does, terminals meet at this relay alone."
)
NATS_IS_BACK: Final = "NATS answers again."


class Address(click.ParamType[tuple[str, int]]):
    """HOST:PORT, with an IPv6 address in brackets; the host may be left out where `anywhere` is."""

    name = "address"

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
    metavar="HOST:PORT",
    help="Where terminals reach it; without HOST on every address of this machine.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Its key, so that its address stays; without it the key is new at each start.",
)
@click.option(
    "--new-key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Only make a key in a new file, and end.",
)
@click.option(
    "--metrics",
    type=Address(),
    metavar="HOST:PORT",
    help="Counts for Prometheus (/metrics) and /health, on a loopback address.",
)
@click.option(
    "--nats",
    multiple=True,
    metavar="URL",
    help="Join other relays of the same key over core NATS, nats://HOST:4222; may be repeated.",
)
@click.option(
    "--examinable", is_flag=True, help="Leave its memory readable to its user, for 'parlour prove'."
)
@click.pass_obj
def relay(
    call: Call,
    listen: tuple[str, int],
    key_file: Path | None,
    new_key: Path | None,
    metrics: tuple[str, int] | None,
    nats: tuple[str, ...],
    examinable: bool,
) -> int:
    """Run a relay: it joins two terminals that are both connected, and holds nothing.

    It prints its address, which people name with 'parlour relays add', and what keeps it from writing. It
    writes no file in its life.
    """
    if call.profile or call.port or call.passphrase_file is not None:
        raise UsageError(NOT_ITS_OWN)
    sys.dont_write_bytecode = True  # what is imported from here on leaves nothing beside its source
    # A program of its own, as those that measure are.
    from chat.relay import running

    if new_key is not None:
        return _new_key(call, new_key)
    host, port = listen
    options = running.Options(host, port, key_file, metrics, examinable, nats)
    return call.run_alone(lambda: _serve(call, options))


def _new_key(call: Call, path: Path) -> int:
    from chat.relay.key import new_key
    from protocol.relay_address import key_text

    key = key_text(new_key(path).public)
    call.result({"key": key, "file": str(path)}, f"The relay's key is {key}: start it with --key-file {path}")
    return DONE


async def _serve(call: Call, options: Options) -> int:
    """Until it is told to end, which is its proper end."""
    from chat.relay.running import serve

    return await until_stopped(serve(options, lambda started: _say(call, started), _tell))


def _tell(connected: bool) -> None:
    """What it goes on with, in one line; where that cannot be written any more, the metrics have it."""
    with suppress(OSError):
        note(NATS_IS_BACK if connected else NATS_IS_GONE)


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
        lines.append(f"Counts are told at http://{started.metrics}/metrics")
    call.result(fields, "\n".join(lines))
    if not started.lasting:
        note(NEW_EACH_TIME)
