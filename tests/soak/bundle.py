"""`python -m tests.soak.bundle BUNDLE`: the bundle as new users meet it. Exits with 1. Needs root and tmux.

Two lab hosts with the system's Python, an empty home and no Python packages run the file, and two people pair
nearby and talk, within a minute of the first start. Then one of them shares Parlour with a third host that
has nothing, which types the line that it is shown, and that one with a fourth. Both screens show the same
words each time, and the two new people talk as well.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import Final

from release.bundle import OTHER, is_current
from tests.support.e2e.people import Person, pair
from tests.support.lab.hosts import Host, Lab
from tests.support.lab.programs import Program

MINUTE: Final = 60.0
PATIENCE: Final = 120.0
PYTHON: Final = "/usr/bin/python3"
NO_PACKAGES: Final = (
    "for folder in /usr/lib/python3/dist-packages /usr/local/lib/python3*/dist-packages; do "
    '[ ! -d "$folder" ] || mount -t tmpfs none "$folder"; done; exec "$@"'
)
"""What hides the packages of the system from a command, in a mount namespace of its own."""


class NewUser(Person):
    """Somebody whose machine has Python and a copy of the bundle, if that."""

    def __init__(self, name: str, folder: Path, host: Host) -> None:
        self.home = folder / name.lower()
        self.home.mkdir()
        self.bundle = self.home / "parlour.pyz"
        self.machine = host
        self._name = name

    def start(self) -> None:
        """Open the interface, as `./parlour.pyz` does."""
        super().__init__(self._name, self.home / "profile", self.machine, program=self.line(str(self.bundle)))

    def line(self, *command: str) -> list[str]:
        """A command on this person's machine."""
        kept = ("TERM", "COLORTERM", "TMUX", "LANG", "LC_ALL", "LC_MESSAGES", "LANGUAGE")
        names = " ".join(f'{name}="${name}"' for name in kept)
        clean = f'env -i HOME="{self.home}" PATH=/usr/bin:/bin {names} "$@"'
        inside = ["sh", "-c", NO_PACKAGES, "sh", "sh", "-c", f'cd "{self.home}"; exec {clean}', "sh"]
        return ["unshare", "--mount", "--propagation", "private", *inside, *command]


def talk(one: NewUser, other: NewUser) -> None:
    one.write("Good morning")
    other.read("Good morning")
    other.write("It works here")
    one.read("It works here")


def try_out(bundle: Path, say: Callable[[str], object]) -> None:
    """Raises AssertionError, Unseen, Silent for what does not work."""
    with tempfile.TemporaryDirectory(prefix="parlour-tried-") as work, Lab(4) as lab:
        names = ("Ada", "Ben", "Cem", "Dora")
        ada, ben, cem, dora = (NewUser(*each) for each in zip(names, repeat(Path(work)), lab.hosts))
        for person in (ada, ben):
            shutil.copy(bundle, person.bundle)
        say(f"Two people with a copy talk after {met(ada, ben):.1f} s, first starts included.")
        began = time.monotonic()
        shared(ada, cem)
        shared(cem, dora)
        say(f"Two others have it from a neighbour, and that one's neighbour, after {_since(began)}.")
        say(f"They talk after {met(cem, dora):.1f} s.")


def met(one: NewUser, other: NewUser) -> float:
    """Both start for the first time, pair nearby, talk and leave; the seconds until they talked."""
    began = time.monotonic()
    with ExitStack() as until:
        for person in (one, other):
            person.start()
            until.enter_context(person)
        pair(one, other)
        talk(one, other)
        took = time.monotonic() - began
    assert took < MINUTE, f"they talked after {took:.1f} s"
    return took


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"


def shared(giver: NewUser, taker: NewUser) -> None:
    """The giver's terminal shares what it runs from, and the taker types the line."""
    with Program(giver.machine.enter(*giver.line(str(giver.bundle), "--json", "share"))) as sharing:
        told = json.loads(sharing.line(PATIENCE))
        assert giver.machine.address in told["addresses"][0]
        typed = taker.machine.run(*taker.line("sh", "-c", told["line"]), seconds=PATIENCE)
        assert typed.strip() == told["words"], "both screens show the same words"
        assert json.loads(sharing.line(PATIENCE)) == {"fetched": True}
        assert sharing.wait_exit() == 0
    assert taker.bundle.read_bytes() == giver.bundle.read_bytes()
    taker.bundle.chmod(0o755)


def main() -> int:
    bundle, write = Path(sys.argv[1]).absolute(), sys.stdout.write
    if not is_current(bundle):
        sys.stderr.write(f"{OTHER}\n")
        return 1
    version = subprocess.run([PYTHON, "--version"], capture_output=True, text=True, check=True).stdout
    write(f"{bundle.name}, {bundle.stat().st_size / 1_000_000:.0f} MB, with the system's {version}")
    try:
        try_out(bundle, lambda line: write(f"{line}\n"))
    except AssertionError as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
