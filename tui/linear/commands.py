"""Every command, once: its name, its help, the method that executes it, and what follows the name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from chat.interface import BotCommand, Guard, Messenger, UsageError
from tui.linear.backups import Backups
from tui.linear.composer import SLASH, Composer, Deletion
from tui.linear.contacts import Contacts
from tui.linear.devices import Devices
from tui.linear.files import Files
from tui.linear.history import History
from tui.linear.input import LineInput
from tui.linear.output import Output
from tui.linear.pairing import Pairing
from tui.linear.recovery import Recovery
from tui.linear.settings import Passphrase, Relays, Settings
from tui.linear.state import Exit, Questions, State
from tui.linear.voice import VoiceMessages
from tui.linear.wording import listed
from tui.preferences import Options, Preferences
from tui.text.bots import offered
from tui.text.people import unfinished_lines
from tui.text.safe import safe_line, shorten
from tui.text.translation import N_, _

_SHOWN_CELLS: Final = 24
_NAME: Final = N_("NAME")
_TEXT: Final = N_("TEXT")
_NUMBER: Final = N_("NUMBER")
_HOW_MANY: Final = N_("COUNT")
_WORDS: Final = N_("WORDS")
_ON_OFF: Final = N_("on or off")

Execute = Callable[[str], Awaitable[None]]
"""Called with what was typed after the name."""

Row = tuple[str, Execute, str]


class Parts:
    """The parts of a session."""

    def __init__(
        self,
        messenger: Messenger,
        options: Options,
        preferences: Preferences,
        input: LineInput,
        output: Output,
        guard: Guard,
    ) -> None:
        # A demo keeps nothing.
        self.exit = Exit(messenger, output, input.at_terminal, list if options.demo else self._unfinished)
        self.state = state = State(messenger, preferences)
        self.questions = questions = Questions(output, options, input.at_terminal)
        self.history = history = History(messenger, output, options, preferences, state)
        self.composer = Composer(messenger, output, preferences, state, history, questions, guard)
        self.files = Files(messenger, output, state, history, questions)
        self.voice = VoiceMessages(messenger, output, options, state, history)
        self.deletion = Deletion(messenger, output, state, history, questions)
        self.contacts = Contacts(messenger, output, options, preferences, state, questions)
        self.pairing = Pairing(messenger, output, options, state, questions, history)
        self.settings = Settings(messenger, output, preferences, state)
        self.passphrase = Passphrase(messenger, output, input)
        self.backups = Backups(messenger, output, input, state, self.exit)
        self.recovery = Recovery(messenger, output, state, questions, options)
        self.relays = Relays(messenger, output, state, questions)
        self.devices = Devices(messenger, output, state, questions, options.zone)

    def _unfinished(self) -> list[str]:
        """What quitting would end or leave waiting."""
        contacts = self.state.contacts
        waiting = [self.state.name_of(one) for one in self.state.recent.waiting() if one in contacts]
        return unfinished_lines(self.files.sealed, waiting)


def _talking(p: Parts) -> dict[str, Row]:
    return {
        "open": (N_("Open a conversation; a number from /people is enough."), p.history.open, _NAME),
        "where": (N_("Show which conversation is open; so does an empty line."), p.history.where, ""),
        "write": (N_("Write a message of several lines; new lines wait meanwhile."), p.composer.write, ""),
        "reply": (N_("Reply to a message by its number."), p.composer.reply, N_("NUMBER TEXT")),
        "send": (
            N_("Send a file, several, or a folder as its files; with quotes around a path with spaces."),
            p.files.send,
            N_("PATH"),
        ),
        "voice": (
            N_("Record a voice message; /voice again sends it, and /voice off discards it."),
            p.voice.voice,
            N_("off"),
        ),
        "original": (
            N_("Send as /send does, with what pictures say of their place, time and camera."),
            p.files.original,
            N_("PATH"),
        ),
        "cancel": (N_("Do not send the file that is being prepared."), p.files.cancel, ""),
        "edit": (N_("Change a message of yours by its number."), p.composer.edit, N_("NUMBER TEXT")),
        "delete": (
            N_("Delete a message here, on all your devices or, your own, for everyone."),
            p.deletion.delete,
            N_("NUMBER here, mine or everyone"),
        ),
        "timer": (
            N_("Show or set after how long new messages disappear."),
            p.deletion.timer,
            N_("off, 30s, 5m, 1h, 1d or 1w"),
        ),
        "clear": (
            N_("Delete all messages of this conversation, on this device alone."),
            p.deletion.clear,
            "",
        ),
        "close": (N_("Close the conversation here; the contact is not notified."), p.history.close, ""),
    }


def _reading(p: Parts) -> dict[str, Row]:
    return {
        "next": (N_("Show the next unread messages."), p.history.next, ""),
        "last": (N_("Show the newest messages, with numbers."), p.history.last, _HOW_MANY),
        "read": (N_("Show the messages before those already shown."), p.history.read, _HOW_MANY),
        "day": (N_("Show the messages of a day and later."), p.history.day, N_("YEAR-MONTH-DAY")),
        "search": (
            N_(
                "Find messages in this conversation. The start of the last word is enough, as is WORD*. Also "
                '"a phrase", from:NAME, from:me, before:2026-11, after:2026-11-25.'
            ),
            p.history.search,
            _WORDS,
        ),
        "everywhere": (
            N_("Find messages everywhere, as /search does; in:NAME names a conversation."),
            p.history.search_all,
            _WORDS,
        ),
        "around": (N_("Show the messages before and after a message."), p.history.around, _NUMBER),
        "whole": (N_("Show all lines of a message."), p.history.whole, _NUMBER),
        "copy": (N_("Copy a message to the clipboard, or the newest one."), p.history.copy, _NUMBER),
        "save": (
            N_("Save the file of a message, here or in a folder; take it first, or pause that."),
            p.history.save,
            N_("NUMBER FOLDER"),
        ),
        "letgo": (
            N_("Delete the file of a message here; the message stays."),
            p.history.let_go,
            _NUMBER,
        ),
        "files": (
            N_("Show or set up to which size files come without a question, or with relay go by a relay."),
            p.history.sizes,
            N_("MiB or usual, with relay before it"),
        ),
        "pictures": (
            N_("Show pictures of this conversation as they come, or when you ask for one."),
            p.history.pictures,
            _ON_OFF,
        ),
        "show": (
            N_("Show the picture of a message in blocks of colour."),
            p.history.show,
            _NUMBER,
        ),
        "details": (N_("Show author, device, times and receipts of a message."), p.history.details, _NUMBER),
    }


def _people(p: Parts) -> dict[str, Row]:
    return {
        "people": (N_("List your contacts."), p.contacts.list, ""),
        "nearby": (N_("List visible people nearby."), p.pairing.list_nearby, ""),
        "pair": (N_("Pair with someone nearby by comparing five words."), p.pairing.pair, _NAME),
        "yes": (N_("Answer the last question."), p.questions.yes, ""),
        "no": (N_("Answer the last question."), p.questions.no, ""),
        "visible": (N_("Be visible to people nearby for two minutes, or hide."), p.pairing.visible, _ON_OFF),
        "invite": (N_("Make a one-time invitation."), p.pairing.invite, ""),
        "join": (N_("Use an invitation that you received."), p.pairing.join, _TEXT),
        "address": (
            N_("Add somebody by network address where no one is found."),
            p.pairing.address,
            N_("HOST:PORT"),
        ),
        "verify": (
            N_("Compare the safety number; then /verify yes."),
            p.contacts.verify,
            N_("yes, no or NUMBER"),
        ),
        "own": (
            N_("Say whether changes of your identity were you."),
            p.contacts.own_changes,
            N_("yes NUMBER, or no"),
        ),
        "rename": (N_("Rename this contact, here only."), p.contacts.rename, _NAME),
        "pin": (
            N_("List this conversation before the others, on all your devices."),
            p.contacts.pin,
            _ON_OFF,
        ),
        "mute": (
            N_("Turn bell and announcements for this contact off or on, on all your devices."),
            p.contacts.mute,
            _ON_OFF,
        ),
        "take": (
            N_("Take what this contact has of you from before a removal or recovery as yours."),
            p.contacts.take,
            "",
        ),
        "block": (N_("Block this contact: nothing from it is shown."), p.contacts.block, _ON_OFF),
        "remove": (N_("Remove a contact, its keys and the history with it."), p.contacts.remove, _NAME),
    }


def _parlour(p: Parts, help_: Execute) -> dict[str, Row]:
    return {
        "me": (N_("Show your name and addresses."), p.contacts.me, ""),
        "name": (N_("Change the name that your contacts see."), p.recovery.rename_self, _NAME),
        "hold": (N_("Hold back new lines until an empty line."), p.history.hold, ""),
        "quiet": (
            N_("Turn an announcement off or on."),
            p.settings.quiet,
            N_("presence, typing or delivery"),
        ),
        "settings": (N_("Show or change settings."), p.settings.settings, N_("NAME VALUE")),
        "relays": (
            N_("Relays connect you with contacts on other networks."),
            p.relays.relays,
            N_("add ADDRESS, or remove NUMBER"),
        ),
        "devices": (
            N_("Show your devices, add one by comparing five words, remove one, or choose your keeper."),
            p.devices.devices,
            N_("add, stop, or remove NUMBER"),
        ),
        "recovery": (
            N_("Write down the words that remove a stolen device, or use them."),
            p.recovery.recovery,
            N_("WORDS or use"),
        ),
        "passphrase": (N_("Change the passphrase that opens this profile."), p.passphrase.change, ""),
        "backup": (
            N_("Write an encrypted backup of all your messages; with words, the recovery words are in it."),
            p.backups.backup,
            N_("FILE, or words FILE"),
        ),
        "export": (
            N_("Write a file for reading, which is not encrypted, of all your messages."),
            p.backups.export,
            N_("html, markdown or jsonl, and FILE"),
        ),
        "wipe": (N_("Destroy the profile on this device, after a question."), p.backups.wipe, ""),
        "doctor": (N_("Find out why two devices cannot connect."), p.settings.diagnose, ""),
        "lock": (N_("Lock the profile; the passphrase opens it again."), p.exit.lock, ""),
        "quit": (N_("Close Parlour. Queued messages are sent after the next start."), p.exit.quit, ""),
        "help": (N_("List the commands; /help all explains each."), help_, N_("NAME or all")),
    }


def _table(p: Parts, help_: Execute) -> dict[str, dict[str, Row]]:
    """The commands by heading and name. Names are English in every language, because they are typed."""
    return {
        N_("Talking"): _talking(p),
        N_("Reading"): _reading(p),
        N_("People"): _people(p),
        N_("Parlour"): _parlour(p, help_),
    }


class Commands:
    """Parses lines, finds the command of a name, and explains them all."""

    def __init__(self, parts: Parts, output: Output) -> None:
        self._output, self._state = output, parts.state
        self._table = _table(parts, self._help)
        self._all = {name: row for commands in self._table.values() for name, row in commands.items()}

    def parse(self, line: str) -> tuple[str, str] | None:
        """The command of a line and what follows it; None for a text. Raises UsageError."""
        if not line.startswith(SLASH) or line.startswith(SLASH * 2):
            return None
        typed, _space, rest = line[1:].partition(" ")
        if any(one.name == typed for one in self._of_bot()) and not self._begins(typed):
            return None
        return self._find(typed), rest.strip()

    def _of_bot(self) -> Sequence[BotCommand]:
        """The commands that the contact of the open conversation offers as a bot."""
        view = self._state.contacts.get(self._state.current or "")
        return offered(view.commands, self._all) if view is not None else ()

    def _begins(self, typed: str) -> bool:
        """Whether the start of a name means one of Parlour's own commands, whatever a bot offers."""
        return any(name.startswith(typed) for name in self._all)

    async def execute(self, name: str, typed: str) -> None:
        """Execute a command. Raises ParlourError."""
        await self._all[name][1](typed)

    def _find(self, typed: str) -> str:
        """The name of the command, of which the start is enough. Raises UsageError for none or several."""
        wanted = typed.casefold()
        fitting = [name for name in self._all if name.startswith(wanted)]
        if wanted in fitting or len(fitting) == 1:
            return wanted if wanted in fitting else fitting[0]
        shown = SLASH + shorten(safe_line(typed), _SHOWN_CELLS)
        if not fitting or not wanted:
            problem = _(
                "There is no command {command}: see /help. To send a leading slash, type two slashes."
            )
            raise UsageError(problem.format(command=shown))
        problem = _("{command} matches {names}: type more of the name.")
        raise UsageError(problem.format(command=shown, names=listed(SLASH + name for name in fitting)))

    def _line(self, name: str) -> str:
        help_, _execute, after = self._all[name]
        usage = f"{SLASH}{name} {_(after)}" if after else SLASH + name
        return _("{command}. {help}").format(command=usage, help=_(help_))

    async def _help(self, typed: str) -> None:
        if typed.casefold() in ("all", _("all")):
            await self._output.say(*map(self._line, self._all))
            return
        if typed:
            await self._output.say(self._line(self._find(typed.removeprefix(SLASH))))
            return
        said = _("{area}. {commands}.")
        await self._output.say(
            _("What you type goes to the open conversation. A line that begins with a slash is a command."),
            *(
                said.format(area=_(area), commands=listed(SLASH + name for name in commands))
                for area, commands in self._table.items()
            ),
            _("The start of a name is enough. /help NAME explains one command, /help all explains each."),
            _("To send a text that begins with a slash, type two."),
        )
        for one in self._of_bot():
            said = _("Command of the bot {name}: {command}, {text}.")
            command = SLASH * (2 if self._begins(one.name) else 1) + one.name
            name = self._state.name_of(self._state.current or "")
            text = safe_line(one.description).rstrip(".")
            await self._output.say(said.format(name=name, command=command, text=text))
