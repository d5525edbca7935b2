"""Every command that can be typed, once: what it is called, what may follow it, what the help says.

Rules: a name is also that of the `do_…` method that does it; names are English in every language, because
they are typed; the start of a name is enough where only one begins so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chat.interface import UsageError
from tui.linear.wording import listed
from tui.text.formatting import safe_line, shorten
from tui.text.translation import N_, _

SLASH: Final = "/"
_SHOWN_CELLS: Final = 24


class Area(StrEnum):
    """What a command is about: the headings of the help."""

    TALKING = N_("Talking")
    READING = N_("Reading")
    PEOPLE = N_("People")
    PARLOUR = N_("Parlour")


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `after`: what may follow its name; `help`: one sentence."""

    name: str
    area: Area
    help: str
    after: str = ""

    @property
    def line(self) -> str:
        """How it is typed and what it does, in the language in use."""
        typed = f"{SLASH}{self.name} {_(self.after)}" if self.after else SLASH + self.name
        return _("{command}. {help}").format(command=typed, help=_(self.help))


_NAME: Final = N_("NAME")
_TEXT: Final = N_("TEXT")
_NUMBER: Final = N_("NUMBER")
_HOW_MANY: Final = N_("HOW-MANY")
_WORDS: Final = N_("WORDS")
_ON_OFF: Final = N_("on or off")

COMMANDS: Final[tuple[Command, ...]] = (
    Command("open", Area.TALKING, N_("Talk with this contact; a number of /people is enough."), _NAME),
    Command("where", Area.TALKING, N_("Whom you talk with; so does an empty line.")),
    Command("write", Area.TALKING, N_("Write a message of several lines; nothing is told meanwhile.")),
    Command("reply", Area.TALKING, N_("Answer an entry by its number."), N_("NUMBER TEXT")),
    Command("delete", Area.TALKING, N_("Delete an entry here; the contact keeps theirs."), _NUMBER),
    Command("close", Area.TALKING, N_("End the conversation here; nobody is told.")),
    Command("next", Area.READING, N_("Tell the next unread entries.")),
    Command("last", Area.READING, N_("Tell the newest entries, with numbers."), _HOW_MANY),
    Command("read", Area.READING, N_("Tell the entries before those that were told."), _HOW_MANY),
    Command("day", Area.READING, N_("Tell the entries of a day and after."), N_("YEAR-MONTH-DAY")),
    Command("search", Area.READING, N_("Find entries with all these words in this conversation."), _WORDS),
    Command("everywhere", Area.READING, N_("Find entries with all these words in all of them."), _WORDS),
    Command("around", Area.READING, N_("Tell what was written before and after an entry."), _NUMBER),
    Command("whole", Area.READING, N_("Tell all lines of an entry."), _NUMBER),
    Command("details", Area.READING, N_("Who wrote an entry where and when, and who has it."), _NUMBER),
    Command("people", Area.PEOPLE, N_("Your contacts.")),
    Command("nearby", Area.PEOPLE, N_("People nearby who let themselves be seen.")),
    Command("pair", Area.PEOPLE, N_("Pair with somebody nearby by comparing five words."), _NAME),
    Command("yes", Area.PEOPLE, N_("Answer what was asked last.")),
    Command("no", Area.PEOPLE, N_("Answer what was asked last.")),
    Command("visible", Area.PEOPLE, N_("Be visible to people nearby for two minutes, or hide."), _ON_OFF),
    Command("invite", Area.PEOPLE, N_("Make a one-time invitation.")),
    Command("join", Area.PEOPLE, N_("Use an invitation that you received."), _TEXT),
    Command("address", Area.PEOPLE, N_("Pair where nobody is found by itself."), N_("HOST:PORT")),
    Command("verify", Area.PEOPLE, N_("Compare the safety number; then /verify yes."), N_("yes or no")),
    Command("rename", Area.PEOPLE, N_("Call this contact by another name, here only."), _NAME),
    Command("mute", Area.PEOPLE, N_("Let this contact's entries come without a bell."), _ON_OFF),
    Command("block", Area.PEOPLE, N_("A blocked contact gets no answer; nothing of it is told."), _ON_OFF),
    Command("remove", Area.PEOPLE, N_("Forget a contact, its keys and the history with it."), _NAME),
    Command("me", Area.PARLOUR, N_("Who and where you are.")),
    Command("hold", Area.PARLOUR, N_("Hear nothing that arrives until an empty line.")),
    Command(
        "quiet",
        Area.PARLOUR,
        N_("Do not tell of this any more, or tell it again."),
        N_("presence, typing or delivery"),
    ),
    Command("settings", Area.PARLOUR, N_("Settings, and how they are changed."), N_("NAME VALUE")),
    Command(
        "relays",
        Area.PARLOUR,
        N_("Relays connect you with contacts on other networks."),
        N_("add ADDRESS, or remove NUMBER"),
    ),
    Command("doctor", Area.PARLOUR, N_("Find out why two devices cannot connect.")),
    Command("lock", Area.PARLOUR, N_("Drop the key; the passphrase opens it again.")),
    Command("quit", Area.PARLOUR, N_("Close Parlour. What waits is sent when it is opened again.")),
    Command("help", Area.PARLOUR, N_("The commands; /help all says what each does."), N_("NAME or all")),
)


def order_of(line: str) -> tuple[Command, str] | None:
    """The command of a line and what follows it; None where the line is a text.

    Raises UsageError, with what to type instead.
    """
    if not line.startswith(SLASH) or line.startswith(SLASH * 2):
        return None
    typed, _space, rest = line[1:].partition(" ")
    return named(typed), rest.strip()


def text_of(line: str) -> str:
    """What a line that is no command says: two slashes stand for one."""
    return line.removeprefix(SLASH) if line.startswith(SLASH * 2) else line


def named(typed: str) -> Command:
    """The command that begins so. Raises UsageError where there is none, or more than one."""
    wanted = typed.casefold()
    fitting = [one for one in COMMANDS if one.name.startswith(wanted)]
    exact = [one for one in fitting if one.name == wanted]
    if len(fitting) != 1 and not exact:
        raise UsageError(_several(typed, fitting) if fitting and wanted else _none(typed))
    return (exact or fitting)[0]


def help_lines(wanted: str) -> Iterator[str]:
    """What /help says. Raises UsageError for a command that is none."""
    if wanted.casefold() in ("all", _("all")):
        yield from (one.line for one in COMMANDS)
        return
    if wanted:
        yield named(wanted.removeprefix(SLASH)).line
        return
    yield _("What you type goes to whom you talk with. A line that begins with a slash is a command.")
    for area in Area:
        names = listed(SLASH + one.name for one in COMMANDS if one.area is area)
        yield _("{area}. {commands}.").format(area=_(area.value), commands=names)
    yield _("The start of a name is enough. /help NAME says more of one, /help all of each.")
    yield _("Two slashes send a text that begins with one.")


def _none(typed: str) -> str:
    return _("There is no command {command}: /help lists them; two slashes send a text with one.").format(
        command=_shown(typed)
    )


def _several(typed: str, fitting: list[Command]) -> str:
    names = listed(SLASH + one.name for one in fitting)
    return _("{command} could be {names}: type more of it.").format(command=_shown(typed), names=names)


def _shown(typed: str) -> str:
    return SLASH + shorten(safe_line(typed), _SHOWN_CELLS)
