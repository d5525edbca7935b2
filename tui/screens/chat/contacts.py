"""Actions on the open contact, and the dialogs of the profile: relays, recovery, settings, diagnosis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from chat.interface import (
    AlertKind,
    AlertView,
    ContactView,
    DiagnosisView,
    Messenger,
    QuestionView,
    RelayView,
    SelfView,
)
from tui.actions import Group, action
from tui.messages import Problem, WipeWanted, attempt
from tui.preferences import AMOUNTS, Options, Preferences, amount
from tui.screens.chat.surface import ChatState, Surface
from tui.screens.dialog import ConfirmDialog, RemoveDialog, RenameDialog, TimerDialog
from tui.screens.filesizes import FilesDialog
from tui.text.formatting import GONE, NONE_TO_TAKE, OWN_NAME, place, taken_line, taking_lines
from tui.text.people import block_lines, called_lines, clearing_line, removal_line
from tui.text.profile import OLD_HEADER, SEALED, SEALING
from tui.text.recovery import (
    KEEP_ONLY,
    KEEP_WORDS,
    NEW_KEYS,
    OLD_WORDS_END,
    RECOVERED,
    RECOVERY_ERASED,
    RECOVERY_RIVAL,
    RECOVERY_STOPPED,
    RECOVERY_WARNS,
    device_line,
    foreseen_lines,
    removable_devices,
)
from tui.text.safe import safe_name
from tui.text.translation import _, _n, sentences
from tui.widgets.lines import AlertLine, QuestionLine

if TYPE_CHECKING:
    from tui.screens.recovery import Recovering, TypedBack
    from tui.screens.relays import RelaysDialog


_NOT_OF_NOTES = frozenset(("verify", "rename", "block", "remove", "mute", "timer", "files", "take"))


@dataclass(repr=False)
class ContactActions:
    """Verifies, renames, blocks, removes, pins, mutes, times and clears the open conversation's contact."""

    messenger: Messenger
    state: ChatState
    surface: Surface
    options: Options
    _changes: int = field(init=False, default=0)  # of identities, as far as they may change a safety number
    _turning: dict[tuple[str, str], bool] = field(init=False, default_factory=dict)  # what is on its way

    def contact(self, view: ContactView) -> None:
        if view.notes:
            self.surface.offer("contact", Group.CONTACT, _NOT_OF_NOTES)
        else:
            self.surface.run("contact", self._offer, view)

    async def _offer(self, view: ContactView) -> None:
        takeable = await self.surface.ask(self.messenger.takeable(view.person))
        if takeable is not None:
            self.surface.offer("contact", Group.CONTACT, set() if takeable else {"take"})

    def verify(self, view: ContactView) -> None:
        self.surface.run("contact", self._verify, view, exclusive=True)

    def rename(self, view: ContactView) -> None:
        about = _("The name that you see for this contact. The contact does not see it.")
        about = "\n".join((about, *called_lines(view, self.options.zone)))
        renamed = partial(self._call, self.messenger.rename, view.person)
        self.surface.choose(RenameDialog(view.name, about), renamed)

    def block(self, view: ContactView) -> None:
        on = not view.blocked
        question, consequence = block_lines(self.state.named(view), on=on)
        self.surface.confirm(
            question, consequence, partial(self._call, self.messenger.block, view.person, on)
        )

    def remove(self, view: ContactView) -> None:
        self.surface.run("contact", self._ask_to_remove, view)

    async def _ask_to_remove(self, view: ContactView) -> None:
        devices = await self.surface.ask(self.messenger.terminals())
        if devices is not None:
            question = _("Remove {name}?").format(name=self.state.named(view))
            remove = partial(self._call, self.messenger.remove, view.person)
            self.surface.confirm(question, removal_line(devices), remove)

    def timer(self, view: ContactView) -> None:
        dialog = TimerDialog(self.state.named(view), view.timer)
        self.surface.choose(dialog, partial(self._set_timer, view.person))

    def files(self, view: ContactView) -> None:
        self.surface.run("contact", self._files, view)

    async def _files(self, view: ContactView) -> None:
        kept = await self.surface.ask(self.messenger.preferences())
        if kept is not None:
            without, relayed = AMOUNTS["files"], AMOUNTS["relayed"]
            names = f"{without.name}.{view.person}", f"{relayed.name}.{view.person}"
            sizes = kept.get(names[0], ""), kept.get(names[1], "")
            usual = str(amount(kept, without)), str(amount(kept, relayed))
            dialog = FilesDialog(self.state.named(view), sizes, usual)
            self.surface.choose(dialog, partial(self._set_sizes, names))

    def _set_sizes(self, names: Sequence[str], sizes: Sequence[str]) -> None:
        for name, size in zip(names, sizes, strict=True):
            self._call(self.messenger.set_preference, name, size)

    def _set_timer(self, person: str, seconds: int) -> None:
        self.surface.run("contact", self._timer, person, seconds)

    async def _timer(self, person: str, seconds: int) -> None:
        await self.surface.ask(self.messenger.set_timer(person, seconds))

    def clear(self, view: ContactView) -> None:
        self.surface.run("contact", self._ask_to_clear, view)

    async def _ask_to_clear(self, view: ContactView) -> None:
        devices = await self.surface.ask(self.messenger.terminals())
        if devices is not None:
            name = "" if view.notes else self.state.named(view)
            question = _("Clear your notes on this device?")
            if name:
                question = _("Clear the conversation with {name} on this device?").format(name=name)
            clear = partial(self._call, self.messenger.clear, view.person)
            self.surface.confirm(question, clearing_line(name, devices), clear)

    def _call(self, method: Callable[..., Awaitable[None]], *arguments: object) -> None:
        self.surface.call("contact", method, *arguments)

    async def _verify(self, view: ContactView) -> None:
        from tui.screens.details import VerifyDialog

        found, seen = None, -1
        while seen != self._changes:  # an answer that a change has overtaken shows the number of before
            seen = self._changes
            found = await self.surface.ask(self.messenger.verification(view.person))
        if found is not None:
            others = [self.state.contacts[one] for one in view.same_key if one in self.state.contacts]
            same_key = [self.state.named(other) for other in others]
            self.surface.choose(
                VerifyDialog(view, self.state.named(view), found, self.options.zone, same_key),
                partial(self._compared, view),
            )

    def number_changed(self, person: str | None = None) -> None:
        """The safety number with a contact, or with all, may be another than a dialog shows (SPEC §7.7)."""
        from tui.screens.details import VerifyDialog

        self._changes += 1
        for dialog in self.surface.dialogs(VerifyDialog):
            if person in (None, dialog.person):
                dialog.end(None)
                said = _("An identity has changed: open the safety number again.")
                self.surface.say(said, problem=True)

    def _compared(self, view: ContactView, number: str) -> None:
        """The contact sees this number, or is not verified any more (empty)."""
        if number:
            self._call(self.messenger.verify, view.person, number)
        else:
            self.surface.confirm(
                _("Remove the verification of {name}?").format(name=self.state.named(view)),
                _("The contact counts as not verified on all your devices until you compare again."),
                partial(self._call, self.messenger.unverify, view.person),
            )

    def pin(self, view: ContactView) -> None:
        pinned = _("Pinned. The conversation stays at the top of the list.")
        self._turn("pin", view.person, view.pinned, self.messenger.pin, (pinned, _("Unpinned.")))

    def take(self, view: ContactView) -> None:
        self.surface.run("contact", self._ask_to_take, view)

    async def _ask_to_take(self, view: ContactView) -> None:
        takeable = await self.surface.ask(self.messenger.takeable(view.person))
        if takeable:
            question, consequence = taking_lines(self.state.named(view), takeable)
            take = partial(self.surface.run, "contact", self._take, view)
            self.surface.confirm(question, consequence, take)
        elif takeable is not None:
            self.surface.say(_(NONE_TO_TAKE))

    async def _take(self, view: ContactView) -> None:
        taken = await self.surface.ask(self.messenger.take_earlier(view.person))
        if taken is not None:
            self.surface.say(taken_line(taken))

    def mute(self, view: ContactView) -> None:
        muted = _("Muted. New messages do not ring the bell or count in the title.")
        self._turn("mute", view.person, view.muted, self.messenger.mute, (muted, _("Unmuted.")))

    def _turn(
        self,
        what: str,
        person: str,
        before: bool,
        turn: Callable[[str, bool], Awaitable[None]],
        said: tuple[str, str],
    ) -> None:
        """Turn something on or off, by what it was before: the view does not know yet what is on its way."""
        at = what, person
        on = self._turning[at] = not self._turning.get(at, before)

        async def work() -> None:
            kept = await self.surface.done(turn(person, on))
            if self._turning.get(at) == on:
                del self._turning[at]
            if kept:
                self.surface.say(said[0] if on else said[1])

        self.surface.run("contact", work)


