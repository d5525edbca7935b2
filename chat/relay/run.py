"""Runs a relay: its key file, its listening sockets, the confinement, and then the service."""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from chat.interface import BadData, CannotCreate, UsageError
from chat.network.connection import format_address, listening_socket
from chat.network.interfaces import MAX_ADDRESSES, Kind, interfaces, own_addresses
from chat.platforms.descriptors import may_open_descriptors
from chat.platforms.files import open_private, open_to_others, sync_folder
from chat.platforms.loops import waits_for_sockets
from chat.ports import SystemClock
from chat.relay import sandbox
from chat.relay.cluster.nats import Nats
from chat.relay.metrics import Pages, exposition
from chat.relay.sandbox import Means, Unconfined
from chat.relay.server import Relay, Settings
from protocol.addresses import is_local, is_loopback
from protocol.keys import X25519Pair
from protocol.primitives import KEY_SIZE, system_random
from protocol.relay.rendezvous import RelayAddress, format_relay

BACKLOG: Final = 1_024
NOT_HERE: Final = "A relay does not run on Windows: run it on Linux, macOS or a BSD."
_NO_SUCH_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on one IP address, or on all if `host` is empty. ValueError (no address), OSError."""
    if host:
        address = ipaddress.ip_address(host.partition("%")[0])
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        return [listening_socket(family, _numeric(family, host, port), BACKLOG)]
    bound = [listening_socket(socket.AF_INET, ("0.0.0.0", port), BACKLOG)]
    try:
        bound.append(listening_socket(socket.AF_INET6, ("::", port_of(bound[0])), BACKLOG))
    except OSError as error:
        if error.errno not in _NO_SUCH_FAMILY:
            bound[0].close()
            raise
    return bound


def reached_at(host: str) -> list[str]:
    """At most 8 addresses of a relay that listens on `host`, public ones first (`own_addresses` has none)."""
    plain = host.partition("%")[0]
    if plain and not ipaddress.ip_address(plain).is_unspecified:
        return [plain]
    found = interfaces()
    up = (each for each in found if each.up and each.kind is Kind.LAN)
    public = [address for each in up for address in each.addresses if not is_local(address)]
    near = [each for each in own_addresses(found) if not (public and ipaddress.ip_address(each).is_loopback)]
    every = [*sorted(public, key=lambda address: ":" in address), *near]
    return [each for each in every if not plain or (":" in each) == (":" in plain)][:MAX_ADDRESSES]


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def _numeric(
    family: socket.AddressFamily, host: str, port: int
) -> tuple[str, int] | tuple[str, int, int, int]:
    """A socket address, with the scope of an IPv6 link-local one as a number."""
    if family == socket.AF_INET:
        return host, port
    plain, _, scope = host.partition("%")
    if not scope:
        return plain, port, 0, 0
    return plain, port, 0, int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)


PREFIX: Final = "parlour-relay-key:"
_SIZE_MAX: Final = 256


def new_key(path: Path) -> X25519Pair:
    """Create a key and its file, readable only by the owner. CannotCreate if the file exists."""
    secret = system_random(KEY_SIZE)
    try:
        _write(path, _text(secret) + "\n")
    except FileExistsError:
        raise CannotCreate(f"There is already a file at {path}: choose another, or keep that key.") from None
    except OSError as error:
        raise CannotCreate(
            f"The key cannot be written to {path} ({error.strerror}): choose another place."
        ) from None
    return X25519Pair(secret)


def read_key(path: Path) -> X25519Pair:
    """Read a key file. BadData if it has no key, or if others can read it."""
    try:
        with path.open("rb") as file:
            exposed = open_to_others(os.fstat(file.fileno()))
            content = file.read(_SIZE_MAX)
    except OSError as error:
        raise BadData(
            f"The key cannot be read from {path} ({error.strerror}): create one with --new-key."
        ) from None
    if exposed:
        raise BadData(
            f"Others can read the key in {path}: run 'chmod 600' on it, or create another with --new-key."
        )
    try:
        return X25519Pair(_secret(content.decode("ascii").strip()))
    except (UnicodeDecodeError, ValueError):
        raise BadData(f"{path} contains no relay key: create one with --new-key.") from None


def _write(path: Path, text: str) -> None:
    """Create a file durably, since the key is part of the relay's address. Leaves no file on OSError."""
    descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - it is open already
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _text(secret: bytes) -> str:
    return PREFIX + base64.b32encode(secret).decode("ascii").rstrip("=").lower()


