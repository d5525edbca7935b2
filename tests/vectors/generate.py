"""Make every vector file from the seed phrase: python -m tests.vectors.generate [--check].

With --check nothing is written, and the exit status is 1 if a committed file differs from the one that this
code makes. Deterministic: the same phrase and code give the same bytes on every machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from protocol.vectors.frame import Json
from tests.vectors import (
    attachments,
    backup,
    codec,
    discovery,
    entries,
    linking,
    links,
    mldsa,
    noise,
    padding,
    pairing,
    persons,
    primitives,
    profile,
    receipts,
    relays,
    safety,
    secrets,
    sessions,
    siblings,
)
from tests.vectors.files import read_phrase, to_text

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "protocol" / "vectors"
PHRASE_FILE: Final = ROOT / "seeds" / "vectors.txt"

BUILDERS: Final[Mapping[str, Callable[[str], Json]]] = {
    "codec": codec.build,
    "padding": padding.build,
    "primitives": primitives.build,
    "profile": profile.build,
    "backup": backup.build,
    "safety": safety.build,
    "noise": noise.build,
    "sessions": sessions.build,
    "secrets": secrets.build,
    "discovery": discovery.build,
    "links": links.build,
    "persons": persons.build,
    "pairing": pairing.build,
    "linking": linking.build,
    "entries": entries.build,
    "receipts": receipts.build,
    "siblings": siblings.build,
    "relays": relays.build,
    "attachments": attachments.build,
}
"""What makes the file of each area from the phrase."""


def made_files() -> dict[Path, str]:
    """The text of every file, by its path."""
    phrase = read_phrase(PHRASE_FILE.read_text(encoding="utf-8"))
    mldsa.begin()
    files = {FOLDER / f"{name}.json": to_text(build(phrase)) for name, build in BUILDERS.items()}
    return files | {mldsa.FILE: mldsa.used()}


def differing() -> list[Path]:
    """Files that are not what this program makes, or that are missing."""
    return [
        path for path, text in made_files().items() if not path.is_file() or path.read_text("utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    """Write all files, or with --check name those that differ."""
    if arguments == ["--check"]:
        different = differing()
        sys.stderr.writelines(f"{path.name} differs from what this program makes\n" for path in different)
        return 1 if different else 0
    for path, text in made_files().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
