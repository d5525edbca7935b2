"""The keys in force: those of the registry, those of vi, and over both the files of keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from textual.keys import Keys, _character_to_key

from tui.actions import ACTIONS, BY_ID, Group, of_group, shown_key, types_a_letter
from tui.text.safe import safe_line, shorten
from tui.text.translation import _

FILE_MAX: Final = 65_536
KEYS_MAX: Final = 8
_LINE: Final = 100
_LANGMAP: Final = "langmap"
_PAIRS_MAX: Final = 256

_MODIFIERS: Final = ("ctrl", "alt", "shift", "super")
_NAMES: Final = {
    "esc": "escape",
    "pgup": "pageup",
    "pgdn": "pagedown",
    "del": "delete",
    "ins": "insert",
    "return": "enter",
}
_KNOWN: Final = frozenset(key.value.rpartition("+")[2] for key in Keys) - {"@", "<any>", "<sigint>"}
# Without them nobody could write, send, paste or leave a field any more.
_NEEDED: Final = {
    *("enter", "tab", "shift+tab", "backspace", "delete", "left", "right", "up", "down"),
    *("space", "home", "end", *(f"ctrl+{letter}" for letter in "chijmvx")),
}
_MOVING: Final = frozenset(("tab", "shift+tab", "up", "down"))


class Keymap(Struct, frozen=True):
    """The keys of every action, and what was wrong with the files, a safe line each.

    `langmap`: letters of a keyboard layout, and the letter that each means as a key.
    """

    keys: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...] = ()
    langmap: Mapping[str, str] = MappingProxyType({})


class _Reader:
    def __init__(self) -> None:
        self.wanted: dict[str, tuple[str, ...]] = {}
        self.problems: list[str] = []
        self.langmap: dict[str, str] = {}

    def read(self, path: Path) -> None:
        """Take in one file; none is no problem."""
        text = self._text(path)
        if text is not None:
            for name, value in self._table(path, text).items():
                self._take(path, name, value)

    def say(self, path: Path, what: str) -> None:
        self.problems.append(_("{file}: {problem}").format(file=_safe(path.name), problem=what))

    def _text(self, path: Path) -> str | None:
        try:
            with path.open("rb") as file:
                content = file.read(FILE_MAX + 1)
            if len(content) <= FILE_MAX:
                return content.decode()
            self.say(path, _("The file is too large."))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.say(path, _("It cannot be read ({reason}).").format(reason=_safe(error.strerror or "")))
        except UnicodeDecodeError:
            self.say(path, _("It is not text in UTF-8."))
        return None

    def _table(self, path: Path, text: str) -> Mapping[str, object]:
        import tomllib  # for those who have a file

        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            self.say(
                path, _("It is not valid TOML and was ignored: {reason}").format(reason=_safe(str(error)))
            )
            return {}

    def _take(self, path: Path, name: str, value: object) -> None:
        if name == _LANGMAP:
            self._take_layout(path, value)
            return
        if name not in BY_ID:
            self.say(path, _("There is no action “{name}”.").format(name=_safe(name)))
            return
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(key, str) for key in listed):
            self.say(path, _("The keys of “{name}” must be a list of strings.").format(name=name))
        else:
            keys = [key for written in listed[:KEYS_MAX] if (key := self._key(path, name, written))]
            if keys or not listed:  # with none that can be meant, the registry's stay
                self.wanted[name] = tuple(dict.fromkeys(keys))

    def _take_layout(self, path: Path, value: object) -> None:
        """Pairs of letters with blanks between them: as it is typed, then as it is meant."""
        pairs = value.split() if isinstance(value, str) else [""]
        if all(len(pair) == 2 and pair[1].isascii() for pair in pairs):
            self.langmap.update(dict(pairs[:_PAIRS_MAX]))  # type: ignore[arg-type]
        else:
            self.say(path, _("“langmap” must be pairs of letters, such as “ąa ćc”."))

    def _key(self, path: Path, name: str, written: str) -> str | None:
        key = parse_key(written)
        if key is None:
            problem = _("“{name}” has an unknown key: “{key}”.")
        elif key in (_MOVING if BY_ID[name] in of_group(Group.ENTRY) else _NEEDED):
            problem = _("“{name}” cannot use “{key}”, which is needed for typing.")
        else:
            return key
        self.say(path, problem.format(key=_safe(written), name=name))
        return None

    def without_doubles(self, path: Path) -> None:
        owners: dict[str, str] = {}
        for name, keys in self.wanted.items():
            for key in keys:
                if owners.setdefault(key, name) != name:
                    text = _("{key} is assigned twice. “{first}” keeps it, and “{second}” loses it.")
                    self.say(path, text.format(key=shown_key(key), first=owners[key], second=name))
            self.wanted[name] = tuple(key for key in keys if owners[key] == name)


def load(paths: Iterable[Path], *, vi: bool = False) -> Keymap:
    """The keys that hold with these files; a later one goes before an earlier one. Raises nothing."""
    base = {one.id: one.vi_keys if vi else one.keys for one in ACTIONS}
    reader = _Reader()
    last = Path("keys.toml")
    for path in paths:
        reader.read(path)
        last = path
    reader.without_doubles(last)
    taken = {key for keys in reader.wanted.values() for key in keys}
    keys = {name: tuple(key for key in held if key not in taken) for name, held in base.items()}
    for name, left in keys.items():
        if base[name] and not left and name not in reader.wanted:
            reader.say(last, _("“{name}” no longer has a key.").format(name=name))
    return Keymap(keys | reader.wanted, tuple(reader.problems), reader.langmap)


def parse_key(written: str) -> str | None:
    """Textual's name of a key as people write it (Ctrl+K, alt+/, F3, ?); None where it is none."""
    found = re.fullmatch(r"((?:\w+\+)*)(.|\w+)", written.strip())
    if found is None:
        return None
    modifiers = found[1].lower().split("+")[:-1]
    if len(set(modifiers)) != len(modifiers) or not set(modifiers) <= set(_MODIFIERS):
        return None
    last = _last(found[2], modifiers)
    if last is None or (modifiers == ["shift"] and len(last) == 1):
        return None
    return "+".join([*(one for one in _MODIFIERS if one in modifiers), last])


def _last(text: str, modifiers: list[str]) -> str | None:
    if len(text) == 1:
        return _character_to_key(text.lower() if modifiers else text) if text.isprintable() else None
    name = _NAMES.get(text.lower(), text.lower())
    return name if name in _KNOWN or types_a_letter(name) else None


def _safe(text: str) -> str:
    return shorten(safe_line(text), _LINE)
