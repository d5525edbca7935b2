"""Make every vector file anew from the seed phrase: python -m protocol.vectors.generate [--check].

With --check nothing is written, and the exit status is 1 if a committed file differs from what would be.
Deterministic: the same phrase and code give the same bytes on every machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

from protocol.vectors.frame import read_phrase, to_text
from protocol.vectors.own import AREAS

FOLDER = Path(__file__).parent
PHRASE_FILE = FOLDER.parent.parent / "seeds" / "vectors.txt"


def made_files() -> dict[Path, str]:
    """The text of every file, by its path."""
    phrase = read_phrase(PHRASE_FILE.read_text(encoding="utf-8"))
    return {FOLDER / f"{name}.json": to_text(area.build(phrase)) for name, area in AREAS.items()}


def differing() -> list[Path]:
    """Files that are not what this program makes, or that are missing."""
    return [
        path for path, text in made_files().items() if not path.is_file() or path.read_text("utf-8") != text
    ]


def main(arguments: list[str]) -> int:
    """Write all files, or with --check name those that differ."""
    if arguments == ["--check"]:
        different = differing()
        sys.stderr.writelines(f"{path.name} differs from what generate.py makes\n" for path in different)
        return 1 if different else 0
    for path, text in made_files().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
