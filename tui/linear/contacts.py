"""Contacts: their list and changes, and verify, rename, pin, mute, block and remove."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from chat.interface import ContactView, Messenger, QuestionView, UsageError
from tui.linear.output import Output
from tui.linear.state import Questions, State, on_or_off
from tui.linear.wording import number_lines, plain_name, presence_line, self_lines, standing
from tui.preferences import Options, Preferences
from tui.recent import last_line
from tui.text.formatting import (
    NONE_TO_TAKE,
    comparison_lines,
    not_me,
    question_lines,
    same_key_line,
    taken_line,
    taking_lines,
)
from tui.text.people import block_lines, called_lines, digits_line, removal_line, renamed_line
from tui.text.safe import safe_line, shorten
from tui.text.translation import _, _n, told

_LAST_CELLS: Final = 60


@dataclass
class Contacts:
    messenger: Messenger
    output: Output
    options: Options
    preferences: Preferences
    state: State
    questions: Questions
    _numbers_shown: dict[str, tuple[str, ...]] = field(init=False, default_factory=dict)
    _changes_shown: tuple[str, ...] = field(init=False, default=())  # operations, in the order of their lines
    _typing: set[str] = field(init=False, default_factory=set)  # contacts who were announced as typing

    async def list(self, _typed: str = "") -> None:
        if not self.state.contacts:
            said = _("You have no contacts yet: add one with /nearby, /invite, /join or /address.")
            await self.output.say(said)
        for at, view in enumerate(self.state.list_now(), 1):
            line = _("{name}, {how}").format(name=self.state.name_of(view.person), how=standing(view))
            if last := shorten(last_line(self.state.recent.last(view.person)), _LAST_CELLS):
                line = _("{line}. Last message: {text}").format(line=line, text=last)
            await self.output.say(_("{number}. {line}").format(number=at, line=line))

    async def me(self, _typed: str = "") -> None:
        await self.output.say(*self_lines(self.state.me))

    async def count(self) -> None:
        """Say at the start how many contacts there are, and who wrote."""
        views = [view for view in self.state.in_order() if not view.notes]
        if not views:
            await self.list()
        if len(views) < 2:
            return
        here = sum(view.present for view in views)
        said = _n("{number} contact, {here} online.", "{number} contacts, {here} of them online.", len(views))
        await self.output.say(said.format(number=len(views), here=here))
        for view in views:
            if view.unread:
                said = _n("{number} unread from {name}.", "{number} unread from {name}.", view.unread)
                await self.output.say(said.format(number=view.unread, name=self.state.name_of(view.person)))

    async def verify(self, typed: str) -> None:
        view = self.state.other()
        name = self.state.name_of(view.person)
        answer = typed.casefold()
        shown = self._numbers_shown.get(view.person, ())
        if answer == "no":
            await self.messenger.unverify(view.person)
            self.state.update(replace(view, verified=False))
            await self.output.say(_("{name} is not verified.").format(name=name))
        elif answer == "yes" and len(shown) == 1:
            # Only a number that was shown here can have been compared.
            await self._same(view, shown[0])
        elif answer in ("", "yes"):
            await self._show_numbers(view, name)
        elif any(map(str.isdecimal, answer)):
            await self._same(view, answer)
        else:
            raise UsageError(_("Type /verify, then /verify yes, /verify no, or /verify and the number."))

    async def _same(self, view: ContactView, number: str) -> None:
        await self.messenger.verify(view.person, number)
        self.state.update(replace(view, verified=True, held=False))
        await self.output.say(_("{name} is verified.").format(name=self.state.name_of(view.person)))

    async def _show_numbers(self, view: ContactView, name: str) -> None:
        found = await self.messenger.verification(view.person)
        self._numbers_shown[view.person] = found.numbers
        if len(found.numbers) > 1:
            contested = _("Recoveries of {name} contradict each other. {name} sees one of these numbers.")
            head = contested.format(name=name)
            then = _("If one is the same, type /verify and that number.")
        else:
            head = _("{name} should see exactly this number.").format(name=name)
            then = _("If it is the same, type /verify yes. If it differs, someone intercepts your messages.")
        await self.output.say(
            head,
            *(line for number in found.numbers for line in number_lines(number)),
            _("Read it to each other in person or by phone, never in a message."),
            then,
            *called_lines(view, self.options.zone),
            *comparison_lines(found, name, self.options.zone),
            *(same_key_line(self.state.name_of(other)) for other in view.same_key),
        )

    async def own_changes(self, typed: str) -> None:
        """List the changes of the own identity that nobody has confirmed, or answer for one by its place.

        The place is that in the list that was shown: another change may have come since.
        """
        answer, _space, place = typed.casefold().partition(" ")
        if answer == "no":
            await self.output.say(
                _("If a device of yours added another one, /devices remove NUMBER shuts out both."),
                not_me(_("/recovery use")),
            )
        elif answer == "yes":
            shown = self._changes_shown
            if not place.isascii() or not place.isdecimal() or not 1 <= int(place) <= len(shown):
                raise UsageError(_("Type /own, then /own yes and the number of a line, or /own no."))
            await self.messenger.confirm_own(shown[int(place) - 1])
        elif answer:
            raise UsageError(_("Type /own, then /own yes and the number of a line, or /own no."))
        else:
            await self._list_changes()

    async def _list_changes(self) -> None:
        questions = await self.messenger.questions()
        self._changes_shown = tuple(question.operation for question in questions)
        if not questions:
            await self.output.say(_("Your identity has no change that waits for your answer."))
        devices = await self.messenger.terminals() if questions else ()
        for at, question in enumerate(questions, 1):
            line = " ".join(question_lines(question, devices))
            await self.output.say(_("{number}. {line}").format(number=at, line=line))

    async def questions_changed(self, questions: tuple[QuestionView, ...]) -> None:
        """Say that the own identity has changed, or that nothing is to be answered any more."""
        if questions:
            asked = _("Your identity has changed, and not by this device. Was that you? Type /own.")
            await self.output.say(asked)
        else:
            await self.output.say(_("You have confirmed every change of your identity."))

    async def rename(self, typed: str) -> None:
        view = self.state.other()
        if not typed:
            raise UsageError(_("Type /rename and the new name."))
        await self.messenger.rename(view.person, typed)

    async def pin(self, typed: str) -> None:
        view = self.state.chosen()
        on = on_or_off(typed, default=not view.pinned)
        await self.messenger.pin(view.person, on)
        if view.notes:
            self.state.me = replace(self.state.me, notes_pinned=on)
        else:
            self.state.update(replace(view, pinned=on))
        said = _("{name} is pinned: /people lists it first.") if on else _("{name} is not pinned.")
        await self.output.say(said.format(name=self.state.name_of(view.person)))

    async def mute(self, typed: str) -> None:
        view = self.state.other()
        on = on_or_off(typed, default=not view.muted)
        await self.messenger.mute(view.person, on)
        self.state.update(replace(view, muted=on))
        said = _("{name} is muted.") if on else _("{name} is not muted.")
        await self.output.say(said.format(name=self.state.name_of(view.person)))

    async def take(self, _typed: str) -> None:
        view = self.state.other()

        async def take() -> None:
            await self.output.say(taken_line(await self.messenger.take_earlier(view.person)))

        if takeable := await self.messenger.takeable(view.person):
            lines = taking_lines(self.state.name_of(view.person), takeable)
            await self.questions.confirm(view.person, lines, take)
        else:
            await self.output.say(_(NONE_TO_TAKE))

    async def block(self, typed: str) -> None:
        view = self.state.other()
        name = self.state.name_of(view.person)

        on = on_or_off(typed, default=not view.blocked)

        async def block() -> None:
            await self.messenger.block(view.person, on)
            self.state.update(replace(view, blocked=on))
            said = _("{name} is blocked.") if on else _("{name} is no longer blocked.")
            await self.output.say(said.format(name=name))

        await self.questions.confirm(view.person, block_lines(name, on=on), block)

    async def remove(self, typed: str) -> None:
        view = self.state.find(typed) if typed else self.state.other()
        if view.notes:
            raise UsageError(_("These are your own notes: only conversations with contacts have that."))
        question = _("Remove {name}?").format(name=self.state.name_of(view.person))
        lines = (question, removal_line(await self.messenger.terminals()))
        await self.questions.confirm(view.person, lines, lambda: self.messenger.remove(view.person))

    async def changed(self, view: ContactView) -> None:
        before = self.state.contacts.get(view.person)
        called = self.state.name_of(view.person)
        self.state.contacts[view.person] = view
        name = self.state.name_of(view.person)
        if before is None:
            return
        if name != called:
            explained = digits_line(view.label) if view.label != before.label else ""
            await self.output.notify(*filter(None, (renamed_line(called, name), explained)))
        if (said := presence_line(before, view)) and self.state.announces("presence"):
            await self.output.notify(said.format(name=name))
        await self._announce_typing(view, name)
        if view.held and not before.held:
            self._numbers_shown.pop(view.person, None)
            await self.output.say(self.state.held_line(view.person))
        elif view.verified != before.verified:
            said = _("{name} is verified.") if view.verified else _("{name} is not verified.")
            await self.output.notify(said.format(name=name))

    async def _announce_typing(self, view: ContactView, name: str) -> None:
        """Announce typing once per entry, and never later: then it would no longer be true."""
        if not view.present:
            self._typing.discard(view.person)
        elif view.typing and view.person == self.state.current and view.person not in self._typing:
            self._typing.add(view.person)
            if self.state.announces("typing") and not self.output.paused:
                await self.output.notify(_("{name} is typing.").format(name=name))

    def wrote(self, person: str) -> None:
        """An entry arrived, so that the next typing is announced again."""
        self._typing.discard(person)

    async def removed(self, person: str, name: str) -> bool:
        """A contact was removed; whether its conversation was open."""
        called = self.state.names().get(person) or plain_name(name)
        self.state.contacts.pop(person, None)
        await self.output.say(_("{name} was removed.").format(name=called))
        if self.state.current != person:
            return False
        self.state.current = None
        return True

    async def identity_changed(self, person: str, cause: str) -> None:
        self._numbers_shown.pop(person, None)
        said = _("{name} {cause}.").format(name=self.state.name_of(person), cause=safe_line(told(cause)))
        await self.output.say(said)
