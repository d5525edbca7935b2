"""The machine and the libraries that a report was measured with."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_LIBRARIES: Final = (
    "PyNaCl",
    "cryptography",
    "msgspec",
    "sqlcipher3",
    "vodozemac",
    "DoubleRatchet",
    "python-olm",
    "noiseprotocol",
)


def processor() -> str:
    """Name, family and model of the processor, as far as the system tells."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(re.findall(r"^(model name|cpu family|model)\s*: (.+)$", told, re.MULTILINE))
    if not found:
        return platform.machine()
    return f"{found.get('model name')}, family {found.get('cpu family')} model {found.get('model')}"


def libraries() -> Iterator[str]:
    """Name and version of everything measured that is installed."""
    for name in _LIBRARIES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def description() -> str:
    """One line: processor, cores, system, Python, libraries."""
    system = f"{platform.system()} {re.match(r'[0-9.]*', platform.release()).group()}"  # type: ignore[union-attr]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{processor()}; {os.cpu_count()} cores; {system}; {python}; {', '.join(libraries())}"
