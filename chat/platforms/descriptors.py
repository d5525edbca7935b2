"""How many files and connections this process may have open at a time."""

from __future__ import annotations

import sys
from typing import Final

_ENOUGH: Final = 1 << 20


def may_open_descriptors() -> int:
    """Raise the limit of open descriptors as far as allowed, and return it; 0 if it cannot be read."""
    if sys.platform == "win32":
        return 0
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        most = _ENOUGH
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError):  # macOS has a lower limit that cannot be read
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most
