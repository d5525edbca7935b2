"""The part of the chat screen that writes: drafts, typing, answers, sending.

Rules: a text leaves the composer only into the hands of the engine; what the engine refuses comes back, and
what is not sent is kept in the profile, also when Parlour locks or closes while a text is on its way.

What was written and not sent, a conversation, with the entry that it answers.

Rules: what is put here holds at once and is kept in the encrypted profile by `keep`, and nowhere else; the
object goes with the open profile, so that a lock leaves nothing of it in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from chat.interface import EntryView, Messenger
from tui import messages
from tui.attention import Attention
from tui.conversation import DELETED
from tui.messages import Problem, attempt
from tui.preferences import Options, Preferences
from tui.screens.chat.history import Reading
from tui.text.emoji import named, with_taken
from tui.text.translation import _
from tui.widgets.composer import Completion, Composer
from tui.widgets.history import History
from tui.widgets.lines import Banner, ReplyLine, Said


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that was not sent, and the id of the entry that it answers (empty: none)."""

    text: str = field(default="", repr=False)
    reply: str = ""


class Drafts:
    """The drafts of an open profile, by person id."""

    def __init__(self, preferences: Preferences) -> None:
        self._preferences = preferences
        self._unkept: dict[str, str] = {}
        self._refused: set[str] = set()
        self._keeping = asyncio.Lock()

    def of(self, person: str) -> Draft:
        """The draft to a contact, empty where there is none."""
        return Draft(self._get(f"draft.{person}"), self._get(f"reply.{person}"))

    def put(self, person: str, draft: Draft) -> None:
        """Hold a draft; one without a word is none."""
        self._put(f"draft.{person}", draft.text if draft.text.strip() else "")
        self._put(f"reply.{person}", draft.reply)

    def give_back(self, person: str, draft: Draft) -> None:
        """Hold what could not be sent, before whatever was written since."""
        since = self.of(person)
        text = "\n".join(part for part in (draft.text, since.text) if part)
        self.put(person, Draft(text, draft.reply or since.reply))

    @property
    def unkept(self) -> bool:
        """Whether the profile lacks something of this."""
        return bool(self._unkept)

    async def keep(self) -> None:
        """Store what is not stored. Raises ParlourError; what it concerns is tried again at the next call."""
        async with self._keeping:
            for name, value in list(self._unkept.items()):
                self._refused.add(name)
                await self._preferences.set(name, value)
                self._refused.discard(name)
                if self._unkept.get(name) == value:
                    del self._unkept[name]

    def _get(self, name: str) -> str:
        return self._unkept.get(name, self._preferences.get(name))

    def _put(self, name: str, value: str) -> None:
        if value == self._preferences.get(name) and name not in self._refused:
            self._unkept.pop(name, None)
        else:
            self._unkept[name] = value


_LEAVE_SECONDS: Final = 2.0


