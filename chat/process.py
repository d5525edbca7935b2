"""What this process must not leave behind: files that others can read, and core files.

Rules: called once, before a profile is opened; what the platform lacks is left out.
"""

from __future__ import annotations

import os
import sys


def make_private() -> None:
    """New files are this user's alone, and a crash writes no memory, which holds keys, to the disk."""
    os.umask(0o077)
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
