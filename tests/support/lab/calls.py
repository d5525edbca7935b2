"""What a program asks of the system from exec to exit, by strace: files written, machines called.

Rules: an attempt counts, whether it succeeded or not; the tracer is no parent of the program, so that its
process id and exit status are its own; a way to write that is not listed here is seen by nobody.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_TRACED: Final = "%file,%desc,accept4,connect,memfd_create,mq_open,open_by_handle_at,io_uring_setup"
_FLAGS: Final = "O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE"
_OPENS: Final = r"open|openat|openat2|open_by_handle_at|mq_open"
# Names of files made, changed or removed; memory that is a file; and a queue of calls that strace cannot see.
_ALWAYS: Final = (
    r"creat|mkdir\w*|rename\w*|link\w*|symlink\w*|unlink\w*|rmdir|mknod\w*|f?truncate\w*|fallocate|memfd_create"
    r"|io_uring_setup|connect"
)
_WRITING: Final = re.compile(rf"\b(?:(?:{_OPENS})\(.*(?:{_FLAGS})|(?:{_ALWAYS})\()")


def traced(log: Path) -> list[str]:
    """The command before a program's own that writes its calls into a file."""
    return ["strace", "-D", "-f", "-qq", "-o", str(log), "-e", f"trace={_TRACED}"]


def writing(log: Path) -> list[str]:
    """The calls that open a file for writing, make, change or remove one, or connect anywhere."""
    return [line for line in log.read_text(errors="replace").splitlines() if _WRITING.search(line)]
