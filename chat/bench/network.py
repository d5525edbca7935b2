"""A network of the benchmark's own, so that nothing it starts is seen by anybody nearby.

Rules: one network namespace with nothing but loopback (Linux, as root or with user namespaces); a process
holds it, and it is gone with that process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from chat.bench.report import NotTaken

_TOOLS: Final = ("unshare", "nsenter", "ip")
_HOLD: Final = "ip link set lo up && echo up && exec cat"


class OwnNetwork:
    """`with OwnNetwork() as network: Popen(network.enter(command))`. Raises NotTaken where there is none."""

    def __init__(self) -> None:
        self._as_root: Final = hasattr(os, "geteuid") and os.geteuid() == 0

    def enter(self, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` inside; the process keeps its id."""
        kinds = ["--net"] if self._as_root else ["--user", "--preserve-credentials", "--net"]
        return ["nsenter", f"--target={self._holder.pid}", *kinds, *command]

    def __enter__(self) -> Self:
        kinds = ["--net"] if self._as_root else ["--user", "--map-root-user", "--net"]
        pipe = subprocess.PIPE
        if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
            raise NotTaken(f"no network namespace can be had without {' and '.join(missing)}")
        self._holder = subprocess.Popen(
            ["unshare", *kinds, "sh", "-c", _HOLD], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        assert self._holder.stdout
        if self._holder.stdout.readline() != "up\n":
            _, complaint = self._holder.communicate()
            raise NotTaken(f"no network namespace can be had: {' '.join(complaint.split())}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.communicate()  # its input ends, and so does it
