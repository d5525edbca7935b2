"""Leaves Python's own OpenSSL out of a program that opens no TLS connection.

asyncio and hashlib load it where it is there: 5 MiB of memory, and 8 ms of each start. Both do without where
Python was built without it, and that is what they see here. PyNaCl and cryptography have their own libraries.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

_HASHES = (("_sha2",), ("_sha256", "_sha512"))  # since Python 3.12, and before
_LEFT_OUT = {"ssl": ("asyncio",), "_hashlib": ("hashlib", "hmac")}


def leave_out() -> None:
    """Import asyncio, hashlib and hmac without OpenSSL.

    What was imported before stays as it is. Where Python has no hash functions of its own, hashlib keeps it.
    """
    for binding, users in _LEFT_OUT.items():
        if binding in sys.modules or any(name in sys.modules for name in users):
            continue
        if binding == "_hashlib" and not _has_hashes():
            continue
        sys.modules[binding] = None  # type: ignore[assignment]  # its import raises ImportError
        try:
            for name in users:
                import_module(name)
        finally:
            del sys.modules[binding]


def _has_hashes() -> bool:
    return any(all(find_spec(name) for name in names) for names in _HASHES) and bool(find_spec("_sha3"))
