"""Search: words, beginnings of words and phrases, in any script; one character of Chinese is enough."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.interface import UsageError
from chat.searching import Term, parse_query
from chat.storage import checks, contacts, entries, migrations, search
from chat.storage.database import Database
from chat.storage.entries import EntryRow
from protocol.messages import FileBody
from tests.support.storage.samples import TALK, THEIR_TERMINAL, Author, blob, find, queries, store

TEXTS = {
    "english": "The quick brown fox, and its friends",
    "meeting": "Meetings begin at ten; re-entry at 11:30",
    "chinese": "我们明天去北京看长城吧",
    "reversed": "城长",
    "traditional": "我們在臺灣吃小籠包。",
    "japanese": "カタカナとひらがなの文章です",
    "tokyo": "東京タワーへ行きました。楽しかった！",
    "korean": "안녕하세요 세계",
    "particles": "나는 학교에서 친구를 만났다",
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


def texts(database: Database, rows: Sequence[EntryRow]) -> set[str]:
    bodies = [database.value("SELECT body FROM bodies WHERE entry = ?", row.number) for row in rows]
    return {name for body in bodies for name, text in TEXTS.items() if text.encode() in body}


def found(database: Database, typed: str, *, typing: bool = False) -> set[str]:
    return texts(database, search.find(database, parse_query(typed, typing=typing).terms))


FOUND_BY = {
    "english": ("quick", "FRIENDS fox", '"brown fox"', '"fox and"', "fri*", "qui* bro*", '"quick brown" fr*'),
    "meeting": ("meetings", "meet*", "re-entry", "11:30", '"ten re entry"'),
    "chinese": (
        "北京",
        "长城",
        "明天 北京",
        "京",
        "看",
        '"去北京"',
        "北京*",
        "\u201c北京看\u201d",
        "「北京」",
    ),
    "reversed": ("城长", '"城长"'),
    "traditional": ("臺", "小籠包", "籠", "包。"),
    "japanese": ("ひらがな", "カタ", "ｶﾀｶﾅ", "章", "ナ", "ひ", "文章です"),
    "tokyo": ("東京", "京タ", "楽", "タワー", "行きました", "ー"),
    "korean": ("세계", "안녕", "녕", "안", "하세요", "\u1109\u1166\u1100\u1168"),
    "particles": ("학교", "교", "친구를", "만", '"친구를 만났다"'),
    "mixed": ("手机", "iphone", "iPhone手机", "机", "ipho*"),
    "accents": ("creme", "BRÛLÉE", "brul*"),
    "german": ("strasse", "STRASS*"),
    "emoji": ("👍", "👍🎉", "❤", "🤔", "🎉*"),
    "thai": ("สวัสดี",),
    "rare": ("𠀀", "𪚥"),
    "full width": ("hello", "ｈｅｌ＊"),
    "quotes": ('"no"', "(NEAR*)", "OR"),
}
FINDS_NOTHING = (
    *("quick dog", "京北", "長城", "🎉👍", "qui", "meet", '"quick fox"', '"fox brown"', '"meet"'),
    *("て", "だ", "세걔", "学校", "uick*", "北 京 城长", "𠀀* 京"),
)
CASES = [(query, {name}) for name, queries in FOUND_BY.items() for query in queries]


@pytest.mark.parametrize(("query", "names"), [*CASES, *((query, set()) for query in FINDS_NOTHING)])
def test_finds_exactly_what_holds_all_that_was_typed(filled: Database, query: str, names: set[str]) -> None:
    both = {"tokyo", "chinese"} if query == "京" else names
    assert found(filled, query) == both


@pytest.mark.parametrize("typing", [True, False])
@pytest.mark.parametrize(
    "typed", [word[:end] for word in ("meetings", "iphone") for end in range(1, len(word))]
)
def test_the_word_that_is_typed_matches_by_its_beginning(filled: Database, typed: str, typing: bool) -> None:
    name = "meeting" if typed[0] == "m" else "mixed"
    assert (name in found(filled, typed, typing=typing)) is typing
    assert name not in found(filled, f"{typed} ", typing=typing), "a blank ends the word"
    assert name not in found(filled, f'"{typed}"', typing=typing), "and so does a quotation mark"
    assert (name in found(filled, f'"{typed}', typing=typing)) is typing


@pytest.mark.parametrize("name", TEXTS)
def test_every_word_is_found_by_what_is_typed_of_it(filled: Database, name: str) -> None:
    """At each key, as long as there is something to search for."""
    for word in TEXTS[name].split():
        for end in range(1, len(word) + 1):
            typed = word[:end]
            if parse_query(typed, typing=True).terms and '"' not in typed:
                assert name in found(filled, typed, typing=True), typed


def test_a_word_typed_whole_is_found_in_its_turn(database: Database) -> None:
    author = Author()
    written = [author.write(text) for text in ("meeting", "meet", "meets", "meet me")]
    store(database, *written)
    assert [row.id for row in search.find(database, [Term("meet", True)])] == [one.id for one in written]
    assert [row.id for row in search.find(database, [Term("meet", True)], limit=1)] == [written[3].id]


@pytest.mark.parametrize("typed", ["", "!!! …", '""', "* ＊", "\ue000", "、。"])
def test_where_there_is_no_word_nothing_is_asked(typed: str) -> None:
    assert parse_query(typed, typing=True).terms == ()
    assert search.expression([Term(typed, True)]) == ""


@given(st.text(max_size=60), st.booleans())
def test_any_text_may_be_looked_for(text: str, prefix: bool) -> None:
    expression = search.expression([Term(text, prefix)])
    assert expression.count('"') % 2 == 0
    assert "\x00" not in expression


def test_whatever_is_typed_is_data_and_no_query_language(filled: Database) -> None:
    typed = ("a:b", "text : fox", "-fox", "^fox", "{text} : fox", "fox\x00bar", "NOT", "\ue000", "\ue000t*")
    for query in ('"', '""', *typed):
        find(filled, query)
        search.find(filled, [Term(query, True)])
    assert found(filled, "text:fox") == set()
    assert found(filled, "\ue000t*") == found(filled, "t*") == {"english", "meeting"}


MOMENTS = st.integers(-1, 1 << 48) | st.integers(1_577_000_000_000, 1_900_000_000_000)


@given(MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS)
def test_a_time_is_in_the_periods_asked_for_and_those_far_away_are_not(
    time: int, since: int | None, until: int | None
) -> None:
    asked = search._periods(since, until)
    found = set(asked) & set(entries.indexed("", 1, time).split())
    if (since is None or since <= time) and (until is None or time < until):
        assert len(found) == 1
    last, first = (entries.PERIODS_BEGIN + place * entries.PERIOD for place in (entries.PERIOD_LAST, 1))
    if since is not None and time <= since - entries.PERIOD and first <= since < last:
        assert not found
    if until is not None and time >= until + entries.PERIOD and first < until <= last:
        assert not found
    assert len(asked) <= 76


def test_a_search_by_date_passes_over_no_hit_of_another_time(database: Database) -> None:
    """The index knows periods, so that few entries are looked at to find those of a day."""
    day = 86_400_000
    author = Author(time=entries.PERIODS_BEGIN)
    for number in range(40):
        author.time = entries.PERIODS_BEGIN + 10 * number * day - 1_000 * number
        store(database, author.write("word"))
    since = entries.PERIODS_BEGIN + 200 * day
    for terms in (parse_query("word").terms, ()):
        with queries(database) as asked:
            (row,) = search.find(database, terms, since=since, until=since + day)
        assert row.id == author.written[20].id
        (match,) = [values[0] for _, values in asked if values and "\ue000p" in str(values[0])]
        assert len(database.rows("SELECT rowid FROM search WHERE search MATCH ?", match)) == 1


@pytest.mark.parametrize(
    ("bounds", "by_index"),
    [({}, False), ({"since": 0}, True), ({"until": 9_000}, True), ({"since": 0, "until": 9_000}, True)],
)
def test_each_bound_of_time_is_looked_up_in_the_index(
    database: Database, bounds: dict[str, int], by_index: bool
) -> None:
    entry = Author().write("word")
    store(database, entry)
    with queries(database) as asked:
        assert [row.id for row in search.find(database, [], **bounds)] == [entry.id]  # type: ignore[arg-type]
    assert any("MATCH" in sql for sql, _ in asked) is by_index


NIGHT = timezone(timedelta(hours=9, minutes=30))


@pytest.mark.parametrize(
    ("typed", "since", "until"),
    [
        ("before:2026-11-25", None, "2026-11-25"),
        ("after:2026-11-25", "2026-11-26", None),
        ("BEFORE：2026-11 after：2025", "2026-01-01", "2026-11-01"),
        ("after:2026-12 before:2027", "2027-01-01", "2027-01-01"),
        ("after:2024-02-28", "2024-02-29", None),
        ("after:2026-02 after:2025", "2026-03-01", None),
        ('before:"2026" before:2026-03', None, "2026-01-01"),
    ],
)
def test_dates_are_days_months_and_years_of_the_place(typed: str, since: str, until: str) -> None:
    query = parse_query(typed, zone=NIGHT)
    assert (query.since, query.until) == tuple(
        datetime.fromisoformat(f"{day}T00:00:00+09:30") if day else None for day in (since, until)
    )
    assert query.terms == ()


def test_without_a_zone_days_are_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, hour in (("UTC0", 0), ("XST-8", 16)):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        until = parse_query("before:2026-11-25").until
        assert until is not None
        assert until.astimezone(UTC).hour == hour
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "typed",
    [
        *("before:", "from: Ben", 'in:""', "after:26", "after:2026-1", "before:2026-02-30", "before:0000"),
        *("after:9999", "before:2026-11-25T10", "before:٢٠٢٦", "after:tomorrow", "BEFORE:x"),
    ],
)
def test_a_wrong_name_or_date_is_an_error_of_its_own(typed: str) -> None:
    with pytest.raises(UsageError):
        parse_query(f"word {typed}")
    assert parse_query(f'"{typed}"').terms or typed == 'in:""', "in quotes it is text"


def test_names_and_words_are_told_apart() -> None:
    query = parse_query('from:"Ada L" x FROM:me in:「小雨」 "in:Ben" sin:Ben y* "a b', typing=True)
    assert (query.authors, query.conversations) == (("Ada L", "me"), ("小雨",))
    assert query.terms == (Term("x"), Term("in:Ben"), Term("sin:Ben"), Term("y", True), Term("a b", True))
    assert "Ada" not in repr(query)


def test_the_newest_are_found_oldest_first_and_in_one_conversation(database: Database) -> None:
    other = blob("another conversation")
    with database.transaction():
        contacts.ensure_conversation(database, other, contacts.TWO, None)
    here, there = Author(), Author(conversation=other)
    for number in range(5):
        store(database, here.write(f"needle {number}"), there.write(f"needle {number}"))
    rows = find(database, "needle", conversation=TALK, limit=3)
    assert [row.id for row in rows] == [entry.id for entry in here.written[2:]]
    assert len(find(database, "needle")) == 10
    assert find(database, "needle", conversation=blob("nowhere")) == []
    (needle,) = parse_query("needle").terms
    for within, many in (([TALK, other], 10), ([other, blob("nowhere")], 5), ([], 0)):
        assert len(search.find(database, [needle], conversations=within)) == many


def test_authors_and_times_bound_what_is_found_with_words_and_without(database: Database) -> None:
    other = blob("another conversation")
    with database.transaction():
        contacts.ensure_conversation(database, other, contacts.TWO, blob("another person"))
    mine, theirs, elsewhere = Author(), Author(THEIR_TERMINAL.terminal), Author(conversation=other)
    for number in range(5):
        store(database, *(one.write(f"word {number}") for one in (mine, theirs, elsewhere)))
    second = 2_000  # the time of the second entry of each
    for terms in (parse_query("word").terms, ()):
        for scope, wanted in (
            ({"own": True}, [*mine.written, *elsewhere.written]),
            ({"theirs": [TALK]}, theirs.written),
            ({"theirs": [other]}, []),
            ({"own": True, "theirs": [TALK], "conversations": [TALK]}, [*mine.written, *theirs.written]),
            ({"own": True, "conversations": [other]}, elsewhere.written),
            ({"theirs": [TALK], "conversations": [other]}, []),
            (
                {"own": True, "since": second, "until": second + 1_000},
                [mine.written[1], elsewhere.written[1]],
            ),
            ({"theirs": [TALK], "until": second}, theirs.written[:1]),
            ({"conversations": [TALK], "since": second + 1}, [*mine.written[2:], *theirs.written[2:]]),
        ):
            rows = search.find(database, terms, **scope)
            assert {row.id for row in rows} == {entry.id for entry in wanted}, scope
    deleted = theirs.written[4]
    with database.transaction():
        assert entries.destroy(database, deleted.id)
    for terms in (parse_query("word").terms, ()):
        assert deleted.id not in {row.id for row in search.find(database, terms, since=0)}


def test_a_file_is_found_by_its_name_and_its_folders_until_it_is_deleted(database: Database) -> None:
    author = Author()
    names = {"IMG_2041 (Löwe).jpeg": ["Fotos 2026", "北京"], "报告-final.pdf": []}
    files = [
        author.write("", file=FileBody(name, "", 9, 1, blob(name), blob("root"), folder, 0))
        for name, folder in names.items()
    ]
    text = author.write("a text of 2026")
    store(database, *files, text)

    def ids(typed: str) -> list[bytes]:
        return [row.id for row in search.find(database, parse_query(typed).terms)]

    for typed in ("img", "2041", "lowe", "jpeg", '"lowe jpeg"', "fotos", "京", "2026 2041"):
        assert ids(typed) == [files[0].id], typed
    for typed in ("报告", "告 pdf", "final"):
        assert ids(typed) == [files[1].id], typed
    assert ids("2026") == [files[0].id, text.id]
    assert [row.id for row in search.find(database, [], since=0)] == [*(one.id for one in files), text.id]
    with database.transaction():
        migrations.rebuild(database)
    assert ids("报告") == [files[1].id]
    with database.transaction():
        assert entries.destroy(database, files[0].id)
    assert ids("fotos") == ids("2041") == []
    assert ids("2026") == [text.id]
    checks.piece(database, 0)
