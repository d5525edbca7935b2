"""The search of a process's memory finds each of many needles, wherever it begins, and no other."""

from __future__ import annotations

import secrets
import sys

import pytest

from chat.tools.prove.search import search_memory
from tests.support.lab.programs import Program
from tests.support.machine import needs_process_memory

# Keeps what it reads, in hexadecimal, and nothing of the line.
KEEP = """
import sys
kept = bytearray(bytes.fromhex(sys.stdin.readline()))
print("kept", flush=True)
sys.stdin.read()
"""
SIZES = (16, 31, 32, 64)


@pytest.mark.parametrize("size", SIZES)
def test_every_one_of_many_needles_is_found_at_every_place_of_a_word(size: int) -> None:
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


def test_a_needle_that_may_be_there_by_chance_is_none() -> None:
    with pytest.raises(ValueError):
        search_memory(1, [b"too short"])
