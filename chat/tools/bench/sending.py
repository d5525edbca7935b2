"""The row file.send: a file of 256 MiB goes from one real program to another, next to Python's TLS and scp.

All ends are on loopback, in a network of their own, from file to file. `python -m chat.tools.bench.sending
CERTIFICATE FILE` is the other end of TLS.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

from msgspec import Struct

from chat.interface import (
    WITHOUT_ASKING,
    Closed,
    EntryAdded,
    FileProgress,
    FileState,
    Messenger,
)
from chat.ipc.client import RemoteMessenger
from chat.storage.folder import SOCKET
from chat.tools.bench.flows import Enter, Person, own_network
from chat.tools.bench.measure import NotTaken, Sample, Subject, left_out, rows
from chat.tools.bench.terminals import Program, Terminals
from protocol.primitives import system_random

NAME: Final = "file.send"
SIZE: Final = 256 << 20
ROUNDS: Final = 5
TALKS_EVERY: Final = 0.05
"""Seconds between two texts while a file goes."""
LOOKS_EVERY: Final = 0.02
"""Seconds between two looks at the memory of both programs."""
PATIENCE: Final = 120.0
CIPHER: Final = "aes128-gcm@openssh.com"

_MIB: Final = 1 << 20
_UNIT: Final = "MiB/s"
_TLS: Final = "Python's ssl, TLS 1.3, file to file by sendall and recv_into, with its handshake; no fsync"
_SCP: Final = f"scp -c {CIPHER}, with its start and handshake; no fsync"
_WHOLE: Final = "the same with the sealing before it and the saving after it, one after the other"


class Sent(Struct, frozen=True):
    """One transfer: seconds of its three parts; of texts meanwhile; and the most memory (RssAnon, MiB)."""

    sealing: float
    moving: float
    saving: float
    texts: tuple[float, ...]
    memory: float


def measure(*, rounds: int = ROUNDS, size: int = SIZE, **_: Any) -> list[dict[str, Any]]:
    """All subjects in turn; in one more round people talk while a file goes."""
    rounds = max(2, min(rounds, ROUNDS))
    names = "parlour", "parlour-whole", "tls", "scp"
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parlour-bench-")))
            enter = stack.enter_context(own_network())
            (folder / "a file").write_bytes(system_random(size))
            pair = stack.enter_context(_two_people(folder, enter))
            peers: dict[str, Callable[[], float]] = {"tls": stack.enter_context(_tls(folder, enter))}
            lacking = ""
            try:
                peers["scp"] = stack.enter_context(_scp(folder, enter))
            except NotTaken as told:
                lacking = str(told)
            taken = {name: list[float]() for name in names if name != "scp" or not lacking}
            sent = list[Sent]()
            for number in range(rounds + 1):
                one = pair.send(talk=False)
                measured = [one.moving, one.sealing + one.moving + one.saving]
                measured += [peer() for peer in peers.values()]
                if number:  # the first warms the caches of files
                    sent.append(one)
                    for rate, seconds in zip(taken.values(), measured, strict=True):
                        rate.append(size / _MIB / seconds)
            talked = pair.send(talk=True)
    except NotTaken as told:
        return [left_out(NAME, size, name, _UNIT, str(told)) for name in names]
    notes = {"parlour": _note(sent, talked, size), "parlour-whole": _WHOLE, "tls": _TLS, "scp": _SCP}
    samples = [
        Sample(Subject(name, lambda: None, notes[name]), tuple(rates)) for name, rates in taken.items()
    ]
    report = rows(NAME, size, _UNIT, samples)
    return [*report, left_out(NAME, size, "scp", _UNIT, lacking)] if lacking else report


def _note(sent: list[Sent], talked: Sent, size: int) -> str:
    middle = sorted(sent, key=lambda one: one.sealing)[len(sent) // 2]
    sealing, saving = (round(size / _MIB / seconds) for seconds in (middle.sealing, middle.saving))
    late = quantiles(talked.texts, n=20)[-1] * 1000 if len(talked.texts) > 1 else 0.0
    memory = max(one.memory for one in (*sent, talked))
    return (
        "from the entry to the whole file on the disk of the other program, checked; sealed before at"
        f" {sealing} and saved after it at {saving} MiB/s; 95 of 100 of {len(talked.texts)} texts meanwhile"
        f" within {late:.0f} ms from Enter to the other engine's event; memory {memory:.0f} MiB (RssAnon)"
    )


# --- Parlour ---


class _Pair:
    """Two people whose programs run, with the files that go from the first to the second."""

    def __init__(self, folder: Path, programs: tuple[Program, Program]) -> None:
        self._folder, self._programs = folder, programs

    def send(self, *, talk: bool) -> Sent:
        return asyncio.run(self._send(talk))

    async def _send(self, talk: bool) -> Sent:
        ada, ben = [await RemoteMessenger.open(self._folder / name / SOCKET) for name in ("Ada", "Ben")]
        try:
            return await asyncio.wait_for(self._sent(ada, ben, talk), PATIENCE)
        finally:
            await ada.close()
            await ben.close()

    async def _sent(self, ada: Messenger, ben: Messenger, talk: bool) -> Sent:
        (friend,), (writer,) = [[view.person for view in await one.contacts()] for one in (ada, ben)]
        await ben.set_preference(WITHOUT_ASKING, "100000")
        heard = _Heard()
        hearing = asyncio.create_task(heard.listen(ben))
        looking = asyncio.create_task(_most_memory(self._programs))
        try:
            began = time.perf_counter()
            entry = await ada.send_file(friend, str(self._folder / "a file"))
            sent = time.perf_counter()
            talking = asyncio.create_task(_talk(ada, friend, heard)) if talk else None
            came = await heard.whole(entry.id)
            texts = await talking if talking is not None else ()
            saving = time.perf_counter()
            path = await ben.save_file(writer, entry.id, str(self._folder))
            saved = time.perf_counter()
            await asyncio.to_thread(os.unlink, path)
            for one, contact in ((ada, friend), (ben, writer)):
                await one.delete(contact, entry.id)
            looking.cancel()  # which ends it with what it saw
            return Sent(sent - began, came - sent, saved - saving, texts, await looking)
        finally:
            for task in (hearing, looking):
                task.cancel()


class _Heard:
    """What one engine says: when each text came, and when a file was whole."""

    def __init__(self) -> None:
        self.texts = dict[str, float]()
        self._whole = dict[str, float]()
        self._more = asyncio.Event()

    async def listen(self, messenger: Messenger) -> None:
        async for event in messenger.events():
            if isinstance(event, EntryAdded):
                self.texts[event.entry.text] = time.perf_counter()
            elif isinstance(event, FileProgress) and event.file.state is FileState.WHOLE:
                self._whole[event.id] = time.perf_counter()
            elif isinstance(event, Closed):
                raise NotTaken("a program ended while it was measured")
            self._more.set()

    async def whole(self, entry: str) -> float:
        return await self._moment(self._whole, entry)

    async def came(self, text: str) -> float:
        return await self._moment(self.texts, text)

    async def _moment(self, of: dict[str, float], name: str) -> float:
        while name not in of:
            self._more.clear()
            await self._more.wait()
        return of[name]

    def is_whole(self) -> bool:
        return bool(self._whole)


async def _talk(ada: Messenger, friend: str, heard: _Heard) -> tuple[float, ...]:
    """Texts until the file is whole: seconds from each call to the event at the other engine."""
    spans = list[float]()
    while not heard.is_whole():
        text = f"text {len(spans)} while a file goes"
        began = time.perf_counter()
        await ada.send(friend, text)
        spans.append(await heard.came(text) - began)
        await asyncio.sleep(TALKS_EVERY)
    return tuple(spans)


async def _most_memory(programs: tuple[Program, Program]) -> float:
    """The most own memory of either program until this is cancelled, in MiB."""
    most = 0.0
    for _ in range(int(PATIENCE / LOOKS_EVERY)):
        most = max(most, *(_own(program.id) for program in programs))
        try:
            await asyncio.sleep(LOOKS_EVERY)
        except asyncio.CancelledError:
            break
    return most


def _own(process: int) -> float:
    found = re.search(r"^RssAnon:\s*(\d+) kB", Path(f"/proc/{process}/status").read_text(), re.M)
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def _two_people(folder: Path, enter: Enter) -> Iterator[_Pair]:
    with Terminals() as terminals:
        programs = pair(folder, enter, terminals)
        yield _Pair(folder, programs)
        for program in programs:
            program.stop()


def pair(folder: Path, enter: Enter, terminals: Terminals) -> tuple[Program, Program]:
    """Two new people, Ada and Ben, who are contacts and whose programs run."""
    ada, ben = (Person(name, folder, terminals, enter) for name in ("Ada", "Ben"))
    for one in (ada, ben):
        one.command("init", "--name", one.name).wait_end()
    programs = ada.command("listen", "--house"), ben.command("listen", "--house")
    for program in programs:
        program.wait_for("Listening on")
    _meet(folder, enter)
    return programs


def _meet(folder: Path, enter: Enter) -> None:
    def line(name: str, *words: str) -> list[str]:
        options = "--json", "--profile", str(folder / name)
        return enter([sys.executable, "-m", "chat.cli", *options, *words])

    pipe = subprocess.PIPE
    with subprocess.Popen(line("Ada", "invite", "--yes"), stdout=pipe, stderr=pipe, text=True) as inviting:
        assert inviting.stdout is not None
        invitation = json.loads(inviting.stdout.readline())["invitation"]
        joined = subprocess.run(line("Ben", "join", invitation), capture_output=True, check=False)
        if inviting.wait(PATIENCE) or joined.returncode:
            raise NotTaken("two people could not be paired")


# --- TLS ---


@contextmanager
def _tls(folder: Path, enter: Enter) -> Iterator[Callable[[], float]]:
    """Sends the file to a program of its own by TLS; the seconds that it took."""
    certificate, target = folder / "tls.pem", folder / "by tls"
    _certify(certificate)
    near = [sys.executable, "-m", "chat.tools.bench.sending"]
    command = enter([*near, "to", str(certificate), str(target)])
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        sender = enter([*near, "from", str(certificate), port, str(folder / "a file")])
        try:
            yield lambda: _seconds_said(sender)
        finally:
            server.terminate()


def _seconds_said(command: list[str]) -> float:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return float(done.stdout)


def _certify(path: Path) -> None:
    """A key and a certificate of its own. Raises NotTaken."""
    if shutil.which("openssl") is None:
        raise NotTaken("openssl is not installed")
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    files = ["-keyout", str(path), "-out", f"{path}.public"]
    subprocess.run([*new, *named, *files], check=True, capture_output=True)
    with path.open("ab") as file:
        file.write(Path(f"{path}.public").read_bytes())


def _take_by_tls(certificate: str, target: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    room = bytearray(1 << 18)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            bare, _ = server.accept()
            with (
                context.wrap_socket(bare, server_side=True) as end,
                Path(target).open("wb", buffering=0) as file,
            ):
                left = int.from_bytes(end.recv(8))
                while left:
                    count = end.recv_into(room)
                    file.write(memoryview(room)[:count])
                    left -= count
                end.sendall(b"!")


def _send_by_tls(certificate: str, port: str, source: str) -> None:
    context = ssl.create_default_context(cafile=certificate)
    began = time.perf_counter()
    with (
        context.wrap_socket(
            socket.create_connection(("127.0.0.1", int(port)), PATIENCE), server_hostname="localhost"
        ) as end,
        Path(source).open("rb", buffering=0) as file,
    ):
        end.sendall(Path(source).stat().st_size.to_bytes(8))
        while block := file.read(1 << 18):
            end.sendall(block)
        end.recv(1)
    sys.stdout.write(str(time.perf_counter() - began))


# --- scp ---


@contextmanager
def _scp(folder: Path, enter: Enter) -> Iterator[Callable[[], float]]:
    """Sends the file by scp to an sshd of our own; the seconds that it took. Raises NotTaken."""
    server = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin")
    if missing := [tool for tool in ("scp", "ssh-keygen") if shutil.which(tool) is None]:
        raise NotTaken(f"{' and '.join(missing)} is not installed")
    if server is None:
        raise NotTaken("sshd is not installed")
    home = folder / "ssh"
    home.mkdir(mode=0o700)
    for key in ("host", "person"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / key)], check=True)
    (home / "authorized").write_bytes((home / "person.pub").read_bytes())
    port, target = 2222, folder / "by scp"
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": home / "host",
        "AuthorizedKeysFile": home / "authorized",
        "PidFile": "none",
        "StrictModes": "no",
        "PermitRootLogin": "prohibit-password",
        "UsePAM": "no",
        "Subsystem": "sftp internal-sftp",
    }
    (home / "sshd").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    command = enter([server, "-D", "-e", "-f", str(home / "sshd")])
    options = [
        *("-q", "-c", CIPHER, "-P", str(port), "-i", str(home / "person"), "-F", "none"),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"),
    ]
    copy = enter(["scp", *options, str(folder / "a file"), f"{getpass.getuser()}@127.0.0.1:{target}"])
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            said = running.stderr.readline()
            if "listening" not in said.lower():
                raise NotTaken(f"sshd does not start: {said.strip()}")
            yield lambda: _copied(copy)
        finally:
            running.terminate()


def _copied(command: list[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise NotTaken(f"scp fails: {' '.join(done.stderr.split())}")
    return time.perf_counter() - began


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        ends: dict[str, Callable[..., None]] = {"to": _take_by_tls, "from": _send_by_tls}
        ends[sys.argv[1]](*sys.argv[2:])
