"""The relay's key: in a file that another run made, or new at each start.

Rules: a relay that serves opens its key for reading alone; a file that others could read is no key. Whoever
has the key can pass for the relay and learns addresses and timing, never content.
"""

from __future__ import annotations

import base64
import binascii
import os
import sys
from pathlib import Path
from typing import Final

from chat.interface import BadData, CannotCreate
from protocol.keys import X25519Pair
from protocol.primitives import KEY_SIZE, system_random

PREFIX: Final = "parlour-relay-key:"
_SIZE_MAX: Final = 256


def new_key(path: Path) -> X25519Pair:
    """Make a key, and a file for it that only its owner reads. CannotCreate where there is one already."""
    secret = system_random(KEY_SIZE)
    try:
        _write(path, _text(secret) + "\n")
    except FileExistsError:
        raise CannotCreate(f"There is a file at {path} already: name another, or keep that key.") from None
    except OSError as error:
        raise CannotCreate(
            f"The key cannot be written to {path} ({error.strerror}): name another place."
        ) from None
    return X25519Pair(secret)


def read_key(path: Path) -> X25519Pair:
    """The key in a file. BadData where there is none, or others may read it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_SIZE_MAX)
    except OSError as error:
        raise BadData(
            f"The key cannot be read from {path} ({error.strerror}): make one with --new-key."
        ) from None
    if sys.platform != "win32" and mode & 0o077:
        raise BadData(f"Others can read the key in {path}: 'chmod 600' it, or make another with --new-key.")
    try:
        return X25519Pair(_secret(content.decode("ascii").strip()))
    except (UnicodeDecodeError, ValueError):
        raise BadData(f"There is no relay's key in {path}: make one with --new-key.") from None


def _write(path: Path, text: str) -> None:
    """Write a new file durably: people name the relay by its key. Raises OSError, and then leaves no file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - it is open already
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # Windows cannot open a folder; the name is durable with the file
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _text(secret: bytes) -> str:
    return PREFIX + base64.b32encode(secret).decode("ascii").rstrip("=").lower()


def _secret(text: str) -> bytes:
    """The secret in its one text. ValueError for anything else."""
    written = text.removeprefix(PREFIX).upper()
    try:
        secret = base64.b32decode(written + "=" * (-len(written) % 8))
    except binascii.Error as error:
        raise ValueError("not base32") from error
    if len(secret) != KEY_SIZE or _text(secret) != text:
        raise ValueError("not the text of a key")
    return secret
