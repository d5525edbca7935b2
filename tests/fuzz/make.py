"""Writes the starting inputs of seeds/fuzz anew: `python -m tests.fuzz.make`."""

from __future__ import annotations

import shutil

from tests.fuzz.targets import FOLDER, TARGETS


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, target in TARGETS.items():
        (FOLDER / name).mkdir(parents=True)
        for label, data in target.inputs().items():
            (FOLDER / name / label).write_bytes(data)


if __name__ == "__main__":
    main()
