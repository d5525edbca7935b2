"""Two languages: the catalogue has every text, and no text of interface or engine is left out of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.content import Content

from chat import errors
from chat.errors import ParlourError, Phrase, phrase
from tests.architecture.imports import ROOT, sources
from tests.support.catalogue import (
    MARKS,
    MO,
    PO,
    Message,
    collected,
    compiled,
    merged,
    read_po,
    values_in,
    written_po,
)
from tui import textual_fixes
from tui.text import translation

HOW = """
Run `make messages`: it adds the text to tui/locale/zh_CN/LC_MESSAGES/parlour.po with an empty msgstr, and
takes out what is gone. Translate it there by the glossary at the top of that file, then run `make messages`
again, which compiles the .mo. Commit both files.
"""


def translated() -> dict[str, Message]:
    return read_po(PO.read_text(encoding="utf-8"))[1]


# The catalogue.


def test_every_text_is_translated() -> None:
    held = translated()
    missing = [one for one in collected() if not (one in held and held[one].translation)]
    assert not missing, f"not translated: {missing}{HOW}"


def test_every_translation_has_the_values_of_its_text() -> None:
    held = translated()
    differing = [
        message.one
        for message in held.values()
        if message.translation and values_in(message.translation) != values_in(message.one + message.many)
    ]
    assert not differing, f"the values in braces are others in the translation: {differing}"


def test_the_catalogue_is_what_the_source_and_the_translations_make() -> None:
    """Nothing stale, and the .mo is compiled from this .po."""
    text = PO.read_text(encoding="utf-8")
    head, held = read_po(text)
    stale = held.keys() - collected().keys()
    assert not stale, f"no text of the source: {sorted(stale)}{HOW}"
    messages = merged(held, collected())
    assert text == written_po(head, messages), HOW
    assert MO.read_bytes() == compiled(head, messages), HOW


def test_a_translation_reads_as_chinese_is_written() -> None:
    """Full-width punctuation after Chinese, a blank between Chinese and Latin letters or values."""
    held = translated()
    han = "[\u4e00-\u9fff]"
    wrong = rf"{han}[,;:!?]|{han}\.(?!\d)|[,;:!?]{han}|{han}[A-Za-z{{]|[A-Za-z}}]{han}|[“”]|您|\.\.\."
    as_chinese = re.compile(r"\{(does|who|where|size|year|month|day)\}|主机:端口")
    for message in held.values():
        found = re.search(wrong, as_chinese.sub("是", message.translation))
        assert found is None, f"{message.translation!r}: {found}"


def test_no_blank_parts_chinese_from_chinese_of_the_catalogue() -> None:
    """A name keeps its blanks, in whatever script: they show where it begins and ends."""
    translation.use("zh_CN")
    here, hour = translation._("this device"), translation._n("{number} hour", "{number} hours", 1)
    added = translation._("added by {device}")
    assert added.format(device=here) == "由这台设备添加"
    assert translation.filled(added, device=(here, "")).plain == "由这台设备添加"
    assert [added.format(device=name) for name in ("desk", "书房")] == ["由 desk 添加", "由 书房 添加"]
    said = translation._("New messages with {name} disappear {time} after they were read.")
    assert said.format(name="Ben", time=hour.format(number=1)) == "与 Ben 的新消息在阅读后 1 小时消失。"


def test_sentences_follow_each_other_as_the_language_writes_them() -> None:
    assert translation.sentences("One.", "", "Two.") == "One. Two."
    assert translation.sentences("一。", "二", "（三）", "四") == "一。二（三）四"


def test_gettext_reads_what_was_compiled() -> None:
    translation.use("zh_CN")
    for message in translated().values():
        if message.many:
            assert {translation._n(message.one, message.many, number) for number in (0, 1, 2)} == {
                message.translation
            }
        assert translation._(message.one) == message.translation
    assert translation._("a text that nobody wrote") == "a text that nobody wrote"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh_CN"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_SG.UTF-8", "LC_ALL": ""}, "zh_CN"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "de:zh_CN:en"}, "zh_CN"),
        ({"LANG": "zh_CN.UTF-8", "LANGUAGE": "en:zh_CN"}, "en"),
    ],
)
def test_the_locale_chooses_the_language(environment: dict[str, str], language: str) -> None:
    assert translation.of_locale(environment) == language


# Layout.


@pytest.mark.parametrize("width", [20, 31, 44, 66])
def test_rows_of_chinese_are_full_and_keep_their_punctuation(width: int) -> None:
    """As Textual lays them out in dialogs: a Latin word does not push a whole sentence into the next row."""
    textual_fixes.use_line_breaks()
    for message in translated().values():
        rows = [row.plain for row in Content(message.translation).wrap(width)]
        assert "".join(rows).replace(" ", "") == message.translation.replace(" ", "")
        assert all(cell_len(row) <= width for row in rows)
        for before, row in pairwise(rows):
            assert row[0] not in "，。：；？！、）」…", rows
            assert before[-1] not in "（「", rows
            unit = re.match(r"[（「]*(?:[\x21-\x7e“”…]+|.)[，。：；？！、）」…]*", row)
            assert unit is not None
            assert cell_len(before) + 1 + cell_len(unit[0]) > width, f"a row ends early: {rows}"


def test_a_line_that_was_made_to_fit_stays_one() -> None:
    textual_fixes.use_line_breaks()
    made = "↩ 你：好" + " " * 12 + "Esc：取消回复"
    assert len(Content(made).wrap(cell_len(made))) == 1


# What the engine says.


def test_what_the_engine_says_is_told_in_the_language_in_use() -> None:
    said = phrase("{interface}: cannot be sent: {reason}", interface="eth0", reason=phrase("another program"))
    assert translation.told(said) == "eth0: cannot be sent: another program"
    translation.use("zh_CN")
    assert translation.told(said) == "eth0：无法发送：另一个程序"
    assert translation.told(Phrase("sudo ufw allow 4747/tcp")) == "sudo ufw allow 4747/tcp"
    newer = phrase("A sentence of {who} that this catalogue lacks.", who="a newer engine")
    assert translation.told(newer) == "A sentence of a newer engine that this catalogue lacks."


def test_every_error_of_the_engine_holds_a_phrase() -> None:
    """The command line alone may say what no catalogue has: it speaks English."""
    kinds = {
        kind.__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ParlourError)
    }
    bare = []
    for path in sources(ROOT, "chat"):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(("chat/cli/", "chat/tools/bench/", "chat/tools/prove/", "chat/relay/")):
            bare += [f"{name}:{line}" for line in unphrased(path.read_text(encoding="utf-8"), kinds)]
    assert not bare, f"give these errors and phrases `phrase(…)`: {bare}"


def unphrased(source: str, kinds: set[str]) -> list[int]:
    """Lines that make an error, or a phrase without a template, of a text that is in the source."""
    tree = ast.parse(source)
    constants: dict[str, ast.expr] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                constants[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                constants[name] = value
    lines = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[given, *_]) if name in kinds or name == "Phrase":
                if isinstance(given, ast.Name):
                    given = constants.get(given.id, given)
                texts = (ast.Constant,) if name == "Phrase" else (ast.Constant, ast.JoinedStr)
                if isinstance(given, texts):
                    lines.append(node.lineno)
    return lines


# Nothing is left out.

STYLES = frozenset(("bold", "italic", "underline", "reverse", "on"))
CATEGORIES = frozenset(
    (
        *("Lu", "Lo", "Mn", "Mc", "Me", "No", "Po", "Sm", "Sc", "Sk", "So"),
        *("Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"),
    )
)
# Places whose strings are names for the program: actions of bindings, selectors, errors of our own.
CALLS = frozenset(("Action", "Binding", "TypeError", "compile"))
FIELDS = frozenset(("AUTO_FOCUS", "TITLE"))
KEYWORDS = frozenset(("action", "classes", "vi"))
ALLOWED = frozenset(
    (
        *(
            "TEXTUAL",
            "TERM",
            "COLORTERM",
            "TMUX",
            "LANG",
            "LANGUAGE",
            "STY",
            "SCREENDIR",
            "USER",
            "HOME",
        ),  # variables
        *("iTerm.app", "WezTerm", "WarpTerminal", "~/Downloads"),
        *("/run/screen/S-", "/var/run/screen/S-", "\x1bPtmux;"),
        *("SIGINT", "SIGTERM", "SIGHUP", "LMN", "NFKD", "Choice", "jkJK", "asyncio.Future[None]"),
        *("PgUp", "PgDn", "Esc"),  # as they stand on keyboards
        *("Parlour", "English", "parlour: ", "/whole "),  # the same in each language, or typed
        *("verify --own", "recovery use", "terminal add", "terminal list"),
        *("contacts take", "'parlour contacts take'"),
        "asdfghjklqwertyuiopzxcvbnm1234567890ASDFGHJKLQWERTYUIOPZXCVBNM",
    )
)
"""Strings with blanks or capitals that are no words for a person."""


def left_out(path: Path) -> Iterator[str]:
    """Strings that look like words for a person and are not marked, as `file:line: text`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unseen = {id(part) for node in ast.walk(tree) for top in _unseen(node) for part in ast.walk(top)}
    for node in ast.walk(tree):
        if id(node) not in unseen and isinstance(node, ast.Constant) and _are_words(node.value):
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.value!r}"


