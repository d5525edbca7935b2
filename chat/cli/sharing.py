"""The command share: a neighbour on the network gets Parlour from here, without internet."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from chat.cli.output import FAILED, note
from chat.cli.session import Call, command, coroutine, until_stopped
from chat.interface import CannotCreate, Unreachable, UsageError

if TYPE_CHECKING:
    from chat.tools.share.source import Bundle

NOT_ITS_OWN: Final = "Sharing needs no profile: omit --profile and --passphrase-file."
MAKING: Final = "Collecting Parlour as it is installed here, for machines of the same kind."
NO_NETWORK: Final = "This machine has no address on a local network: connect it first."
DIFFERENT: Final = "If they differ, delete the file there: somebody changed it on its way."
PORT: Final = 4748


@command("share")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--check", is_flag=True, help="Only print the words and the checksum of FILE.")
@coroutine
async def share(call: Call, file: Path | None, check: bool) -> int | None:
    """Give Parlour to somebody on this network who does not have it. No internet is needed.

    FILE is a bundle (parlour.pyz); without it, the one that runs, or one made of what is installed. Parlour
    prints a line to type on the other machine, and the words that must appear there.

    The address works for one download, within ten minutes. Status 1: nobody fetched it.
    """
    if call.profile or call.passphrase_file is not None:
        raise UsageError(NOT_ITS_OWN)
    # A program of its own, as those that measure are.
    from chat.tools.share import source

    with tempfile.TemporaryDirectory(prefix="parlour-") as work:
        try:
            bundle = source.read(file or source.running() or _made(Path(work)))
        except source.NoBundle as none:
            raise UsageError(str(none)) from None
        if check:
            _say_checksum(call, bundle)
            return None
        return await _serve(call, bundle)


def _made(work: Path) -> Path:
    from chat.tools.share import source

    note(MAKING)
    try:
        return source.make_one(work)
    except OSError as error:
        raise CannotCreate(f"The bundle cannot be written to {work} ({error.strerror}).") from None


def _say_checksum(call: Call, bundle: Bundle) -> None:
    from chat.tools.share import checksum

    words = checksum.words(bundle.digest)
    call.result({"words": words, "sha256": bundle.digest}, f"{words}\n{bundle.digest}")


async def _serve(call: Call, bundle: Bundle) -> int | None:
    from chat.tools.share import serving, source

    path = serving.random_path()
    server = serving.LocalServer.of_this_machine()
    if not server.places:
        raise Unreachable(NO_NETWORK)
    offer = serving.Offer(bundle.path, source.NAME, path, source.page(bundle, path), note, server.keep)
    try:
        listener = await server.listen(call.port or PORT, offer.serve)
    except OSError:
        if call.port:
            raise CannotCreate(f"Port {call.port} is in use: choose another one.") from None
        listener = await server.listen(0, offer.serve)
    fetched = False

    async def wait() -> None:
        nonlocal fetched
        fetched = await offer.until_fetched()

    try:
        _say(call, bundle, serving.addresses(server, listener.port, path))
        await until_stopped(wait())
    finally:
        await listener.close()
    text = "It was fetched. Compare the words now." if fetched else "Nobody fetched it."
    call.result({"fetched": fetched}, text)
    return None if fetched else FAILED


def _say(call: Call, bundle: Bundle, addresses: list[str]) -> None:
    from chat.tools.share import checksum, source

    words, first = checksum.words(bundle.digest), addresses[0]
    fields = {
        "addresses": addresses,
        "line": checksum.line(first, source.NAME),
        "words": words,
        "sha256": bundle.digest,
        "bytes": bundle.size,
        "version": bundle.version,
        "systems": bundle.systems,
        "pythons": bundle.pythons,
    }
    runs_on = f"Python {', '.join(bundle.pythons)} on {', '.join(bundle.systems)}"
    lines = [
        f"Parlour {bundle.version}, {bundle.size / 1_000_000:.0f} MB, runs with {runs_on}.",
        "",
        "On the other machine, type this line:",
        f"  {checksum.line(first, source.NAME)}",
        f"or open {first} in a browser, which says how to compare the checksum.",
        *(f"This machine is also {other}" for other in addresses[1:]),
        "",
        "The other screen must show these words:",
        f"  {words}",
        f"A SHA-256 checksum must begin with {checksum.groups(bundle.digest)}.",
        f"If they are the same, start it there: python3 {source.NAME}",
        DIFFERENT,
        "",
        "The address works for one download, within ten minutes. Ctrl-C ends it.",
    ]
    call.result(fields, "\n".join(lines))
