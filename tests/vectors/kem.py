"""ML-KEM ciphertexts of the vectors, made once and kept in kem.json: python -m tests.vectors.kem.

Rules: a library that takes no randomness cannot make a ciphertext twice, so it is an input; the key pair
comes from the seed phrase, and the shared secret from decapsulation. What is in the file stays as it is.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Final

from protocol.primitives import mlkem_encapsulate, mlkem_from_seed
from protocol.vectors.frame import Json
from tests.vectors.files import Seed, read_phrase, to_text

_ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = _ROOT / "protocol" / "vectors" / "kem.json"
PHRASE_FILE: Final = _ROOT / "seeds" / "vectors.txt"
NAMES: Final = ("primitives", "XX", "XXpsk0", "IKpsk2", "linking")


@cache
def _ciphertexts() -> Json:
    found: Json = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def kem_seed(phrase: str, name: str) -> bytes:
    """The seed, 64 bytes (d ‖ z), of the key that the ciphertext of this name is for."""
    seed = Seed(phrase, "kem")
    return seed.bytes(f"{name}/d") + seed.bytes(f"{name}/z")


def kem_ciphertext(name: str) -> bytes:
    """The ciphertext, 1088 bytes."""
    return bytes.fromhex(_ciphertexts()[name])


def kem_secret(phrase: str, name: str) -> bytes:
    """The shared secret, 32 bytes, of both ends."""
    return mlkem_from_seed(kem_seed(phrase, name))[0].decapsulate(kem_ciphertext(name))


def main() -> int:
    """Make the ciphertexts that are not there yet."""
    kept = _ciphertexts() if FILE.is_file() else {}
    phrase = read_phrase(PHRASE_FILE.read_text(encoding="utf-8"))
    for name in NAMES:
        if name not in kept:
            kept[name] = mlkem_encapsulate(mlkem_from_seed(kem_seed(phrase, name))[1])[1].hex()
    FILE.write_text(to_text(kept), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