def _secret(text: str) -> bytes:
    """Parse the canonical text of a secret. ValueError for anything else."""
    written = text.removeprefix(PREFIX).upper()
    try:
        secret = base64.b32decode(written + "=" * (-len(written) % 8))
    except binascii.Error as error:
        raise ValueError("not base32") from error
    if len(secret) != KEY_SIZE or _text(secret) != text:
        raise ValueError("not the text of a key")
    return secret


class Options(Struct, frozen=True):
    """Options of the command line. Hosts are IP addresses; an empty one means all of the machine."""

    host: str = ""
    port: int = 4746
    key_file: Path | None = None
    metrics: tuple[str, int] | None = None
    examinable: bool = False
    nats: tuple[str, ...] = ()


class Started(Struct, frozen=True):
    """What a relay reports before it accepts connections. `addresses` are canonical texts of its address."""

    addresses: tuple[str, ...]
    lasting: bool
    means: tuple[Means, ...]
    metrics: str


async def serve(options: Options, say: Callable[[Started], None], tell: Callable[[bool], None]) -> None:
    """Run a relay until it is cancelled.

    `say` is called once, after the confinement and before any connection, `tell` when NATS becomes available
    or unavailable. Raises UsageError, BadData (key file) or CannotCreate (address in use) before `say`.
    """
    if not waits_for_sockets(asyncio.get_running_loop()):
        raise CannotCreate(NOT_HERE)
    # Everything is imported and bound before the confinement, and printed before writing is forbidden.
    if options.nats and options.key_file is None:
        raise UsageError(
            "Relays in one cluster share a key: create it with --new-key, and give each relay --key-file."
        )
    bus = Nats(options.nats, tell) if options.nats else None
    pair = X25519Pair.generate() if options.key_file is None else read_key(options.key_file)
    servers = _listen(options.host, options.port, "--listen")
    if options.metrics is not None and not is_loopback(options.metrics[0]):
        raise UsageError("--metrics takes a loopback address, such as 127.0.0.1:9090.")
    pages = _listen(*options.metrics, "--metrics")[0] if options.metrics is not None else None
    descriptors = may_open_descriptors()
    relay = Relay(Settings(pair, SystemClock(), descriptors=descriptors), bus)
    hosts, port = reached_at(options.host), port_of(servers[0])
    if not hosts:
        raise BadData("This machine has no address: connect it to a network, or give one with --listen.")
    addresses = tuple(format_relay(RelayAddress(host, port, pair.public)) for host in hosts)
    try:
        held = sandbox.confine(examinable=options.examinable, connecting=bool(options.nats))
    except Unconfined as error:
        raise CannotCreate(str(error)) from None
    means = (*held, sandbox.writing_will_be_forbidden())
    page = "" if pages is None else format_address(*pages.getsockname()[:2])
    say(Started(addresses, options.key_file is not None, means, page))
    means = (*held, sandbox.forbid_writing())
    served = Pages(pages, lambda: exposition(relay.counters, relay.gauges(), means)) if pages else None
    try:
        if served is not None:
            await served.start()
        relay.start(servers)
        if bus is not None and relay.cluster is not None:
            bus.start(relay.cluster)
        await asyncio.get_running_loop().create_future()
    finally:
        relay.stop()
        if bus is not None:
            await bus.close()
        if served is not None:
            served.close()


def _listen(host: str, port: int, option: str) -> list[socket.socket]:
    try:
        return listen(host, port)
    except ValueError:
        raise UsageError(
            f"{option} takes an IP address and a port, HOST:PORT. Host names are not resolved."
        ) from None
    except OSError as error:
        raise CannotCreate(
            f"The relay cannot listen there ({error.strerror}): choose another address with {option}."
        ) from None
