"""What a program gives back after its start."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from chat.platforms.memory import unchanged
from tests.support.machine import needs_process_memory

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
