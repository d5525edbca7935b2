"""ML-DSA-65 signatures of the vectors, made once and kept in mldsa.json by the id of the signed operation.

The library draws randomness for each signature, so that none can be made twice. `generate` makes those that
the file lacks and leaves out those that no vector has.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final

from protocol.identity.log import parse_operation
from tests.vectors.files import to_text
from tests.vectors.persons_signed import with_signatures

FILE: Final = Path(__file__).resolve().parents[2] / "protocol" / "vectors" / "mldsa.json"
_PLACE: Final = 1  # among the signatures of a Recover

_used: dict[str, str] = {}


@cache
def _kept() -> dict[str, str]:
    found: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    return found


def recorded(signed: bytes) -> bytes:
    """A signed Recover with the kept ML-DSA-65 signature in the place of the one that was drawn."""
    logged = parse_operation(signed)
    signatures, name = list(logged.signatures), logged.id.hex()
    _used.setdefault(name, _kept().get(name, signatures[_PLACE].hex()))
    signatures[_PLACE] = bytes.fromhex(_used[name])
    return with_signatures(signed, *signatures)


def begin() -> None:
    """Forget what was asked for so far: others than the generator ask in one process with it."""
    _used.clear()


def used() -> str:
    """The text of the file with the signatures that were asked for."""
    return to_text(dict(sorted(_used.items())))
