"""The composer of the open conversation: drafts, typing, answers, sending.

A text leaves the composer only for the engine. What the engine refuses returns, and what is not sent is kept
in the encrypted profile, also when Parlour locks or closes while a text is on its way.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from msgspec.structs import replace
from textual import events
from textual.content import Content

from chat.interface import (
    GONE,
    BotCommand,
    ContactView,
    EntryKind,
    EntryView,
    Guard,
    Messenger,
    Phrase,
    Redacted,
    Redacting,
)
from tui.actions import action
from tui.messages import ChoicesChanged, PreferenceChosen, Problem, SendText, attempt
from tui.preferences import Options, Preferences, kept_send_id, send_id
from tui.screens.chat.surface import ChatState, Surface
from tui.screens.finder import EmojiDialog
from tui.text.bots import offered
from tui.text.commands import RESERVED, begun_command, escaped, unescaped
from tui.text.emoji import named, with_taken
from tui.text.translation import _, sentences, told
from tui.typed import Pause, Typed
from tui.widgets.composer import Completion, Composer
from tui.widgets.history import History
from tui.widgets.lines import Banner, ReplyLine

_LEAVE_SECONDS: Final = 2.0
_RESTS: Final = 0.3
"""Seconds without a key after which what is written is compared with the passphrase, where that is due."""

_CHANGED_MAX: Final = 16
"""Own messages whose begun changes are kept. This person fills it, and the oldest goes first."""


class Draft(Redacting, frozen=True):
    """A text that was not sent, and the id of the entry that it answers (empty: none)."""

    text: Redacted[str] = ""
    reply: str = ""


@dataclass
class Drafts:
    """The drafts of an open profile, by person id."""

    preferences: Preferences
    _unkept: dict[str, str] = field(init=False, default_factory=dict, repr=False)
    _refused: set[str] = field(init=False, default_factory=set)
    _keeping: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    def of(self, person: str) -> Draft:
        return Draft(self._get(f"draft.{person}"), self._get(f"reply.{person}"))

    def put(self, person: str, draft: Draft) -> None:
        """Hold a draft; one without a word is none."""
        self._put(f"draft.{person}", draft.text if draft.text.strip() else "")
        self._put(f"reply.{person}", draft.reply)

    def send_id(self, person: str, draft: Draft) -> str:
        """The id to send it with: that of the last try where the same could not be sent."""
        return send_id(self._get(f"sending.{person}"), draft.text, draft.reply)

    def sent(self, person: str) -> None:
        """What was on its way is stored."""
        self._put(f"sending.{person}", "")

    def give_back(self, person: str, draft: Draft, send_id: str = "") -> None:
        """Hold what could not be sent, before whatever was written since; and the id of the try."""
        if send_id:
            self._put(f"sending.{person}", kept_send_id(send_id, draft.text, draft.reply))
        since = self.of(person)
        text = "\n".join(part for part in (escaped(draft.text), since.text) if part)
        self.put(person, Draft(text, draft.reply or since.reply))

    @property
    def unkept(self) -> bool:
        return bool(self._unkept)

    async def keep(self) -> None:
        """Store what is not stored. Raises ParlourError; what it concerns is tried again at the next call."""
        async with self._keeping:
            for name, value in list(self._unkept.items()):
                self._refused.add(name)
                await self.preferences.set(name, value)
                self._refused.discard(name)
                if self._unkept.get(name) == value:
                    del self._unkept[name]

    def _get(self, name: str) -> str:
        return self._unkept.get(name, self.preferences.get(name))

    def _put(self, name: str, value: str) -> None:
        if value == self.preferences.get(name) and name not in self._refused:
            self._unkept.pop(name, None)
        else:
            self._unkept[name] = value


@dataclass(repr=False)
class ComposerController:
    """Owns `view` and the lines above it. `guard` is asked before a text leaves."""

    messenger: Messenger
    state: ChatState
    surface: Surface
    options: Options
    preferences: Preferences
    history: History
    guard: Guard
    typed: Typed
    banner: Banner = field(init=False, default_factory=Banner)
    reply_line: ReplyLine = field(init=False, default_factory=ReplyLine)
    _answered: EntryView | None = field(init=False, default=None)
    _edited: EntryView | None = field(init=False, default=None)  # what is written takes its place
    _sent: dict[str, list[str]] = field(init=False, default_factory=dict)
    _sending: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    _changed: dict[str, str] = field(init=False, default_factory=dict)  # texts of edits that were left
    _announced: float | None = field(init=False, default=None)  # when the contact was last notified of typing
    _shown_text: str = field(init=False, default="")
    _keeping_soon: bool = field(init=False, default=False)
    _begun: str = field(init=False, default="")  # what `view` had before this person wrote
    _found: dict[str, str] = field(init=False, default_factory=dict)  # drafts as this session found them
    _unsent: list[tuple[str, Draft]] = field(init=False, default_factory=list)  # before the engine has them
    _changes: int = field(init=False, default=0)
    _pause: Pause | None = field(init=False, default=None)  # before Enter changes what a letter let edit

    def __post_init__(self) -> None:
        self.view = Composer(self.earlier, self.commands, self.surface.hold_frame)
        self.completion = Completion(self.view.take)
        self.drafts = Drafts(self.preferences)

    # What the person does.

    def send(self, message: SendText) -> None:
        person, edited = message.person, self._edited
        begun, self._begun = self._begun, ""
        compared = message.text, begun, self.typed.line
        if edited is not None and edited.contact == person:
            self.surface.clear()
            self.stop_editing()
            self.surface.outlast("send", self._send_edit, edited, compared)
            return
        draft = Draft(message.text, self.drafts.of(person).reply)
        view = self.state.contacts.get(person)
        if view is not None and view.held:  # Enter was on its way when that became known
            self._give_back(person, draft)
            return
        send_id = self.drafts.send_id(person, draft)
        if person == self.state.current:
            self._announced = None
            self.surface.clear()
            self.answer(None)
        else:
            self.drafts.put(person, Draft())
        self._unsent.append((person, draft))
        self.surface.outlast("send", self._send, person, draft, send_id, compared)

    def holds_back(self, event: events.Key) -> bool:
        """Whether Enter ends words that were meant for a new message, and of which a letter began an edit."""
        if self._edited is None or self._pause is None or self._pause.passed(event) or event.key != "enter":
            return False
        self._pause = None
        self.surface.say(_("You are editing a message. Press Enter again to change it, or Esc to leave it."))
        return True

    def text_changed(self) -> None:
        if self.state.current is None:
            return
        self.keep()
        self._keep_soon()
        self._compare_soon()
        text = self.view.text
        if not text or text != self._shown_text:
            self._shown_text = ""
            self._announce_typing(self.state.current, "" if begun_command(text, self.commands()) else text)

    def choices_changed(self, message: ChoicesChanged) -> None:
        self.completion.show(message.choices, message.chosen, self.view.shortcode_offset)

    def edit(self, entry: EntryView, text: str | None = None) -> None:
        """Let what is written take the place of an own entry; the draft waits meanwhile."""
        view = self.state.contact
        if entry.contact != self.state.current or view is None or view.held or self.state.removed:
            self.go_write()
            return
        self.leave_editing()
        self.keep()
        kept = self._changed.pop(entry.id, entry.text)
        self._edited, self._shown_text = entry, escaped(kept if text is None else text)
        self._begun = entry.text
        self._pause = Pause(self.typed.quiet) if self.typed.letter else None
        self.view.set_text(self._shown_text)
        self._show_answered(None)
        self.go_write()

    def edit_sent(self) -> None:
        """Edit the own text that ↑ has called back, or else the last one of the open conversation."""
        opened = self.state.conversation
        held = opened.window.entries if opened is not None else []
        own = [one for one in held if one.own and one.kind is EntryKind.TEXT]
        at = max(1, self.view.recalled)
        if at > len(own):
            self.surface.say(_("There is no message of yours here that can be edited."))
        else:
            self.edit(own[-at])

    def say_recalled(self, *, on: bool) -> None:
        """Say what Enter does with a text that was called back, and how it is edited instead."""
        self.surface.clear()
        if on:
            said = _("Sent before: Enter sends it again. {key}: edit the message instead.")
            again = _("Sent before: Enter sends it again.")
            key = action("edit_sent").key
            self.surface.say(said.format(key=key) if key else again)

    def leave_editing(self) -> bool:
        """Leave the entry as it is; what was changed is kept for the next time. True where something was."""
        entry, text = self._edited, unescaped(self.view.text)
        changed = entry is not None and text not in (entry.text, "")
        if entry is not None and changed:
            kept = list(self._changed.items())[1 - _CHANGED_MAX :]
            self._changed = {**dict(kept), entry.id: text}
        self.stop_editing()
        return changed

    def stop_editing(self) -> None:
        """Leave the entry as it is, and take up the draft again."""
        if self._edited is not None:
            self._edited = None
            self.take_up_draft()

    def drop(self) -> None:
        """Answer nothing, or edit nothing."""
        if self._edited is None:
            self.answer(None)
        elif self.leave_editing():
            self.surface.say(_("Your change is kept until Parlour locks: edit the message again to go on."))

    async def _send_edit(self, entry: EntryView, compared: tuple[str, str, str]) -> None:
        text = compared[0]
        if text == entry.text:
            return
        async with self._sending:
            doubt = await self.guard.doubt(*compared)
            edit = partial(self.messenger.edit, entry.contact, entry.id, text, secrets.token_hex(16))
            sent = await attempt(edit()) if doubt is None else None
        if self.state.current == entry.contact and (doubt is not None or isinstance(sent, Problem)):
            self.edit(entry, text)
        if doubt is not None:
            self._ask(doubt, partial(self._edit_all_the_same, entry, text))
        elif not isinstance(sent, Problem):
            self.guard.let_out()
        elif self.state.current is not None:
            self.surface.say(sent.text, problem=True)

    def reply_to(self, entry: EntryView) -> None:
        if entry.contact == self.state.current:
            self.answer(entry)
            self.go_write()

    def write(self) -> None:
        self.surface.clear()
        self.history.unmark()
        self.go_write()

    def emoji(self, view: ContactView) -> None:
        if view.held or self.state.removed:
            self.go_write()
        else:
            recent = self.preferences.get("emoji").split()
            self.surface.choose(EmojiDialog(recent), partial(self._put_emoji, view.person, recent))

    def _put_emoji(self, person: str, recent: Sequence[str], name: str) -> None:
        emoji = named(name)
        if emoji is None or person != self.state.current:
            return
        self.surface.post(PreferenceChosen("emoji", " ".join(with_taken(recent, name))))
        self.view.put(emoji)
        self.go_write()

    def go_write(self) -> None:
        """Go to where one writes to the open conversation, or to what says why one cannot."""
        if self.state.current is not None and (self.banner.display or not self.view.disabled):
            (self.banner if self.view.disabled else self.view).focus()

    def show_contact(self, view: ContactView, name: str, causes: tuple[Phrase, ...]) -> None:
        """Say why nothing can be written: the contact is held back, or this device was removed."""
        how = _("Write to yourself") if view.notes else _("Write to {name}").format(name=name)
        if self.state.removed:
            how = _("This device was removed. It sends nothing.")
        self.history.mark_bot(on=view.bot)
        self.view.placeholder = Content("" if view.held else how)
        if view.held:
            self.banner.show(name, causes, unvouched=view.unvouched)
        shut = view.held or self.state.removed
        if (self.view.disabled, self.banner.display) != (shut, view.held):
            writing = self.view.screen.focused in (self.view, self.banner)
            self.view.disabled, self.banner.display = shut, view.held
            if writing:
                self.go_write()

    def commands(self) -> Sequence[BotCommand]:
        """The commands that the contact of the open conversation offers as a bot."""
        view = self.state.contact
        return offered(view.commands, RESERVED) if view is not None else ()

    def earlier(self) -> list[str]:
        """What this person wrote in the open conversation, the newest last."""
        if self.state.conversation is None:
            return []
        person, window = self.state.conversation.person, self.state.conversation.window
        own = [entry.text for entry in window.entries if entry.own and entry.kind is EntryKind.TEXT]
        if window.last or person not in self._sent:
            self._sent[person] = own
        return self._sent[person]

    # Drafts.

    def keep(self) -> None:
        if self.state.current is not None and self._edited is None:
            person, entry = self.state.current, self._answered
            reply = entry.id if entry is not None else self.drafts.of(person).reply
            self.drafts.put(person, Draft(self.view.draft, reply))

    def leave_draft(self) -> None:
        """Keep the draft of the open conversation, before another one opens."""
        if self.state.current is not None:
            self.leave_editing()
            self.keep()
            self._stop_typing(self.state.current)
            self._keep_soon()

    def take_up_draft(self) -> None:
        if self.state.current is None:
            return
        draft = self.drafts.of(self.state.current)
        self._shown_text = draft.text
        # A draft that this session has written may have the passphrase, and hides it from no comparison.
        self._begun = unescaped(self._found.setdefault(self.state.current, draft.text))
        self.view.person = self.state.current
        self.view.set_text(draft.text)
        self._show_answered(None)
        if draft.reply:
            self.surface.run("reply", self._find_answered, self.state.current, draft.reply, exclusive=True)

    def contact_removed(self, person: str) -> None:
        """Nothing is kept of what was written to somebody who was removed."""
        self.drafts.put(person, Draft())
        self.drafts.sent(person)
        self._sent.pop(person, None)
        self._keep_soon()

    async def settle(self) -> None:
        """Wait for texts on their way and store every draft: what is done before the profile closes."""
        for person, draft in reversed(self._unsent):
            self.drafts.give_back(person, draft)
        self._unsent.clear()
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                await attempt(self.drafts.keep())  # a comparison with the passphrase may take longer
                async with self._sending:
                    await attempt(self.drafts.keep())
        except TimeoutError:
            return  # the key is dropped now, whatever the engine waits for

    def leave(self) -> None:
        """Nothing is shown any more; `settle` is still to be awaited."""
        self.keep()
        self.state.open(None)

    def _keep_soon(self) -> None:
        if self.drafts.unkept and not self._keeping_soon:
            self._keeping_soon = True
            self.surface.later(self.options.keep_draft, self._keep_now)

    def _keep_now(self) -> None:
        self._keeping_soon = False
        self.surface.outlast("drafts", self._keep_drafts)

    async def _keep_drafts(self) -> None:
        kept = await attempt(self.drafts.keep())
        if isinstance(kept, Problem) and self.state.current is not None:
            self.surface.say(kept.text, problem=True)

    # Sending.

    def _compare_soon(self) -> None:
        """Compare what is written with the passphrase in the next pause, so that Enter need not wait."""
        self._changes += 1
        if self.guard.watches:
            self.surface.later(_RESTS, partial(self._compare, self._changes))

    def _compare(self, changes: int) -> None:
        text = unescaped(self.view.text)
        if changes == self._changes and self.state.current is not None and text.strip():
            self.surface.run("compare", self.guard.look_ahead, text, self._begun, self.typed.run)

    def _ask(self, doubt: Phrase, do: Callable[[], None]) -> None:
        """Ask whether a text goes out that may be the passphrase.

        It is in the message box again, unless it is the passphrase and nothing else.
        """
        if self.state.current is not None:
            why = _("Anyone who knows it can open your history on this device.")
            self.surface.confirm(sentences(told(doubt), _("Send it all the same?")), why, do)

    def _send_all_the_same(self, person: str, draft: Draft) -> None:
        self.guard.let_out()
        self.keep()
        held = self.drafts.of(person)
        since = held.text.removeprefix(escaped(draft.text)).removeprefix("\n")
        self.drafts.put(person, replace(held, text=since))
        if person == self.state.current:
            self.take_up_draft()
        self.send(SendText(draft.text, person))

    def _edit_all_the_same(self, entry: EntryView, text: str) -> None:
        self.guard.let_out()
        self.stop_editing()
        self.surface.outlast("send", self._send_edit, entry, (text, "", ""))

    async def _send(self, person: str, draft: Draft, send_id: str, compared: tuple[str, str, str]) -> None:
        async with self._sending:
            doubt = await self.guard.doubt(*compared)
            if (person, draft) not in self._unsent:
                return  # Parlour closes, and it is a draft again
            self._unsent.remove((person, draft))
            if doubt is not None:
                if not self.guard.is_known(draft.text):  # the passphrase itself is kept nowhere as a draft
                    self._give_back(person, draft)
                self._ask(doubt, partial(self._send_all_the_same, person, draft))
                return
            sent = await attempt(self.messenger.send(person, draft.text, draft.reply, send_id))
            if not isinstance(sent, Problem):
                self.guard.let_out()
                self.typed.forget()
                self.drafts.sent(person)
            else:
                self._give_back(person, draft, send_id)
                if self.state.current is not None:
                    self.surface.say(sent.text, problem=True)
        if self.drafts.unkept:
            await self._keep_drafts()

    def _give_back(self, person: str, draft: Draft, send_id: str = "") -> None:
        self.keep()
        self.drafts.give_back(person, draft, send_id)
        if person == self.state.current:
            self.take_up_draft()

    # Answers.

    def answer(self, entry: EntryView | None) -> None:
        if self.state.current is None:
            return
        self.leave_editing()
        text = self.view.draft
        self.drafts.put(self.state.current, Draft(text, entry.id if entry is not None else ""))
        self._show_answered(entry)
        self._keep_soon()

    def _show_answered(self, entry: EntryView | None) -> None:
        self._answered = entry
        view = self.state.contact
        name = self.state.named(view) if view is not None else ""
        name = _("You") if entry is not None and entry.own else name
        shown = self._edited or entry
        self.reply_line.show(name, shown, edits=self._edited is not None)
        self.view.answering = shown is not None

    def restyle(self) -> None:
        self._show_answered(self._answered)

    def entry_deleted(self, person: str, entry: str) -> None:
        """An entry was deleted: nothing that is written answers it, and its text is not called back."""
        self._sent.pop(person, None)
        self._changed.pop(entry, None)
        if self._edited is not None and self._edited.id == entry:
            self.stop_editing()
        if self._answered is not None and self._answered.id == entry:
            self.answer(None)
        draft = self.drafts.of(person)
        if draft.reply == entry:
            self.drafts.put(person, replace(draft, reply=""))
            self._keep_soon()

    def entry_edited(self, entry: EntryView) -> None:
        """What the entry said before is not called back."""
        self._sent.pop(entry.contact, None)

    async def _find_answered(self, person: str, reply: str) -> None:
        entry = await attempt(self.messenger.entry(person, reply))
        if self.state.current != person or self.drafts.of(person).reply != reply:
            return
        self.answer(entry if isinstance(entry, EntryView) and entry.kind not in GONE else None)

    # Typing.

    def _announce_typing(self, person: str, text: str) -> None:
        view = self.state.contacts.get(person)
        if view is None or not view.present:
            return
        now = self.options.monotonic()
        if not text.strip():
            self._stop_typing(person)
        elif self._announced is None or now - self._announced >= self.options.typing_again:
            self._announced = now
            self.surface.call("typing", self.messenger.typing, person, True)

    def _stop_typing(self, person: str) -> None:
        if self._announced is not None:
            self._announced = None
            self.surface.call("typing", self.messenger.typing, person, False)
