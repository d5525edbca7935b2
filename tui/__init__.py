"""The terminal interface: one of the two clients of `chat.interface`. Importing it loads no Textual."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat.interface import Door
    from tui.preferences import Options

# Textual reads these once, when it is imported: they write what is on the screen to files or sockets.
LEAKS = (
    "TEXTUAL",
    "TEXTUAL_DEBUG",
    "TEXTUAL_LOG",
    "TEXTUAL_SCREENSHOT",
    "TEXTUAL_SCREENSHOT_LOCATION",
    "TEXTUAL_SCREENSHOT_FILENAME",
    "TEXTUAL_PRESS",
    "TEXTUAL_DEVTOOLS_HOST",
    "TEXTUAL_DEVTOOLS_PORT",
)
for _name in LEAKS:  # here, because every module of this package is imported after it, and Textual by those
    os.environ.pop(_name, None)


def run(door: Door, options: Options | None = None) -> None:
    """Open the interface on the profile behind `door`; returns when the person has closed it.

    A fault of the program is printed as one line and leaves by SystemExit with status 1.
    """
    from tui.textual_fixes import pause_collection

    pause_collection()
    from tui.app import ParlourApp
    from tui.terminal import taken_over
    from tui.textual_fixes import use_paste_parser

    use_paste_parser()
    handed = taken_over()
    app = ParlourApp(door, options, handed)
    for problem in app.key_problems if handed is None else ():
        sys.stderr.write(f"parlour: {problem}\n")
    app.run()
    if app.return_code:
        raise SystemExit(app.return_code)
