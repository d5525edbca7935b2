"""What a program reaches: strace's record of its system calls, and Python's audit events.

`python -m chat.tools.prove.tracing PROFILE PORT` is a terminal of a proof. It reports in JSON lines what it
reaches for, from before the engine is loaded.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from chat.pictures import program
from chat.storage.folder import make_private

_CALLS: Final = "socket,connect,sendto,sendmsg,sendmmsg,execve,execveat,io_uring_setup"
_WITHIN: Final = 10.0

_V4: Final = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([0-9.]+)"\)')
_V6: Final = re.compile(r'sin6_port=htons\((\d+)\),.*?inet_pton\(AF_INET6, "([0-9a-fA-F:.]+)"')
_UNIX: Final = re.compile(r'sa_family=AF_UNIX, sun_path=(@?"[^"]*")')
_DECODER: Final = ("-I", "-S", program.__file__)
"""Arguments of the one program that a terminal may start. It decodes a picture; strace watches it, too."""

_DECODES: Final = f'("{sys.executable}", [' + ", ".join(f'"{one}"' for one in (sys.executable, *_DECODER))
_STARTED: Final = re.compile(r'\bexecve(?:at)?\(.*?"([^"]*)"')
_BARE: Final = re.compile(r"\bsocket\((?:AF_PACKET|.*SOCK_RAW(?!.*NETLINK))|\bio_uring_setup\(")
"""What reaches out without a call that is read here."""
_UNREADABLE: Final = re.compile(r"sa_family=AF_INET6?\b")


class Reached(Struct, frozen=True):
    """An attempt to reach an IP address and port, successful or not."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Calls(Struct):
    """What a program tried to reach: addresses, Unix sockets, names; and what it started."""

    reached: list[Reached]
    sockets: list[str]
    names: list[str]
    programs: list[str]
    unread: list[str]


def obstacle() -> str:
    """Why strace cannot be used here; empty if it can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    try:
        done = subprocess.run(
            [strace, "-f", "-qq", "-e", "trace=connect", "-o", "/dev/null", "true"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_WITHIN,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "strace does not work here"
    return "" if done.returncode == 0 else "strace may not trace here"


def tracer(log: Path) -> list[str]:
    """The command prefix that records in `log` what the program and its children try to reach."""
    return ["strace", "-f", "-qq", "-s", "256", "-o", str(log), "-e", f"trace={_CALLS}"]


def read_calls(log: Path) -> Calls:
    """The content of the record. Raises OSError."""
    calls = Calls([], [], [], [], [])
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            reached = [Reached(host, int(port)) for each in (_V4, _V6) for port, host in each.findall(line)]
            calls.reached += reached
            if found := _UNIX.search(line):
                calls.sockets.append(found[1].strip('"'))
            if (found := _STARTED.search(line)) and _DECODES not in line:
                calls.programs.append(found[1])
            if _BARE.search(line) or (not reached and _UNREADABLE.search(line)):
                calls.unread.append(line.strip())
    del calls.programs[:1]  # the terminal itself
    return calls


_CONNECTING: Final = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_LOOKING_UP: Final = {
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
    "socket.getnameinfo",
}
_STARTING: Final = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork", "os.forkpty"}


def tell_of_connections(say: Callable[[dict[str, object]], None]) -> None:
    """Report every connection, datagram, name lookup and started program from now on."""

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CONNECTING:
            family, address = arguments[0].family, arguments[1]
            if address and family in (socket.AF_INET, socket.AF_INET6):
                say({"reached": address[0], "port": address[1]})
            elif address and family == getattr(socket, "AF_UNIX", None):
                say({"local": str(address)})
        elif event in _LOOKING_UP:
            say({"looked_up": str(arguments[0])})
        elif event in _STARTING and not _decodes(event, arguments):
            say({"started": event})

    sys.addaudithook(heard)


def _decodes(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether what starts decodes a picture, without an environment."""
    if event != "subprocess.Popen":
        return False
    _executable, command, _folder, environment = arguments
    return tuple(command[1:4]) == _DECODER and command[0] == sys.executable and environment == {}


def say(fields: dict[str, object]) -> None:
    os.write(1, (json.dumps(fields) + "\n").encode())


def main() -> None:
    """PROFILE is the folder, PORT that of the wire before this terminal."""
    make_private()
    tell_of_connections(say)
    from chat.tools.prove.wire import serve

    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), say))


if __name__ == "__main__":
    main()
