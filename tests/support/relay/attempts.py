"""A process that confines itself as a relay does, or does not, and then tries what a relay never may.

`python -m tests.support.relay.attempts FOLDER PORT free|confined|examinable|connecting|threads` prints one
JSON object: of each attempt whether it succeeded, and under `means` what the confinement said of itself.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from chat.relay import sandbox

_GET_DUMPABLE = 3


class Attempts:
    """Each method does one thing that a confined process cannot; what it needs is there before."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self._kept = folder / "kept"
        self._kept.write_bytes(b"as it was")
        self._open = (folder / "open").open("wb", buffering=0)
        self._memory = os.memfd_create("kept")
        self._free = socket.socket()

    def write_a_file(self) -> None:
        (self._folder / "new").write_bytes(b"x")

    def append_to_a_file(self) -> None:
        with self._kept.open("ab") as file:
            file.write(b"x")

    def truncate_a_file(self) -> None:
        os.truncate(self._kept, 0)

    def write_into_what_is_open(self) -> None:
        self._open.write(b"x")

    def write_into_memory_that_is_a_file(self) -> None:
        os.write(self._memory, b"x")

    def make_a_folder(self) -> None:
        (self._folder / "folder").mkdir()

    def rename_a_file(self) -> None:
        (self._folder / "open").rename(self._folder / "renamed")

    def link_a_file(self) -> None:
        os.link(self._kept, self._folder / "linked")

    def remove_a_file(self) -> None:
        self._kept.unlink()

    def make_a_socket_file(self) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self._folder / "socket"))

    def run_a_program(self) -> None:
        subprocess.run(["/bin/true"], check=True)

    def connect(self) -> None:
        socket.create_connection(("127.0.0.1", self._port), 5).close()

    def bind(self) -> None:
        self._free.bind(("127.0.0.1", 0))

    def signal_another(self) -> None:
        os.kill(os.getppid(), 0)

    def write_a_core(self) -> None:
        if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
            raise PermissionError

    def be_dumped(self) -> None:
        if ctypes.CDLL(None).prctl(_GET_DUMPABLE, 0, 0, 0, 0) == 0:
            raise PermissionError

    def gain_privileges(self) -> None:
        if "NoNewPrivs:\t1" in Path("/proc/self/status").read_text(encoding="ascii"):
            raise PermissionError


def succeeds(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def main() -> None:
    folder, port, how = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    attempts = Attempts(folder, port)
    means: tuple[sandbox.Means, ...] = ()
    if how == "threads":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if how != "free":
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        means = sandbox.confine(examinable=how == "examinable", connecting=how == "connecting")
        means = (*means, sandbox.forbid_writing())
    names = [name for name in vars(Attempts) if not name.startswith("_")]
    done = {name: succeeds(getattr(attempts, name)) for name in names}
    sys.stdout.write(json.dumps({"means": {one.name: one.holds for one in means}, "done": done}) + "\n")


if __name__ == "__main__":
    main()
