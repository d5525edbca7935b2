"""The checksum of a file as words that two people compare, and the lines that compute it without Parlour.

They are not the words of the protocol's list: a neighbour has no Parlour yet, and a list that came with the
file would prove nothing. These words need a line of Python and no list.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

SYLLABLES: Final = "badefigokulameniporusatevizobuka"
"""Two letters for each hexadecimal digit."""
DIGITS: Final = 24
"""Hexadecimal digits that are compared, 96 bits. Everybody has the file, so finding another one with the same
digits takes 2^96 attempts; the two people have no secret."""
_A_WORD: Final = 4

_BLOCK: Final = 1 << 20


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def words(digest: str) -> str:
    """The six words of a checksum."""
    syllables = [SYLLABLES[2 * int(digit, 16) :][:2] for digit in digest[:DIGITS]]
    return " ".join("".join(syllables[at : at + _A_WORD]) for at in range(0, DIGITS, _A_WORD))


def groups(digest: str) -> str:
    """The beginning of a checksum, in groups, to compare with what other tools print."""
    return " ".join(digest[at : at + _A_WORD] for at in range(0, DIGITS, _A_WORD))


def line(address: str, name: str) -> str:
    """A line of Python that fetches a file and prints the words of what came. It quotes for every shell."""
    # SECURITY: without -I, a hashlib.py in the folder where it is typed would run, and could print any words.
    return (
        'python3 -I -c "import hashlib,urllib.request as u;'
        f"b=u.urlopen('{address}/{name}').read();open('{name}','wb').write(b);"
        "h=hashlib.sha256(b).hexdigest();"
        f"print(*[''.join('{SYLLABLES}'[2*int(d,16):][:2] for d in h[i:i+{_A_WORD}]) "
        f'for i in range(0,{DIGITS},{_A_WORD})])"'
    )
