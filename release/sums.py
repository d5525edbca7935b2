"""`python -m release.sums FOLDER` writes SHA256SUMS of all packages there, for `sha256sum --check`."""

from __future__ import annotations

import sys
from pathlib import Path

from chat.tools.share.checksum import checksum


def write(folder: Path) -> Path:
    """Write the sums of every other file of a folder; their path. Raises OSError."""
    path = folder / "SHA256SUMS"
    files = sorted(file for file in folder.iterdir() if file.is_file() and file != path)
    path.write_text("".join(f"{checksum(file)}  {file.name}\n" for file in files), "utf-8")
    return path


if __name__ == "__main__":
    print(write(Path(sys.argv[1])).read_text("utf-8"), end="")  # noqa: T201
