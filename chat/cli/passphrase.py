"""Where passphrases come from: asked for, or read from a file or standard input; never an argument.

Rules: a passphrase is the first line of its source, as it stands; a new one that is typed is asked for twice,
and once more where it is short.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from chat.cli.output import note
from chat.cli.terminal import Lines, ask_secret
from chat.interface import SHORT_PASSPHRASE, NotPermitted, UsageError, passphrase_problem

STDIN: Final = "-"
_BYTES_MAX: Final = 4096
"""Read from a file named by mistake no more than this."""

LOST_IS_LOST: Final = (
    "The passphrase cannot be recovered: without it nobody opens this profile, you included."
)


def read_passphrase(source: str | None, lines: Lines, prompt: str = "Passphrase: ") -> str:
    """The profile's passphrase. Raises UsageError (no such file, empty), NotPermitted (nobody to ask)."""
    if source is None:
        return _not_empty(ask_secret(prompt))
    return _not_empty(_from_input(lines) if source == STDIN else _from_file(Path(source)))


def read_new_passphrase(source: str | None, lines: Lines) -> str:
    """A passphrase to be set. Raises like `read_passphrase`, and UsageError when two typed ones differ."""
    if source is not None:
        return read_passphrase(source, lines)
    note(LOST_IS_LOST)
    passphrase = _not_empty(ask_secret("New passphrase: "))
    while True:
        problem = passphrase_problem(passphrase, ask_secret("The same passphrase again: "))
        if problem is None:
            return passphrase
        if problem is not SHORT_PASSPHRASE:
            raise UsageError(f"{problem} Run the command again.")
        note(problem)
        other = ask_secret("New passphrase: ")
        if not other:
            return passphrase
        passphrase = other


def _from_input(lines: Lines) -> str:
    line = lines.line()
    if line is None:
        raise NotPermitted("There is no passphrase on standard input: give it as the first line.")
    return line


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"The passphrase file cannot be read ({error.strerror}): check its name.") from error
    line = data.split(b"\n", 1)[0].removesuffix(b"\r")
    if len(line) > _BYTES_MAX:
        raise UsageError(f"The passphrase file's first line is longer than {_BYTES_MAX} bytes.")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise UsageError("The passphrase file is not UTF-8 text: is it the right file?") from error


def _not_empty(text: str) -> str:
    if not text:
        raise UsageError("The passphrase is empty: choose one of a few words.")
    return text
