"""Looks at inputs again in the same memory, without a fuzzer: `python -m tests.fuzz.again TARGET FILE…`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fuzz.run import limit_memory
from tests.fuzz.targets import TARGETS


def main(name: str, *files: str) -> None:
    limit_memory()
    for file in files:
        verdict = "accepted" if TARGETS[name].accepts(Path(file).read_bytes()) else "refused"
        sys.stdout.write(f"{file}: {verdict}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
