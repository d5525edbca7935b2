"""Search: by words, in any script; two characters of Chinese are enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.storage import contacts, search
from chat.storage.database import Database
from tests.support.storage.samples import TALK, Author, blob, store

TEXTS = {
    "english": "The quick brown fox, and its friends",
    "chinese": "我们明天去北京看长城吧",
    "reversed": "城长",
    "japanese": "カタカナとひらがなの文章です",
    "korean": "안녕하세요 세계",
    "mixed": "我的iPhone手机坏了",
    "accents": "Crème brûlée à la façon de Zoë",
    "german": "Die Straße ist lang",
    "emoji": "well done 👍🎉 ❤ 🤔",
    "thai": "สวัสดีครับ",
    "rare": "𠀀𪚥 and 🜁",
    "quotes": 'she said "no" OR nothing AND (NEAR*)',
    "full width": "ＨＥＬＬＯ　ｗｏｒｌｄ",
}


@pytest.fixture
def filled(database: Database) -> Database:
    author = Author()
    store(database, *[author.write(text) for text in TEXTS.values()])
    return database


def found(database: Database, query: str) -> set[str]:
    names = {text: name for name, text in TEXTS.items()}
    texts = (
        database.value("SELECT body FROM bodies WHERE entry = ?", row.number)
        for row in search.find(database, query)
    )
    return {name for body in texts for text, name in names.items() if text.encode() in body}


FOUND_BY = {
    "english": ("quick", "FRIENDS fox"),
    "chinese": ("北京", "长城", "明天 北京"),
    "reversed": ("城长",),
    "japanese": ("ひらがな", "カタ", "ｶﾀｶﾅ"),
    "korean": ("세계", "안녕"),
    "mixed": ("手机", "iphone", "iPhone手机"),
    "accents": ("creme", "BRÛLÉE"),
    "german": ("strasse",),
    "emoji": ("👍", "👍🎉", "❤", "🤔"),
    "thai": ("สวัสดี",),
    "rare": ("𠀀", "𪚥"),
    "full width": ("hello",),
    "quotes": ('"no"', "(NEAR*)", "OR"),
}
FINDS_NOTHING = ("quick dog", "京北", "長城", "🎉👍", "", "!!! …", "qui")
CASES = [(query, {name}) for name, queries in FOUND_BY.items() for query in queries]


@pytest.mark.parametrize(("query", "names"), [*CASES, *((query, set()) for query in FINDS_NOTHING)])
def test_finds_exactly_what_holds_all_the_words(filled: Database, query: str, names: set[str]) -> None:
    assert found(filled, query) == names


@given(st.text(max_size=60))
def test_any_text_may_be_looked_for(query: str) -> None:
    expression = search.expression(query)
    assert expression.count('"') % 2 == 0
    assert "\x00" not in expression


def test_whatever_is_typed_is_data_and_no_query_language(filled: Database) -> None:
    typed = ("a:b", "text : fox", "-fox", "fox*", "^fox", "{text} : fox", "fox\x00bar", "NOT", "\ue000")
    for query in ('"', '""', *typed):
        search.find(filled, query)
    assert found(filled, "text:fox") == set()
    assert found(filled, "fox*") == {"english"}


def test_the_newest_are_found_oldest_first_and_in_one_conversation(database: Database) -> None:
    other = blob("another conversation")
    with database.transaction():
        contacts.ensure_conversation(database, other, contacts.GROUP, None)
    here, there = Author(), Author(conversation=other)
    for number in range(5):
        store(database, here.write(f"needle {number}"), there.write(f"needle {number}"))
    rows = search.find(database, "needle", conversation=TALK, limit=3)
    assert [row.id for row in rows] == [entry.id for entry in here.written[2:]]
    assert len(search.find(database, "needle")) == 10
    assert search.find(database, "needle", conversation=blob("nowhere")) == []