def _are_words(text: object) -> bool:
    if (
        not isinstance(text, str)
        or not re.search(r"[A-Za-z]{2}", text)
        or not re.search(r"[ A-Z]", text)
        or "_" in text
    ):
        return False
    styles = all(word in STYLES or word.startswith("$") for word in text.split(" "))
    return not styles and text not in CATEGORIES and text not in ALLOWED


def _unseen(node: ast.AST) -> list[ast.AST]:
    """What of a node holds no words for a person that would still have to be marked."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return [node]
        case ast.Call(func=ast.Name(id=mark) | ast.Attribute(attr=mark), args=args):
            if mark in MARKS["tui"]:
                return list(args)
            return list(args[:2]) if mark in CALLS else []
        case ast.Assign(targets=[ast.Name(id=field)], value=value) if field in FIELDS:
            return [value]
        case ast.AnnAssign(target=ast.Name(id=field), value=value) if field in FIELDS and value is not None:
            return [value]
        case ast.keyword(arg=name, value=value) if name in KEYWORDS:
            return [value]
    return []


def test_no_text_of_the_interface_is_unmarked() -> None:
    found = [line for path in sources(ROOT, "tui") for line in left_out(path)]
    assert not found, "mark these by `_`, `_n` or `N_` of tui/text/translation.py:\n" + "\n".join(found)
