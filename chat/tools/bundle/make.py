"""Writes a bundle: an archive that Python runs, with wheels in it. The same wheels give the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from chat.tools.bundle.launch import CONTENTS

START: Final = b"""#!/usr/bin/env python3
"This copy of Parlour is not complete: copy the file again.
"""
"""Python reads the second line only where the end of the archive is missing, and shows it with the error."""
DATE: Final = (1980, 1, 1, 0, 0, 0)
"""The date of every member, the first that an archive can have."""

_MODULES: Final = {"__main__.py": "first.py", "launch.py": "launch.py"}
_MOVED: Final = re.compile(r"[^/]+\.data/(?:purelib|platlib|headers)/")
"""Modules that an installer puts elsewhere. It moves manuals and scripts too, which a bundle leaves alone."""

_LIBC: Final = re.compile(r"manylinux_(\d+)_(\d+)_")
_MACOS: Final = re.compile(r"macosx_(\d+)_(\d+)_")


class Unfit(Exception):
    """A wheel cannot be in a bundle, since only an installer puts its modules where they belong.

    The argument is its name.
    """


def write(path: Path, version: str, wheels: Mapping[str, bytes], fits: Mapping[str, tuple[str, ...]]) -> None:
    """Write a bundle under its name once it is whole, executable. Raises Unfit, OSError.

    `wheels` by file name; `fits`: for each `launch.place` the names of the wheels that it needs.
    """
    for name, content in wheels.items():
        with ZipFile(BytesIO(content)) as wheel:
            if any(_MOVED.match(member) or ".." in member.split("/") for member in wheel.namelist()):
                raise Unfit(name)
    contents = {
        "version": version,
        "wheels": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(wheels.items())},
        "fits": {
            place: {"least": least(names), "wheels": sorted(names)} for place, names in sorted(fits.items())
        },
    }
    source = files("chat.tools.bundle")
    descriptor, new = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(START)
            with ZipFile(file, "w") as archive:
                for member, module in _MODULES.items():
                    add(archive, member, source.joinpath(module).read_bytes(), ZIP_STORED)
                add(archive, CONTENTS, json.dumps(contents, indent=1).encode() + b"\n", ZIP_STORED)
                for name, content in sorted(wheels.items()):
                    add(archive, f"wheels/{name}", content, ZIP_STORED)
        Path(new).chmod(0o755)
        Path(new).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(new).unlink()
        raise


def add(archive: ZipFile, name: str, content: bytes, method: int, level: int | None = None) -> None:
    """Add a member whose bytes depend on its name, its content and zlib alone."""
    member = ZipInfo(name, DATE)
    member.compress_type = method
    member.create_system = 3  # Unix, wherever it is made
    member.external_attr = 0o100_644 << 16
    archive.writestr(member, content, compresslevel=level)


def least(names: tuple[str, ...]) -> list[int]:
    """The version of glibc or macOS that wheels with these names need; [0] if they need none."""
    needed = [[0]]
    for name in names:
        tags = name.replace("manylinux2014_", "manylinux_2_17_").replace("manylinux2010_", "manylinux_2_12_")
        found = [*_LIBC.findall(tags), *_MACOS.findall(tags)]
        needed += [min([int(major), int(minor)] for major, minor in found)] if found else []
    return max(needed)
