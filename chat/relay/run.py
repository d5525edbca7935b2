"""A relay from its start to its end: bound, confined, told, and then open to terminals.

Rules: the order is the point: everything is imported and bound before the confinement, the confinement
stands before a byte of anybody is taken, and all that is said is said before no byte can be written any
more.

The sockets that a relay listens on, bound before it is confined.

Rules: addresses are literals, nothing is looked up; what is bound is told by its own address.

The relay's key: in a file that another run made, or new at each start.

Rules: a relay that serves opens its key for reading alone; a file that others could read is no key. Whoever
has the key can pass for the relay and learns addresses and timing, never content.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chat.interface import BadData, CannotCreate, UsageError
from chat.network.connection import listening_socket
from chat.network.interfaces import MAX_ADDRESSES, Kind, interfaces, own_addresses
from chat.ports import SystemClock
from chat.relay import sandbox
from chat.relay.cluster.nats import Nats
from chat.relay.metrics import Pages, exposition, is_loopback
from chat.relay.sandbox import Means, Unconfined
from chat.relay.server import Relay, Settings
from protocol.addresses import is_local
from protocol.keys import X25519Pair
from protocol.primitives import KEY_SIZE, system_random
from protocol.relay.rendezvous import RelayAddress, format_relay

BACKLOG: Final = 1_024
_NO_SUCH_FAMILY: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on one address, or with an empty host on every one of the machine, on one port.

    `host` is an IP address without brackets. Raises ValueError for anything else, OSError where it cannot be.
    """
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
    """The addresses under which others reach what listens on `host`, public ones first; at most 8.

    A server with a public address is meant to be reached there, which `own_addresses` never tells.
    """
    plain = host.partition("%")[0]
    if plain and not ipaddress.ip_address(plain).is_unspecified:
        return [plain]
    found = interfaces()
    public = [
        address
        for interface in found
        if interface.up and interface.kind is Kind.LAN
        for address in interface.addresses
        if not is_local(address)
    ]
    near = [each for each in own_addresses(found) if not (public and ipaddress.ip_address(each).is_loopback)]
    every = [*sorted(public, key=lambda address: ":" in address), *near]
    return [each for each in every if not plain or (":" in each) == (":" in plain)][:MAX_ADDRESSES]


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def _numeric(
    family: socket.AddressFamily, host: str, port: int
) -> tuple[str, int] | tuple[str, int, int, int]:
    """A socket address; the scope of an IPv6 link-local one is a number there."""
    if family == socket.AF_INET:
        return host, port
    plain, _, scope = host.partition("%")
    if not scope:
        return plain, port, 0, 0
    return plain, port, 0, int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)


PREFIX: Final = "parlour-relay-key:"
_SIZE_MAX: Final = 256


def new_key(path: Path) -> X25519Pair:
    """Make a key, and a file for it that only its owner reads. CannotCreate where there is one already."""
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
    """The key in a file. BadData where there is none, or others may read it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_SIZE_MAX)
    except OSError as error:
        raise BadData(
            f"The key cannot be read from {path} ({error.strerror}): create one with --new-key."
        ) from None
    if sys.platform != "win32" and mode & 0o077:
        raise BadData(
            f"Others can read the key in {path}: run 'chmod 600' on it, or create another with --new-key."
        )
    try:
        return X25519Pair(_secret(content.decode("ascii").strip()))
    except (UnicodeDecodeError, ValueError):
        raise BadData(f"{path} contains no relay key: create one with --new-key.") from None


def _write(path: Path, text: str) -> None:
    """Write a new file durably: people name the relay by its key. Raises OSError, and then leaves no file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - it is open already
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # Windows cannot open a folder; the name is durable with the file
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _text(secret: bytes) -> str:
    return PREFIX + base64.b32encode(secret).decode("ascii").rstrip("=").lower()


def _secret(text: str) -> bytes:
    """The secret in its one text. ValueError for anything else."""
    written = text.removeprefix(PREFIX).upper()
    try:
        secret = base64.b32decode(written + "=" * (-len(written) % 8))
    except binascii.Error as error:
        raise ValueError("not base32") from error
    if len(secret) != KEY_SIZE or _text(secret) != text:
        raise ValueError("not the text of a key")
    return secret


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
    descriptors = sandbox.may_open_descriptors()
    relay = Relay(Settings(pair, SystemClock(), descriptors=descriptors), bus)
    addresses = _addresses(options.host, port_of(servers[0]), pair)
    means = _confined(options)
    say(Started(addresses, options.key_file is not None, means, _page_address(pages)))
    means = (*means[:-1], sandbox.forbid_writing())
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
            "Relays in one cluster share a key: create it with --new-key, and give each relay --key-file."
        )
    return Nats(options.nats, tell)


def _confined(options: Options) -> tuple[Means, ...]:
    """What holds, the limit on file sizes last: that is set when this has been said."""
    try:
        held = sandbox.confine(examinable=options.examinable, connecting=bool(options.nats))
    except Unconfined as error:
        raise CannotCreate(str(error)) from None
    return (*held, sandbox.writing_will_be_forbidden())


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


def _bind_pages(metrics: tuple[str, int] | None) -> socket.socket | None:
    if metrics is None:
        return None
    host, port = metrics
    if not is_loopback(host):
        raise UsageError("--metrics takes a loopback address, such as 127.0.0.1:9090.")
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
        raise BadData("This machine has no address: connect it to a network, or give one with --listen.")
    return tuple(format_relay(RelayAddress(each, port, pair.public)) for each in hosts)
