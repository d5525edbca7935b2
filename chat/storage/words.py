"""The form in which text is indexed and looked for.

Rules: text and query go through the same form; a character of a script that is written without spaces, or a
symbol, is a word of its own, so that two of them are found as a phrase; punctuation finds nothing; no text
has the word that names a conversation.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

WORDS_MAX: Final = 32
"""Words of a query; more are not looked at."""

_APART: Final = re.compile(
    "["
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Myanmar, Khmer
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"  # Hangul: particles hang on the word
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u312f\u3190-\u31ff"  # radicals, kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # CJK ideographs
    "]"
)

# The tokenizer's tables are of Unicode 6.1 and call these separators: they become words of a form that no
# text has, a private-use character and the code point.
_SPELLED: Final = re.compile("[\u2190-\u2bff\U00010000-\U0010ffff]")
_PRIVATE: Final = "\ue000"


def spaced(text: str) -> str:
    """Text as the index holds it: compatibility forms and case made one, single words apart."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace(_PRIVATE, " ").replace("\x00", " ")
    return _SPELLED.sub(_spell, _APART.sub(r" \g<0> ", plain))


def indexed(text: str, conversation: int) -> str:
    """A row of the index: the text, and a word that names the conversation."""
    return f"{spaced(text)} {_named(conversation)}"


def expression(words: str, conversation: int | None = None) -> str:
    """The FTS5 query for all these words, each as a phrase; empty where there is nothing to look for.

    `conversation` is the number of the one in which they are looked for.
    """
    phrases = (" ".join(spaced(word).split()) for word in words.split()[:WORDS_MAX])
    query = [f'"{phrase.replace(_QUOTE, " ")}"' for phrase in phrases if _has_word(phrase)]
    if query and conversation is not None:
        query.append(f'"{_named(conversation)}"')
    return " ".join(query)


_QUOTE: Final = '"'


def _named(conversation: int) -> str:
    return f"{_PRIVATE}t{conversation}"


def _spell(match: re.Match[str]) -> str:
    return f" {_PRIVATE}{ord(match[0]):x} "


def _has_word(phrase: str) -> bool:
    return any(unicodedata.category(character)[0] in "LN" or character == _PRIVATE for character in phrase)