@dataclass
class ProfileDialogs:
    """`show_me` takes in what is known of this person, `show_header` shows the open conversation.

    `remove_device` asks whether a device (id) is to be removed.
    """

    messenger: Messenger
    surface: Surface
    preferences: Preferences
    show_me: Callable[[SelfView], None]
    show_header: Callable[[], None]
    options: Options
    remove_device: Callable[[str], None]
    question_line: QuestionLine = field(init=False, default_factory=QuestionLine)
    alert_line: AlertLine = field(init=False, default_factory=AlertLine)

    def own_changes(self) -> None:
        """Ask about the first change of the own identity that nobody has confirmed, and then the next."""
        self.surface.run("dialogs", self._own_changes, exclusive=True)

    async def _own_changes(self) -> None:
        from tui.screens.details import QuestionDialog

        questions = await self.surface.ask(self.messenger.questions())
        if questions is None:
            return
        self.question_line.show(questions)
        if questions:
            devices = await self.surface.ask(self.messenger.terminals()) or ()
            question = questions[0]
            answered = partial(self._answered, question)
            self.surface.choose(QuestionDialog(question, devices), answered)
        else:
            self.surface.say(_("Your identity has no change that waits for your answer."))

    def _answered(self, question: QuestionView, chosen: str) -> None:
        if chosen == question.operation:
            self.surface.call("dialogs", self.messenger.confirm_own, chosen)
        else:
            self.remove_device(chosen)

    async def read(self) -> None:
        """Show what waits for this person."""
        self.question_line.show(await self.surface.ask(self.messenger.questions()) or ())
        self.alarm(await self.surface.ask(self.messenger.alerts()) or ())

    def alarm(self, alerts: tuple[AlertView, ...]) -> None:
        """Show what happened to the profile. A device that was removed offers to write to nobody."""
        self.alert_line.show(alerts)
        self.surface.state.removed = any(alert.kind is AlertKind.REMOVED for alert in alerts)
        self.show_header()

    def doctor(self) -> None:
        from tui.screens.help import DoctorDialog

        self.surface.push(DoctorDialog(self._diagnose))

    async def _diagnose(self) -> tuple[DiagnosisView, ...]:
        """The diagnosis, which contains the alerts, so that this person sees them."""
        found = await self.messenger.diagnose()
        await self.messenger.dismiss_alerts()
        return found

    def relays(self) -> None:
        self.surface.run("dialogs", self._relays, exclusive=True)

    def relay_changed(self, relay: RelayView) -> None:
        for dialog in self._relay_dialogs():
            dialog.follow(relay)

    def relay_removed(self, address: str) -> None:
        for dialog in self._relay_dialogs():
            dialog.forget(address)

    def recovery(self) -> None:
        self.surface.run("dialogs", self._recovery, exclusive=True)

    async def _recovery(self) -> None:
        from tui.screens.recovery import RecoveryDialog

        view = await self.surface.ask(self.messenger.recovery_words())
        if view is not None:
            self.surface.choose(RecoveryDialog(self.messenger, view), self._erased)

    async def _erased(self, _done: bool) -> None:
        self.surface.clear()
        self.surface.say(_(RECOVERY_ERASED))
        me = await self.surface.ask(self.messenger.me())
        if me is not None:
            self.show_me(me)

    def rename_self(self) -> None:
        def renamed(name: str) -> None:
            said = _("Your contacts see {name} now.").format(name=safe_name(name))
            self._sign(partial(self.messenger.rename_self, name), said)

        heading = action("rename_self").label
        self.surface.choose(RenameDialog(self.surface.state.me.name, _(OWN_NAME), heading), renamed)

    def use_recovery(self) -> None:
        self.surface.run("dialogs", self._use_recovery, exclusive=True)

    async def _use_recovery(self) -> None:
        from tui.screens.recovery import UseRecoveryDialog

        devices = await self.surface.ask(self.messenger.terminals())
        if devices is not None:
            dialog = UseRecoveryDialog(self.messenger, removable_devices(devices))
            self.surface.choose(dialog, self._recover)

    def _recover(self, chosen: Recovering) -> None:
        self.surface.run("dialogs", self._ask_to_recover, chosen, exclusive=True)

    async def _ask_to_recover(self, chosen: Recovering) -> None:
        """Say whom it removes and what falls with them, before new words are shown."""
        removed, devices = chosen.removed, await self.surface.ask(self.messenger.terminals())
        ids = tuple(one.terminal for one in removed)
        foresee = self.messenger.foresee_recovery(chosen.words, ids, chosen.not_mine)
        foreseen = await self.surface.ask(foresee)
        if foreseen is None:
            return
        question = _n("Remove {number} device?", "Remove {number} devices?", len(removed))
        asked = (question.format(number=len(removed)), *map(device_line, removed))
        warns = [_(RECOVERY_WARNS), *([_(RECOVERY_RIVAL)] if chosen.not_mine else [])]
        warns += foreseen_lines(foreseen, devices or (), self.surface.state.name_of, self.options.zone)
        if not removed:
            self.surface.confirm("\n".join(asked), "\n".join(warns), partial(self._show_new_words, chosen))
            return

        def asked_how(stolen: bool) -> None:
            self._show_new_words(replace(chosen, stolen=stolen))

        self.surface.choose(RemoveDialog("\n".join(asked), "\n".join(warns)), asked_how)

    def _show_new_words(self, chosen: Recovering, problem: str = "") -> None:
        async def show() -> None:
            from tui.screens.recovery import NewWordsDialog

            view = await self.surface.ask(self.messenger.begin_recovery())
            if view is not None:
                dialog = NewWordsDialog(view, problem, keeps=True)
                self.surface.push(dialog, partial(self._typed_back, chosen))

        self.surface.run("dialogs", show, exclusive=True)

    def _typed_back(self, chosen: Recovering, typed: TypedBack | None) -> None:
        self.surface.clear()
        if typed is None:
            self.surface.say(_(RECOVERY_STOPPED))
        elif typed.answers:
            self._sign_recovery(chosen, typed.answers)
        else:
            self.surface.confirm(_(KEEP_WORDS), _(KEEP_ONLY), partial(self._sign_recovery, chosen, ()))

    def _sign_recovery(self, chosen: Recovering, answers: tuple[str, ...]) -> None:
        removed = tuple(one.terminal for one in chosen.removed)
        wishes = chosen.not_mine, chosen.stolen
        sign = partial(self.messenger.recover, chosen.words, removed, answers, not answers, *wishes)
        said = sentences(_(RECOVERED), _(OLD_WORDS_END)) if answers else _(RECOVERED)
        self._sign(sign, said, partial(self._show_new_words, chosen))

    def _sign(
        self,
        sign: Callable[[], Awaitable[None]],
        said: str,
        mistyped: Callable[[str], None] | None = None,
    ) -> None:
        """Sign a change of the own identity. `mistyped`: words that were to be typed back were others."""

        async def signed() -> None:
            answer = await attempt(sign())
            if isinstance(answer, Problem) and answer.untyped and mistyped is not None:
                mistyped(answer.text)
                return
            if isinstance(answer, Problem):
                self.surface.say(answer.text, problem=True)
                return
            me = await self.surface.ask(self.messenger.me())
            if me is not None:
                new_keys = me.terminal != self.surface.state.me.terminal
                self.show_me(me)
                self.surface.say(sentences(said, _(NEW_KEYS)) if new_keys else said)

        self.surface.say(_("Signing…"))
        self.surface.run("sign", signed)

    def passphrase(self) -> None:
        from tui.screens.passphrase import PassphraseDialog

        self.surface.choose(PassphraseDialog(self.messenger), self._passphrase_changed)

    def _passphrase_changed(self, new: str) -> None:
        from tui.screens.passphrase import NEW_KEY, NEW_KEY_TAKES

        self.surface.say(_("The passphrase was changed."))
        about = sentences(_(OLD_HEADER), _(NEW_KEY_TAKES))
        self.surface.push(ConfirmDialog(_(NEW_KEY), about), partial(self._change_key, new))

    def _change_key(self, passphrase: str, yes: bool | None) -> None:
        async def change() -> None:
            changing = self.messenger.change_passphrase(passphrase, passphrase, new_key=True)
            if await self.surface.done(changing):
                self.surface.say(_(SEALED))

        if yes:
            self.surface.say(_(SEALING))
            self.surface.run("passphrase", change)

    def backup(self) -> None:
        self.surface.run("dialogs", self._backup, exclusive=True)

    async def _backup(self) -> None:
        from tui.screens.backup import BackupDialog

        # Whether the words are written down may have changed in another window.
        me = await self.surface.ask(self.messenger.me())
        if me is not None:
            self.surface.choose(BackupDialog(self.messenger, me, self.options.today()), self.surface.say)

    def wipe(self) -> None:
        self.surface.screen.post_message(WipeWanted())

    def settings(self) -> None:
        self.surface.run("dialogs", self._settings, exclusive=True)

    def _relay_dialogs(self) -> list[RelaysDialog]:
        from tui.screens.relays import RelaysDialog

        return self.surface.dialogs(RelaysDialog)

    async def _relays(self) -> None:
        from tui.screens.relays import RelaysDialog

        relays = await self.surface.ask(self.messenger.relays())
        if relays is not None:
            self.surface.choose(RelaysDialog(self.messenger, relays), self._ask_to_remove)

    def _ask_to_remove(self, view: RelayView) -> None:
        question = _("Remove the relay {relay}?").format(relay=place(view))
        self.surface.push(ConfirmDialog(question, _(GONE)), partial(self._remove_relay, view))

    def _remove_relay(self, view: RelayView, yes: bool | None) -> None:
        """Either way the person is back among the relays."""

        async def remove() -> None:
            if yes:
                await self.surface.done(self.messenger.remove_relay(view.address))
            await self._relays()

        self.surface.run("dialogs", remove, exclusive=True)

    async def _settings(self) -> None:
        from tui.screens.settings import SettingsDialog

        settings = await self.surface.ask(self.messenger.settings())
        kept = await self.surface.ask(self.messenger.retention())
        devices = await self.surface.ask(self.messenger.terminals())
        if settings is not None and kept is not None and devices is not None:
            dialog = SettingsDialog(self.messenger, settings, kept, devices, self.preferences)
            self.surface.choose(dialog, self.surface.act)
