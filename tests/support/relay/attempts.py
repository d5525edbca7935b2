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


def attempts(folder: Path, port: int) -> dict[str, Callable[[], object]]:
    """Each does one thing that a confined process cannot; what it needs is there before."""
    kept, free, memory = folder / "kept", socket.socket(), os.memfd_create("kept")
    kept.write_bytes(b"as it was")
    opened = (folder / "open").open("wb", buffering=0)
    there = ("127.0.0.1", port)
    return {
        "write_a_file": lambda: (folder / "new").write_bytes(b"x"),
        "append_to_a_file": lambda: kept.open("ab", buffering=0).write(b"x"),
        "truncate_a_file": lambda: os.truncate(kept, 0),
        "write_into_what_is_open": lambda: opened.write(b"x"),
        "write_into_memory_that_is_a_file": lambda: os.write(memory, b"x"),
        "make_a_folder": lambda: (folder / "folder").mkdir(),
        "rename_a_file": lambda: (folder / "open").rename(folder / "renamed"),
        "link_a_file": lambda: os.link(kept, folder / "linked"),
        "remove_a_file": kept.unlink,
        "make_a_socket_file": lambda: socket.socket(socket.AF_UNIX).bind(str(folder / "socket")),
        "run_a_program": lambda: subprocess.run(["/bin/true"], check=True),
        "connect": lambda: socket.create_connection(there, 5).close(),
        "bind": lambda: free.bind(("127.0.0.1", 0)),
        "signal_another": lambda: os.kill(os.getppid(), 0),
        "write_a_core": lambda: denied(resource.getrlimit(resource.RLIMIT_CORE)[1] == 0),
        "be_dumped": lambda: denied(ctypes.CDLL(None).prctl(_GET_DUMPABLE, 0, 0, 0, 0) == 0),
        "gain_privileges": lambda: denied(
            "NoNewPrivs:\t1" in Path("/proc/self/status").read_text(encoding="ascii")
        ),
    }


def denied(holds: bool) -> None:
    if holds:
        raise PermissionError


def succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def main() -> None:
    folder, port, how = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    tried = attempts(folder, port)
    means: tuple[sandbox.Means, ...] = ()
    if how == "threads":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if how != "free":
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        means = sandbox.confine(examinable=how == "examinable", connecting=how == "connecting")
        means = (*means, sandbox.forbid_writing())
    done = {name: succeeds(attempt) for name, attempt in tried.items()}
    sys.stdout.write(json.dumps({"means": {one.name: one.holds for one in means}, "done": done}) + "\n")


if __name__ == "__main__":
    main()
