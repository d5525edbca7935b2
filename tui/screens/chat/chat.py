"""The main screen: people on the left, the open conversation on the right, the status below.

Every call to the engine runs in a short worker, so that no key waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import PurePath
from typing import ClassVar

from msgspec.structs import replace
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from chat.interface import (
    AlertsChanged,
    Cleaned,
    Cleaning,
    ContactChanged,
    ContactRemoved,
    ContactView,
    EntriesConflict,
    EntriesKept,
    EntriesMarked,
    EntriesMoved,
    EntriesTimed,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryEdited,
    EntryFilled,
    EntryReturned,
    Event,
    FileProgress,
    FileSealing,
    Guard,
    HistoryCleared,
    HistoryMoving,
    IdentityChanged,
    InvitationUsed,
    LinkingChanged,
    Messenger,
    NearbyChanged,
    NotesPinned,
    Notice,
    OwnLogChanged,
    PairingChanged,
    QuestionsChanged,
    Ready,
    RelayChanged,
    RelayRemoved,
    VisibilityChanged,
)
from tui import messages
from tui.actions import (
    APP_WIDE,
    HINTED,
    HINTED_ON_ENTRY,
    ON_ENTRY,
    STAYING,
    action,
    chat_bindings,
    composer_bindings,
    history_bindings,
    rebind,
)
from tui.attention import Attention
from tui.conversation import Conversation
from tui.graphics import Graphics
from tui.messages import attempt
from tui.preferences import Density, Options, Preferences
from tui.screens.chat.contacts import ContactActions, ProfileDialogs
from tui.screens.chat.devices import DevicesController
from tui.screens.chat.files import FilesController
from tui.screens.chat.finding import FindingController
from tui.screens.chat.history import HistoryController
from tui.screens.chat.opening import OpeningController
from tui.screens.chat.pairing import PairingController
from tui.screens.chat.people import PeopleController
from tui.screens.chat.saving import SavingController
from tui.screens.chat.sending import ComposerController
from tui.screens.chat.surface import ChatState, Surface
from tui.text.backups import archive_line
from tui.text.commands import NAMES, SLASH
from tui.text.formatting import safe_label
from tui.text.people import unfinished_lines
from tui.text.recovery import RECOVERY_DUE
from tui.text.safe import safe_line, shorten
from tui.text.translation import _, _n, told, unshown
from tui.typed import Typed
from tui.widgets.frames import HeldScreen
from tui.widgets.history import History
from tui.widgets.lines import KeyLine, Said

_COMMAND_CELLS = 24
_MOVES = frozenset(("j", "k", "J", "K"))  # letters that move in the list
_LIST_FITS = 50  # columns under which the list and a conversation have no room next to each other
_BREAKPOINTS = [(0, "-narrow"), (70, "-normal"), (110, "-wide")]


class ChatScreen(HeldScreen):
    """Composes the panes, and passes actions, messages and events of the engine to their controllers.

    `last`: the person id of the conversation to open; `key_problems`: what is wrong with the files of keys.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["chat.tcss", "writing.tcss"]
    AUTO_FOCUS = ""
    # What opens a dialog or moves the focus; then what commands act on, which writing does not wait for.
    KEYS_WAIT_FOR = frozenset(
        ("start", "find", "jump", "contact", "dialogs", "invite", "details", "files", "opening", "command")
    )
    COMMANDS_WAIT_FOR = frozenset(("open", "own", "page", "reply", "delete", "visible"))
    HORIZONTAL_BREAKPOINTS = _BREAKPOINTS
    BINDINGS: ClassVar[list[BindingType]] = [*chat_bindings()]

    def __init__(
        self,
        messenger: Messenger,
        options: Options,
        attention: Attention,
        preferences: Preferences,
        guard: Guard,
        typed: Typed,
        *,
        last: str | None = None,
        key_problems: tuple[str, ...] = (),
        graphics: Graphics | None = None,
    ) -> None:
        super().__init__()
        self._messenger = messenger
        self._options = options
        self._preferences = preferences
        self._guard, self._typed = guard, typed
        self._last = last
        self._key_problems = key_problems
        self._listed: bool | None = None  # as this person wants it; None where the width decides
        self._said = Said(options.news, lambda: attention.there)
        self._key_line = KeyLine()
        self._view = History(options.today, options.zone, graphics)
        self.state = state = ChatState()
        self.surface = surface = Surface(self, state, self._said)
        shared = (messenger, state, surface)
        self.composer = ComposerController(*shared, options, preferences, self._view, guard, typed)
        self.people = PeopleController(*shared, options, attention, preferences, self.composer)
        self.opening = OpeningController(surface, self._view)
        self.saving = SavingController(messenger, surface, self._view, preferences, self.opening)
        self.history = HistoryController(
            *shared,
            options,
            attention,
            self._view,
            self.composer.reply_to,
            self.composer.edit,
            self.composer.go_write,
            preferences,
            self.opening,
            self.people.show,
        )
        self.files = FilesController(*shared, self.composer, options)
        self.pairing = PairingController(*shared, options, self.open_conversation)
        self.contact_actions = ContactActions(*shared, options)
        self.devices = DevicesController(messenger, surface, options.zone)
        self.profile_dialogs = ProfileDialogs(
            *(messenger, surface, preferences, self.people.me_changed, self.people.show_header, options),
            self.devices.remove,
        )
        panes = (self.people.view, self._view, self.composer.view)
        self.finding = FindingController(*shared, options, self.history, panes, self.open_conversation)
        self.actions = self._actions()

    def _actions(self) -> dict[str, Callable[[], object]]:
        """What each action of the chat screen does. Methods have the ids of their actions as names."""
        history, composer, finding = self.history, self.composer, self.finding
        pairing, contact, profile = self.pairing, self.contact_actions, self.profile_dialogs
        anywhere = (
            *(finding.switch, finding.palette, finding.search, finding.jump),
            *(pairing.add, pairing.invite, pairing.join, pairing.address, pairing.visible),
            *(history.entry, history.reply, history.edit, history.copy, history.copy_link, history.copy_code),
            *(
                self.saving.save,
                self.saving.let_go,
                history.fold,
                self.opening.open_file,
                self.opening.show_folder,
                history.show,
            ),
            self.opening.open_link,
            *(
                history.origin,
                history.back,
                history.details,
                history.oldest,
                composer.write,
                composer.edit_sent,
            ),
            *(profile.doctor, profile.relays, profile.recovery, profile.settings, profile.own_changes),
            *(profile.use_recovery, profile.rename_self, profile.passphrase, self.devices.devices),
            *(profile.backup, profile.wipe),
            self.files.cancel_file,
        )
        on_contact = (
            *(contact.contact, contact.pin, contact.clear),
            *(history.first_unread, history.mark_all_read, history.day, history.choose_entry),
            *(history.delete, history.pictures, composer.emoji, self.files.send_files, self.files.voice),
        )
        actions: dict[str, Callable[[], object]] = {do.__name__: do for do in anywhere}
        actions |= {do.__name__: partial(self.surface.on_contact, do) for do in on_contact}
        on_other = (
            *(contact.verify, contact.rename, contact.block, contact.remove),
            *(contact.mute, contact.timer, contact.files, contact.take),
        )
        actions |= {do.__name__: partial(self.surface.on_other_person, do) for do in on_other}
        return actions | {
            "stop_writing": actions["choose_entry"],
            "next_conversation": partial(self._step, 1),
            "previous_conversation": partial(self._step, -1),
            "next_hit": partial(finding.step_hit, 1),
            "previous_hit": partial(finding.step_hit, -1),
            "older": partial(self._view.turn, -1),
            "newer": partial(self._view.turn, 1),
            "newest": self.history.newest,
            "side_bar": self._turn_list,
        }

    def action_do(self, name: str) -> None:
        """Do an action. What is done with a message leads back to the message box: words follow it."""
        self.actions[name]()
        if name in ON_ENTRY - STAYING:
            self.composer.go_write()

    def holds_back(self, event: events.Key | events.Paste) -> bool:
        """Whether a key means nothing here, as it belongs to words that were meant for another place."""
        if not isinstance(event, events.Key):
            return False
        if self._guard.watches and self.people.view.has_focus:
            return self._ends_words(event.key)
        return self.composer.holds_back(event)

    def _ends_words(self, key: str) -> bool:
        """Whether a key ends a word that was typed in the list, which may be the passphrase."""
        words = self._typed.line if key == "enter" else self._typed.run.removesuffix(" ")
        if key not in ("enter", "space") or not set(words) - _MOVES:
            return False
        self.surface.say(_("Parlour is open: it needs no passphrase now. Enter opens a conversation."))
        return True

    def compose(self) -> ComposeResult:
        yield self.profile_dialogs.alert_line
        yield self.profile_dialogs.question_line
        with Horizontal(id="panes"):
            yield self.people.view
            yield self.people.guide
            with Vertical(id="conversation"):
                yield self.people.header
                yield self._view
                yield self.composer.banner
                yield self.composer.reply_line
                yield self.composer.view
                yield self.composer.completion
        yield self._said
        yield self.people.status
        yield self._key_line

    def on_mount(self) -> None:
        # The first layout is the right one already; the break points hold from the second.
        self.add_class(next(name for least, name in reversed(_BREAKPOINTS) if self.app.size.width >= least))
        self._show_pane()
        self._apply_style()
        self.people.view.focus()
        # The stream is open before anything is read, so that nothing falls between the two.
        self.surface.run("events", messages.listen, self._messenger, self)
        self.surface.run("start", self._start)
        self.set_timer(self._options.patience, self.people.lose_patience)
        self.use_keys()
        self.watch(self, "focused", self._show_keys, init=False)
        if self._key_problems:
            more = len(self._key_problems) - 1
            text = _n("{problem} (and {number} more)", "{problem} (and {number} more)", more)
            first = self._key_problems[0]
            self.surface.say(text.format(problem=first, number=more) if more else first, problem=True)

    async def _start(self) -> None:
        await self.profile_dialogs.read()
        await self.people.read()
        wanted = self._last if self.state.talk(self._last) else self.people.most_recent()
        if wanted is not None and self.state.talk(wanted) and self.state.current is None:
            if not self._guard.watches:
                self.open_conversation(wanted)
            elif self.app.size.width >= _LIST_FITS:
                self._show_conversation(wanted)
            self.people.view.point_at(wanted)
        if self.state.me.archived is not None:
            self.surface.notice(archive_line(self.state.me.archived, self._options.zone))
        if self.state.me.keeps_seed and self.state.contacts:
            due = await self.surface.ask(self._preferences.reminds(self._options))
            if due:
                self.surface.notice(_(RECOVERY_DUE).format(key=action("recovery").key))

    # What the application asks for.

    def unfinished(self) -> list[str]:
        """What quitting would end or leave waiting, in safe lines; a demo keeps nothing."""
        if self._options.demo:
            return []
        views = [view for person in self.state.recent.waiting() if (view := self.state.contacts.get(person))]
        return unfinished_lines(self.files.sealed, [self.state.named(view) for view in views])

    def use_keys(self) -> None:
        rebind(self, chat_bindings())
        rebind(self._view, history_bindings())
        rebind(self.composer.view, composer_bindings())
        self._key_line.show()

    def restyle(self) -> None:
        self._apply_style()
        self._key_line.show()
        self.surface.clear()
        self.composer.restyle()
        self.people.show_me()
        self.state.recent.reword()
        self.people.show()

    def mouse_changed(self) -> None:
        """Say who has the mouse from now on."""
        mine, others = (
            _("The mouse is used by Parlour."),
            _("The mouse is left to the terminal. {key}: take it back."),
        )
        key = action("mouse").key
        self.surface.say(mine if self._preferences.mouse else others.format(key=key))

    def attention_changed(self) -> None:
        """Somebody begins to look at the terminal, or no longer does."""
        self.history.mark_seen()
        self.people.count_unread()
        self._said.look()

    def _apply_style(self) -> None:
        roomy = self._preferences.density is Density.ROOMY
        self._view.apply_style(roomy=roomy, language=self._preferences.language)

    # Conversations.

    def open_conversation(self, person: str) -> None:
        """Show a conversation; the draft of the one before is kept."""
        if self._listed and self.app.size.width < _LIST_FITS:
            self._listed = None  # it was shown to choose from
            self._show_pane()
        if person != self.state.current:
            self._show_conversation(person)
        self.composer.go_write()

    def _show_conversation(self, person: str) -> None:
        self.composer.leave_draft()
        self.finding.opened(person)
        opened = Conversation(self._messenger, person)
        self.state.open(opened)
        self._said.opened(person)
        self.composer.take_up_draft()
        self._view.show(opened.window)
        self.people.show()
        self._show_pane()
        self.people.view.point_at(person)
        self.surface.run("open", self.history.open_history, opened, exclusive=True)
        if person != self._preferences.opened:
            self.surface.outlast("opened", self._keep_opened, person)

    async def _keep_opened(self, person: str) -> None:
        await attempt(self._preferences.keep_opened(person))  # else another one opens at the next start

    def _close_conversation(self) -> None:
        self.state.open(None)
        self._said.opened(None)
        self.people.show()
        self._show_pane()
        self.people.view.focus()

    def _show_pane(self) -> None:
        """Show the list and what is open, or one of the two where both have no room."""
        opened, narrow = self.state.current is not None, self.app.size.width < _LIST_FITS
        listed = not (narrow and opened) if self._listed is None else self._listed
        alone = listed and narrow and opened
        shown = {
            self.people.view: listed,
            self.people.guide: not opened,
            self.query_one("#conversation"): opened and not alone,
        }
        for pane, display in shown.items():
            if pane.display != display:
                pane.display = display
        self.people.view.set_class(alone, "-alone")

    def _turn_list(self) -> None:
        """Show the list, or leave its room to what is open."""
        self._listed = not self.people.view.display
        self._show_pane()
        if self.people.view.display:
            self.people.view.focus()
        else:
            self.composer.go_write()

    def on_resize(self) -> None:
        if self.is_mounted:
            self._show_pane()

    def _step(self, by: int) -> None:
        order, current = [view.person for view in self.state.in_order()], self.state.current
        if order:
            at = order.index(current) + by if current in order else 0
            self.open_conversation(order[at % len(order)])

    # What the engine says.

    def on_engine_event(self, message: messages.EngineEvent) -> None:
        """A fault of the program in one event is one line, and the next one gets its turn."""
        try:
            self._heed(message.event)
        except Exception as fault:  # noqa: BLE001 - else it ends the engine in this process
            self.pairing.notice(unshown(message.event, fault))

    def _heed(self, event: Event) -> None:
        match event:
            case Ready(addresses):
                self.people.me_changed(replace(self.state.me, addresses=addresses))
            case VisibilityChanged(visible):
                self.people.me_changed(replace(self.state.me, visible=visible))
            case NotesPinned(on):
                self.people.me_changed(replace(self.state.me, notes_pinned=on))
                self.people.show()
            case NearbyChanged(nearby):
                self.people.nearby_changed(nearby)
                self.pairing.nearby_changed()
            case ContactChanged(view):
                self._contact_changed(view)
            case ContactRemoved(person, name):
                self._contact_removed(person, name)
            case IdentityChanged(person, name, cause):
                self.people.identity_changed(person, name, cause)
                self.contact_actions.number_changed(person)
            case EntryAdded(entry):
                self.people.notify(entry)
                self.history.entry_added(entry)
            case EntryFilled(entry):
                self.people.notify(entry)
                self.history.entry_filled(entry)
            case EntriesConflict(contact, _terminal, ids):
                self.history.entries_conflict(contact, ids)
            case HistoryCleared():
                self.history.history_cleared(event)
            case EntryReturned(entry):
                self.history.entry_filled(entry)
            case (
                EntriesMarked(contact) | EntriesTimed(contact) | EntriesKept(contact) | EntriesMoved(contact)
            ):
                self.history.entries_marked(contact)
            case EntryChanged(contact, entry_id, state):
                self.history.entry_changed(contact, entry_id, state)
            case EntryEdited(entry):
                self.composer.entry_edited(entry)
                self.history.entry_edited(entry)
            case FileSealing():
                self.files.sealing(event)
            case FileProgress():
                self.history.file_moved(event)
            case EntryDeleted(contact, entry_id, deleted_by, expired):
                self.composer.entry_deleted(contact, entry_id)
                self.finding.entry_deleted(entry_id)
                if expired:
                    self.history.entry_expired(contact, entry_id)
                else:
                    self.history.entry_deleted(contact, entry_id, deleted_by)
            case Cleaning(done):
                self.history.file_being_cleaned(done)
            case Cleaned():
                self.history.file_cleaned()
            case PairingChanged(pairing):
                self.pairing.pairing_changed(pairing)
            case HistoryMoving():
                self.people.history_moves(event)
            case LinkingChanged(linking):
                self.devices.linking_changed(linking)
            case InvitationUsed(text, _person):
                self.pairing.invitation_used(text)
            case RelayChanged(relay):
                self.profile_dialogs.relay_changed(relay)
            case RelayRemoved(address):
                self.profile_dialogs.relay_removed(address)
            case QuestionsChanged(questions):
                self.profile_dialogs.question_line.show(questions)
                if questions:
                    self.contact_actions.number_changed()
            case AlertsChanged(alerts):
                self.profile_dialogs.alarm(alerts)
            case OwnLogChanged(cause=text):
                self.pairing.notice(safe_line(told(text)))
                self.contact_actions.number_changed()
                self.devices.changed()
            case Notice(text):
                self.pairing.notice(safe_line(told(text)))
        self._list_changed(event)

    def _list_changed(self, event: object) -> None:
        """Follow the last entry of each conversation."""
        if self.state.recent.follow(event):
            self.surface.run("latest", self.people.read_latest, exclusive=True)
        elif self.history.catching_up:
            return  # it is shown with the entry, a frame earlier
        elif isinstance(
            event, (EntryAdded | EntryEdited | EntryFilled | EntryReturned | EntryDeleted) | FileProgress
        ):
            self.people.show()

    def _contact_changed(self, view: ContactView) -> None:
        renamed = self.people.contact_changed(view)
        if not self.history.catching_up:  # else it is shown with the entry, a frame earlier
            self.people.show()
        if view.person == self.state.current and view.unread:
            self.call_after_refresh(self.history.mark_seen)  # its count may come after the entry was drawn
        if renamed:
            self.surface.run("contacts", self._read_contacts, view.person)

    def _contact_removed(self, person: str, name: str) -> None:
        self.state.contacts.pop(person, None)
        self.composer.contact_removed(person)
        if self.state.current == person:
            self._close_conversation()
        self.surface.say(_("{name} was removed.").format(name=safe_label(name)))
        self.surface.run("contacts", self.people.read_contacts)

    async def _read_contacts(self, changed: str) -> None:
        if await self.people.read_contacts() and changed == self.state.current:
            opened = Conversation(self._messenger, changed)
            self.state.open(opened)
            await self.history.read_again(opened)

    # What the widgets say.

    def on_open_conversation(self, message: messages.OpenConversation) -> None:
        self.open_conversation(message.person)

    def on_pair_with(self, message: messages.PairWith) -> None:
        self.pairing.pair_nearby(message.instance, message.name)

    def on_send_text(self, message: messages.SendText) -> None:
        self.composer.send(message)

    def on_command_typed(self, message: messages.CommandTyped) -> None:
        name = NAMES.get(message.name)
        if name is None:
            said = _("There is no command {command}: see /help. To send a leading slash, type two slashes.")
            self.surface.say(said.format(command=SLASH + shorten(message.name, _COMMAND_CELLS)), problem=True)
        elif not message.alone:
            said = _(
                "{command} stands alone: delete what follows it. To send this as a text, type two slashes."
            )
            self.surface.say(said.format(command=SLASH + message.name), problem=True)
        else:
            self.composer.view.set_text("")
            self.surface.run("command", self.surface.act, name)

    def on_text_recalled(self, message: messages.TextRecalled) -> None:
        self.composer.say_recalled(on=message.on)

    def on_end_wanted(self) -> None:
        self.history.newest()

    def on_draft_changed(self) -> None:
        self.composer.text_changed()

    def on_text_pasted(self, message: messages.TextPasted) -> None:
        self.files.pasted(message.person, message.text)

    def on_text_refused(self, message: messages.TextRefused) -> None:
        self.surface.say(message.text, problem=True)

    def on_choices_changed(self, message: messages.ChoicesChanged) -> None:
        self.composer.choices_changed(message)

    def on_drop_reply(self) -> None:
        self.composer.drop()

    def on_entry_clicked(self) -> None:
        self.composer.go_write()

    def on_address_clicked(self, message: messages.AddressClicked) -> None:
        self.history.copy_address(message.address)

    def on_text_dragged(self) -> None:
        self.history.dragged()

    def on_reached_oldest(self) -> None:
        self.history.read_page(Conversation.older)

    def on_reached_newest(self) -> None:
        self.history.read_page(Conversation.newer)

    def on_want_newest(self) -> None:
        self.history.read_newest()

    def on_origins_missing(self, message: messages.OriginsMissing) -> None:
        self.history.read_origins(message.entries)

    def on_view_changed(self) -> None:
        # What was scrolled past within one frame was on no screen.
        self.call_after_refresh(self.history.mark_seen)

    def _show_keys(self) -> None:
        """Show the keys of what has the focus; over a dialog those that work everywhere."""
        if not self.is_active:
            self._key_line.show([name for name in HINTED if name in APP_WIDE])
        else:
            self._key_line.show(HINTED_ON_ENTRY if self.focused is self._view else HINTED)

    def on_screen_suspend(self) -> None:
        self._show_keys()

    def on_screen_resume(self) -> None:
        self._show_keys()
        self.call_after_refresh(self.history.mark_seen)
