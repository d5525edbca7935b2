"""What a program gives back after its start."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from chat.platforms.memory import PAYS_FROM, CodePages, held_of_files, unchanged
from tests.support.machine import needs_process_memory

MIB = 2**20

SMAPS = """\
1000-3000 r-xp 00000000 08:01 42 /lib/libc.so.6
Rss:                   8 kB
Anonymous:             0 kB
3000-5000 r--p 00002000 08:01 42 /lib/libc.so.6
Anonymous:             4 kB
5000-6000 rw-p 00004000 08:01 42 /lib/libc.so.6
Anonymous:             0 kB
6000-7000 r--p 00000000 00:00 0
Anonymous:             0 kB
7000-8000 r--s 00000000 08:01 43 /srv/shared
Anonymous:             0 kB
8000-9000 r--p 00000000 08:01 44 /srv/a name
Anonymous:             0 kB
a000-b000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
"""


def test_only_read_only_pages_that_are_as_in_their_file_are_let_go_of() -> None:
    assert list(unchanged(SMAPS.splitlines())) == [(0x1000, 0x3000), (0x8000, 0x9000)]


class Process:
    """What a process has in its memory, and how often it let go of it."""

    def __init__(self) -> None:
        self.now, self.used, self.held, self.done = 0.0, 0.0, 15 * MIB, 0
        self.pages = CodePages(lambda: self.now, lambda: self.used, lambda: self.held, self._let_go)

    def _let_go(self) -> None:
        self.held, self.done = 2 * MIB, self.done + 1

    def after(self, seconds: float, used: float = 0.0, came: int = 0) -> int:
        self.now, self.used, self.held = self.now + seconds, self.used + used, self.held + came
        self.pages.look()
        return self.done


def test_code_is_let_go_of_after_the_start_and_when_enough_came_back() -> None:
    process = Process()
    assert process.after(9.9) == 0
    assert process.after(0.2) == 1
    assert process.after(3_600.0, came=PAYS_FROM - 1) == 1
    assert process.after(6.0, came=1) == 2


def test_a_busy_process_keeps_its_code_until_it_is_quiet() -> None:
    process = Process()
    assert process.after(20.0, used=1.1) == 0
    assert process.after(6.0, used=0.2) == 1


def test_it_is_not_let_go_of_all_the_time() -> None:
    process = Process()
    assert process.after(20.0) == 1
    assert sum(process.after(6.0, came=5 * MIB) >= 2 for _ in range(9)) == 0
    assert process.after(6.0) == 2


def test_a_system_that_does_not_say_what_is_held_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert held_of_files() > 0 or sys.platform != "linux"

    def nothing(_path: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", nothing)
    assert held_of_files() == 0


def test_a_program_goes_on_without_the_pages_of_its_start(tmp_path: Path) -> None:
    needs_process_memory()
    check = f"""
import re
from pathlib import Path
from sqlcipher3 import dbapi2
from chat.platforms.memory import let_go_of_code
from protocol.primitives import mlkem_encapsulate, mlkem_generate

def of_files():
    return int(re.search(r"RssFile:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

def work():
    secret, public = mlkem_generate()
    shared, ciphertext = mlkem_encapsulate(public)
    assert secret.decapsulate(ciphertext) == shared
    database = dbapi2.connect({str(tmp_path / "a.db")!r})
    database.execute("PRAGMA key = 'a'")
    database.execute("CREATE TABLE IF NOT EXISTS t (a)")
    database.close()

work()
before = of_files()
count = let_go_of_code()
print(count, before, of_files())
work()
"""
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    count, before, after = map(int, re.findall(r"\d+", done.stdout))
    assert count > 0
    assert after < before / 2
