"""Writes the starting inputs of seeds/fuzz: `python -m tests.fuzz.make`. What was found once stays."""

from __future__ import annotations

from tests.fuzz.target import FOLDER, FOUND
from tests.fuzz.targets import TARGETS


def main() -> None:
    for name, target in TARGETS.items():
        folder = FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            if not old.name.startswith(FOUND):
                old.unlink()
        for label, data in target.inputs().items():
            (folder / label).write_bytes(data)


if __name__ == "__main__":
    main()
