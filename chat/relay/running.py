"""A relay from its start to its end: bound, confined, told, and then open to terminals.

Rules: the order is the point: everything is imported and bound before the confinement, the confinement stands
before a byte of anybody is taken, and all that is said is said before no byte can be written any more.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chat.interface import BadData, CannotCreate, UsageError
from chat.ports import SystemClock
from chat.relay import confinement
from chat.relay.backplane import Nats
from chat.relay.confinement import Means, Unconfined
from chat.relay.counters import exposition
from chat.relay.key import read_key
from chat.relay.listening import listen, port_of, reached_at
from chat.relay.metrics import Pages, is_loopback
from chat.relay.server import Relay, Settings
from protocol.keys import X25519Pair
from protocol.relay_address import RelayAddress, format_relay


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. Hosts are IP addresses, an empty one stands for all of the machine."""

    host: str = ""
    port: int = 4746
    key_file: Path | None = None
    metrics: tuple[str, int] | None = None
    examinable: bool = False
    nats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """What a relay says of itself before it takes the first byte. `addresses` are texts that name it."""

    addresses: tuple[str, ...]
    lasting: bool
    means: tuple[Means, ...]
    metrics: str


async def serve(options: Options, say: Callable[[Started], None], tell: Callable[[bool], None]) -> None:
    """Run a relay until it is cancelled; `say` is called once, when it is confined and before it accepts.

    `tell` hears when NATS fails it, and when it is back. Raises UsageError, BadData (key file), CannotCreate
    (address taken), all of them before `say`.
    """
    bus = _backplane(options, tell)
    pair = X25519Pair.generate() if options.key_file is None else read_key(options.key_file)
    servers = _listen(options.host, options.port, "--listen")
    pages = _bind_pages(options.metrics)
    descriptors = confinement.may_open_descriptors()
    relay = Relay(Settings(pair, SystemClock(), descriptors=descriptors), bus)
    addresses = _addresses(options.host, port_of(servers[0]), pair)
    means = _confined(options)
    say(Started(addresses, options.key_file is not None, means, _page_address(pages)))
    means = (*means[:-1], confinement.forbid_writing())
    told = Pages(pages, lambda: exposition(relay.counters, relay.gauges(), means)) if pages else None
    try:
        if told is not None:
            await told.start()
        relay.start(servers)
        if bus is not None and relay.cluster is not None:
            bus.start(relay.cluster)
        await asyncio.get_running_loop().create_future()
    finally:
        relay.stop()
        if bus is not None:
            await bus.close()
        if told is not None:
            told.close()


def _backplane(options: Options, tell: Callable[[bool], None]) -> Nats | None:
    """What joins it with other relays; its library is imported here, before the confinement."""
    if not options.nats:
        return None
    if options.key_file is None:
        raise UsageError(
            "Relays that share NATS share one key: make it with --new-key, and give each --key-file."
        )
    return Nats(options.nats, tell)


def _confined(options: Options) -> tuple[Means, ...]:
    """What holds, the limit on file sizes last: that is set when this has been said."""
    try:
        held = confinement.confine(examinable=options.examinable, connecting=bool(options.nats))
    except Unconfined as error:
        raise CannotCreate(str(error)) from None
    return (*held, confinement.writing_will_be_forbidden())


def _listen(host: str, port: int, option: str) -> list[socket.socket]:
    try:
        return listen(host, port)
    except ValueError:
        raise UsageError(
            f"{option} takes an IP address and a port, HOST:PORT: names are not looked up."
        ) from None
    except OSError as error:
        raise CannotCreate(
            f"Nothing can listen there ({error.strerror}): name another with {option}."
        ) from None


def _bind_pages(metrics: tuple[str, int] | None) -> socket.socket | None:
    if metrics is None:
        return None
    host, port = metrics
    if not is_loopback(host):
        raise UsageError("--metrics takes an address of this machine alone, such as 127.0.0.1:9090.")
    return _listen(host, port, "--metrics")[0]


def _page_address(pages: socket.socket | None) -> str:
    if pages is None:
        return ""
    host, port = pages.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _addresses(host: str, port: int, pair: X25519Pair) -> tuple[str, ...]:
    """The texts that name this relay, one for each address under which it may be reached."""
    hosts = reached_at(host)
    if not hosts:
        raise BadData("This machine has no address: connect it to a network, or name one with --listen.")
    return tuple(format_relay(RelayAddress(each, port, pair.public)) for each in hosts)
