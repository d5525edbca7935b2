"""What a proof reads: strace's lines, stored bytes and memory; what cannot be read is not passed over."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from chat.pictures import program
from chat.tools.prove.search import forms, found_in, search_memory
from chat.tools.prove.tracing import Reached, read_calls
from tests.architecture.imports import ROOT
from tests.support.lab.programs import Program
from tests.support.machine import needs_process_memory

BEGINNING = '7 execve("python", ["python"], 0x1 /* 9 vars */) = 0\n'


def calls(tmp_path: Path, line: str) -> tuple[list[Reached], list[str], list[str], list[str]]:
    log = tmp_path / "log"
    log.write_text(BEGINNING + line + "\n")
    found = read_calls(log)
    return found.reached, found.sockets, found.programs, found.unread


V4 = '{sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("9.9.9.9")}'
V6 = (
    "{sa_family=AF_INET6, sin6_port=htons(5353), sin6_flowinfo=htonl(0),"
    ' inet_pton(AF_INET6, "ff02::fb", &sin6_addr), sin6_scope_id=2}'
)


@pytest.mark.parametrize(
    ("line", "reached"),
    [
        (f"7 connect(3, {V4}, 16) = -1 EINPROGRESS", [Reached("9.9.9.9", 53)]),
        (f"7 connect(3, {V4}, 16 <unfinished ...>", [Reached("9.9.9.9", 53)]),
        (f"7 connect(3, {V6}, 28) = 0", [Reached("ff02::fb", 5353)]),
        (f'7 sendto(3, "\\0"..., 9, 0, {V4}, 16) = 9', [Reached("9.9.9.9", 53)]),
        (f"7 sendmsg(3, {{msg_name={V6}, msg_namelen=28, msg_iov=[]}}, 0) = 9", [Reached("ff02::fb", 5353)]),
        (f"7 sendmmsg(3, [{{{V4}}}, {{{V4}}}], 2, 0) = 2", [Reached("9.9.9.9", 53)] * 2),
        ('7 sendto(3, "\\0"..., 9, MSG_NOSIGNAL, NULL, 0) = 9', []),
        ("7 sendto(3, [{nlmsg_len=20}], 20, 0, {sa_family=AF_NETLINK, nl_pid=0}, 12) = 20", []),
    ],
)
def test_addresses_are_read(tmp_path: Path, line: str, reached: list[Reached]) -> None:
    assert calls(tmp_path, line) == (reached, [], [], [])


def test_other_programs_are_read(tmp_path: Path) -> None:
    line = '7 connect(3, {sa_family=AF_UNIX, sun_path="/run/nscd/socket"}, 110) = 0'
    assert calls(tmp_path, line) == ([], ["/run/nscd/socket"], [], [])
    assert calls(tmp_path, '8 execve("/bin/sh", ["sh"], 0x1) = 0') == ([], [], ["/bin/sh"], [])


@pytest.mark.parametrize(
    "line",
    [
        "7 socket(AF_PACKET, SOCK_DGRAM|SOCK_CLOEXEC, htons(ETH_P_ALL)) = 3",
        "7 socket(AF_INET, SOCK_RAW|SOCK_CLOEXEC, IPPROTO_ICMP) = 3",
        "7 io_uring_setup(8, {flags=0}) = 4",
        "7 connect(3, {sa_family=AF_INET, sa_data_min=something}, 16) = 0",
    ],
)
def test_what_cannot_be_read_or_goes_around_it_is_told(tmp_path: Path, line: str) -> None:
    assert calls(tmp_path, line) == ([], [], [], [line])
    netlink = "7 socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_ROUTE) = 3"
    assert calls(tmp_path, netlink) == ([], [], [], [])


@pytest.mark.parametrize("before", range(4))
def test_every_form_of_a_text_is_found_wherever_it_begins(before: int) -> None:
    text = "needle0123456789"
    for form, needle in forms(text).items():
        assert any(form in what for what in found_in(b"x" * before + needle, {"it": text}))
    whole = base64.b64encode(b"x" * before + text.encode() + b"yz")
    assert list(found_in(whole, {"it": text}))
    assert list(found_in(b"something else", {"it": text})) == []


# Keeps what it reads, in hexadecimal, and nothing of the line.
KEEP = """
import sys
kept = bytearray(bytes.fromhex(sys.stdin.readline()))
print("kept", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("size", [16, 31, 32, 64])
def test_every_one_of_many_needles_in_memory_is_found_at_every_place_of_a_word(size: int) -> None:
    needs_process_memory()
    there = [secrets.token_bytes(size) for _ in range(64)]
    absent = [secrets.token_bytes(size) for _ in range(64)]
    kept = b"".join(needle + bytes(1 + number % 8) for number, needle in enumerate(there))
    with Program([sys.executable, "-c", KEEP]) as program:
        program.write(kept.hex() + "\n")
        assert program.line() == "kept"
        found = search_memory(program.pid, [*there, *absent])
        assert found.held == set(there)
        assert found.size > 1 << 20
        assert search_memory(program.pid, there[:2]).held == set(there[:2])
    with pytest.raises(ValueError):
        search_memory(program.pid, [b"by chance"])


def test_only_what_decodes_a_picture_may_start(tmp_path: Path) -> None:
    python, decoder = sys.executable, program.__file__
    decodes = f'7 execve("{python}", ["{python}", "-I", "-S", "{decoder}", "show"], 0x1 /* 0 vars */) = 0'
    assert calls(tmp_path, decodes) == ([], [], [], [])
    other = f'7 execve("/bin/sh", ["{python}", "-I", "-S", "{decoder}", "show"], 0x1 /* 0 vars */) = 0'
    assert calls(tmp_path, other) == ([], [], ["/bin/sh"], [])
    assert calls(tmp_path, decodes.replace(decoder, "/tmp/program.py")) == ([], [], [python], [])


def test_a_terminal_tells_of_every_program_but_the_decoder() -> None:
    said = list[dict[str, object]]()
    code = (
        "import subprocess, sys\n"
        "from chat.pictures import program\n"
        "from chat.tools.prove.tracing import say, tell_of_connections\n"
        "tell_of_connections(say)\n"
        "decoder = [sys.executable, '-I', '-S', program.__file__]\n"
        "null = subprocess.DEVNULL\n"
        "subprocess.run([*decoder, 'show', '1', '1'], env={}, stdin=null, stderr=null)\n"
        "subprocess.run([*decoder[:3], '-c', ''], env={})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=True)
    said += [json.loads(line) for line in done.stdout.splitlines()]
    assert said == [{"started": "subprocess.Popen"}]
