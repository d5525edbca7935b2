"""Make every vector file from the seed phrase: python -m protocol.vectors.generate [--check].

With --check nothing is written, and the exit status is 1 if a committed file differs from the one that this
code makes. Deterministic: the same phrase and code give the same bytes on every machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from protocol.vectors import (
    codec_build,
    discovery_build,
    entries_build,
    links_build,
    noise_build,
    padding_build,
    pairing_build,
    persons_build,
    primitives_build,
    profile_build,
    receipts_build,
    relays_build,
    safety_build,
    secrets_build,
    sessions_build,
)
from protocol.vectors.files import read_phrase, to_text
from protocol.vectors.frame import Json

FOLDER: Final = Path(__file__).parent
PHRASE_FILE: Final = FOLDER.parent.parent / "seeds" / "vectors.txt"

BUILDERS: Final[Mapping[str, Callable[[str], Json]]] = {
    "codec": codec_build.build,
    "padding": padding_build.build,
    "primitives": primitives_build.build,
    "profile": profile_build.build,
    "safety": safety_build.build,
    "noise": noise_build.build,
    "sessions": sessions_build.build,
    "secrets": secrets_build.build,
    "discovery": discovery_build.build,
    "links": links_build.build,
    "persons": persons_build.build,
    "pairing": pairing_build.build,
    "entries": entries_build.build,
    "receipts": receipts_build.build,
    "relays": relays_build.build,
}
"""What makes the file of each area from the phrase."""


def made_files() -> dict[Path, str]:
    """The text of every file, by its path."""
    phrase = read_phrase(PHRASE_FILE.read_text(encoding="utf-8"))
    return {FOLDER / f"{name}.json": to_text(build(phrase)) for name, build in BUILDERS.items()}


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