class Writing(Reading):
    """The composer of the open conversation."""

    def __init__(self, messenger: Messenger, options: Options, attention: Attention) -> None:
        super().__init__(messenger, options, attention)
        self.drafts = Drafts(Preferences())
        self._answered: EntryView | None = None
        self._sent: dict[str, list[str]] = {}
        self._sending = asyncio.Lock()
        self._told_typing: float | None = None
        self._shown_text = ""
        self._keeping_soon = False

    # What the person does.

    def on_send_text(self, message: messages.SendText) -> None:
        person = message.person
        draft = Draft(message.text, self.drafts.of(person).reply)
        view = self.contacts.get(person)
        if view is not None and view.held:  # Enter was on its way when that became known
            self._give_back(person, draft)
            return
        if person == self.current:
            self._told_typing = None
            self.query_one(Said).clear()
            self._answer(None)
        else:
            self.drafts.put(person, Draft())
        # Not of this screen's workers: those end with it, and the text would be lost.
        self.app.run_worker(self._send(person, draft), group="send")

    def on_draft_changed(self, message: messages.DraftChanged) -> None:
        if self.current is None:
            return
        self.keep()
        self._keep_soon()
        text = self.query_one(Composer).text
        if not text or text != self._shown_text:
            self._shown_text = ""
            self._tell_typing(self.current, text)

    def on_text_refused(self, message: messages.TextRefused) -> None:
        self.say(message.text, problem=True)

    def on_choices_moved(self, message: messages.ChoicesMoved) -> None:
        begun = self.query_one(Composer).shortcode_offset
        self.query_one(Completion).show(message.choices, message.chosen, begun)

    def on_take_choice(self, message: messages.TakeChoice) -> None:
        self.query_one(Composer).take(message.choice)

    def on_reply_to(self, message: messages.ReplyTo) -> None:
        if message.entry.contact == self.current:
            self._answer(message.entry)
            self.go_write()

    def on_drop_reply(self, message: messages.DropReply) -> None:
        self._answer(None)

    def action_write(self) -> None:
        self.query_one(Said).clear()
        self.query_one(History).unmark()
        self.go_write()

    def action_emoji(self) -> None:
        from tui.screens.finder import EmojiDialog

        view = self.chosen()
        if view is None or view.held:
            self.go_write()
        else:
            recent = self.preferences.get("emoji").split()
            self.app.push_screen(EmojiDialog(recent), partial(self._put_emoji, view.person, recent))

    def _put_emoji(self, person: str, recent: Sequence[str], name: str | None) -> None:
        emoji = named(name or "")
        if name is None or emoji is None or person != self.current:
            return
        self.post_message(messages.PreferenceChosen("emoji", " ".join(with_taken(recent, name))))
        self.query_one(Composer).put(emoji)
        self.go_write()

    def go_write(self) -> None:
        """Go to where one writes to the open conversation, or to what says why one cannot."""
        if self.current is not None:
            composer = self.query_one(Composer)
            (self.query_one(Banner) if composer.disabled else composer).focus()

    def earlier(self) -> list[str]:
        """What this person wrote in the open conversation, the newest last."""
        if self.conversation is None:
            return []
        person, window = self.conversation.person, self.conversation.window
        own = [entry.text for entry in window.entries if entry.own and entry.kind == "text"]
        if window.last or person not in self._sent:
            self._sent[person] = own
        return self._sent[person]

    # Drafts.

    def keep(self) -> None:
        """Put the text in the composer among the drafts."""
        if self.current is not None:
            answered = self._answered.id if self._answered is not None else self.drafts.of(self.current).reply
            self.drafts.put(self.current, Draft(self.query_one(Composer).draft, answered))

    def leave_draft(self) -> None:
        """Keep the draft of the open conversation, before another one opens."""
        if self.current is not None:
            self.keep()
            self._stop_typing(self.current)
            self._keep_soon()

    def take_up_draft(self) -> None:
        """Show the draft of the open conversation."""
        if self.current is None:
            return
        draft = self.drafts.of(self.current)
        self._shown_text = draft.text
        composer = self.query_one(Composer)
        composer.person = self.current
        composer.set_text(draft.text)
        self._show_answered(None)
        if draft.reply:
            self.run_worker(self._find_answered(self.current, draft.reply), group="reply", exclusive=True)

    def forget_draft(self, person: str) -> None:
        """Nothing is kept of what was written to somebody who was removed."""
        self.drafts.put(person, Draft())
        self._sent.pop(person, None)
        self._keep_soon()

    async def settle(self) -> None:
        """Wait for texts on their way and store every draft: what is done before the profile closes."""
        try:
            async with asyncio.timeout(_LEAVE_SECONDS), self._sending:
                await attempt(self.drafts.keep())
        except TimeoutError:
            return  # the key is dropped now, whatever the engine waits for

    def leave(self) -> None:
        """Nothing is shown any more; `settle` is still to be awaited."""
        self.keep()
        self.current = None

    def _keep_soon(self) -> None:
        if self.drafts.unkept and not self._keeping_soon:
            self._keeping_soon = True
            self.set_timer(self.options.keep_draft, self._keep_now)

    def _keep_now(self) -> None:
        self._keeping_soon = False
        self.app.run_worker(self._keep_drafts(), group="drafts")

    async def _keep_drafts(self) -> None:
        kept = await attempt(self.drafts.keep())
        if isinstance(kept, Problem) and self.current is not None:
            self.say(kept.text, problem=True)

    # Sending.

    async def _send(self, person: str, draft: Draft) -> None:
        async with self._sending:
            sent = await attempt(self.messenger.send(person, draft.text, draft.reply))
            if isinstance(sent, Problem):
                self._give_back(person, draft)
                if self.current is not None:
                    self.say(sent.text, problem=True)
        if self.drafts.unkept:
            await self._keep_drafts()

    def _give_back(self, person: str, draft: Draft) -> None:
        """A text that could not be committed returns to where it was written."""
        self.keep()
        self.drafts.give_back(person, draft)
        if person == self.current:
            self.take_up_draft()

    # Answers.

    def _answer(self, entry: EntryView | None) -> None:
        """What is written next answers this entry, or none."""
        if self.current is None:
            return
        text = self.query_one(Composer).draft
        self.drafts.put(self.current, Draft(text, entry.id if entry is not None else ""))
        self._show_answered(entry)
        self._keep_soon()

    def _show_answered(self, entry: EntryView | None) -> None:
        self._answered = entry
        view = self.contacts.get(self.current or "")
        name = _("You") if entry is not None and entry.own else self.named(view) if view is not None else ""
        self.query_one(ReplyLine).show(name, entry)
        self.query_one(Composer).answering = entry is not None

    def forget_answer(self, person: str, entry: str) -> None:
        """An entry was deleted: nothing that is written answers it, and its text is not called back."""
        self._sent.pop(person, None)
        if self._answered is not None and self._answered.id == entry:
            self._answer(None)
        draft = self.drafts.of(person)
        if draft.reply == entry:
            self.drafts.put(person, replace(draft, reply=""))
            self._keep_soon()

    async def _find_answered(self, person: str, reply: str) -> None:
        entry = await attempt(self.messenger.entry(person, reply))
        if self.current != person or self.drafts.of(person).reply != reply:
            return
        self._answer(entry if isinstance(entry, EntryView) and entry.kind != DELETED else None)

    # Typing.

    def _tell_typing(self, person: str, text: str) -> None:
        view = self.contacts.get(person)
        if view is None or not view.present:
            return
        now = self.options.monotonic()
        if not text.strip():
            self._stop_typing(person)
        elif self._told_typing is None or now - self._told_typing >= self.options.typing_again:
            self._told_typing = now
            self.run_worker(self.done(self.messenger.typing(person, True)), group="typing")

    def _stop_typing(self, person: str) -> None:
        if self._told_typing is not None:
            self._told_typing = None
            self.run_worker(self.done(self.messenger.typing(person, False)), group="typing")
