"""The Textual application: which screen is shown, the keys that work everywhere, locking and quitting."""

from __future__ import annotations

import os
import traceback
from base64 import b64encode
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import events
from textual._compositor import CompositorUpdate
from textual.app import App
from textual.binding import BindingType
from textual.geometry import Offset
from textual.screen import Screen
from textual.worker import WorkerFailed

from chat.interface import Closed, Door, Guard, Messenger
from tui import actions, textual_fixes
from tui.actions import app_bindings, keys_of, rebind
from tui.attention import SIGNS, Attention, shown_to_somebody
from tui.graphics import Graphics
from tui.input_queue import InputQueue
from tui.keymap import load
from tui.messages import (
    EngineEvent,
    NotifyEntry,
    Opened,
    PreferenceChosen,
    Problem,
    StillUsed,
    TextDragged,
    UnreadChanged,
    attempt,
    start_worker,
)
from tui.preferences import Density, Keys, Options, Preferences, switch
from tui.screens.dialog import Dialog
from tui.screens.unlock import UnlockScreen
from tui.terminal import (
    CURSOR_HIDDEN,
    EVERY,
    NOT_AGAIN,
    STDIN,
    Handover,
    Notifier,
    Watched,
    cursor_given_back,
    cursor_shown,
    has_shell,
    heed_signals,
    start_again,
    stop_job,
)
from tui.text import layouts
from tui.text.safe import without_controls
from tui.text.translation import WORDS, _, of_locale, told, use
from tui.textual_fixes import ASK_KITTY, Anchored, use_mouse
from tui.themes import COLOURS, THEMES, following
from tui.typed import Typed

if TYPE_CHECKING:
    from tui.screens.chat.chat import ChatScreen

_SETTLED_AFTER = 1.0  # seconds from the chat screen on: the conversation is open by then


_CLEAR = "\x1b[2J"  # a terminal without a second screen would show messages or recovery words on


# Below these, blank lines and frames give way to what is said.
_WIDTHS = [(0, "-slim"), (60, "-broad")]
_HEIGHTS = [(0, "-short"), (18, "-tall")]


class ParlourApp(App[None]):
    """Parlour in a terminal, on the profile behind `door`. `handed`: by the program that locked in it."""

    TITLE = "Parlour"
    CSS_PATH: ClassVar[list[str | PurePath]] = ["app.tcss", "nocolor.tcss"]
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = _WIDTHS
    VERTICAL_BREAKPOINTS = _HEIGHTS
    BINDINGS: ClassVar[list[BindingType]] = [*app_bindings()]
    # Workers that change what the next key means (tui.input_queue).
    KEYS_WAIT_FOR = frozenset(("enter", "prefer", "wipe"))
    COMMANDS_WAIT_FOR = frozenset(("send",))

    def __init__(self, door: Door, options: Options | None = None, handed: Handover | None = None) -> None:
        textual_fixes.use_line_breaks()
        textual_fixes.outlive_terminal()
        textual_fixes.go_on_once()
        super().__init__(
            driver_class=None if handed is None else textual_fixes.taking_over(handed.modes),
            # Textual would turn colours to grey; the terminal's own two colours are none at all.
            ansi_color=True if wants_no_colour(os.environ) else None,
        )
        self.animation_level = "none"  # each step of one is a frame, and links may be slow
        self.options = options or Options()
        self.messenger: Messenger | None = None
        self._handed = handed
        handed = handed or Handover()
        self.preferences = Preferences(None, handed.looks)
        self._door = door
        self._chat: ChatScreen | None = None
        self._last = handed.last
        self._touched = self.options.monotonic()
        self._typed_at: float | None = None
        self.typed = Typed(self.options.quiet)
        self._dropping = False
        self.input_queue = InputQueue(self, self._deliver, self._hurries)
        self._with_alt = False
        self.attention = Attention(self.options.monotonic, shown_to_somebody(os.environ))
        self._attended = False
        self._graphics = Graphics(self._write, os.environ)
        self.notifier = Notifier(
            self._write, os.environ, self.options.monotonic, self.options.outside, self.options.turn
        )
        self.key_problems = self.use_keys()
        for theme in THEMES:
            self.register_theme(theme)
        self.apply_theme()

    def on_mount(self) -> None:
        use_mouse(self._driver, self.preferences.mouse)
        self.app_resume_signal.subscribe(self, lambda _: self._resume())
        handed, self._handed = self._handed, None
        self.notifier.begin(again=handed is not None)
        self._write(ASK_KITTY)
        reason = handed.reason if handed is not None else ""
        first = UnlockScreen(self._door, reason=reason, keyring=handed is None, demo=self.options.demo)
        self.push_screen(first)
        if handed is not None:
            self.input_queue.resume(handed.typed)
        self.call_after_refresh(self._settle)
        terminal = Watched(STDIN)
        self.set_interval(EVERY, partial(self._look_around, terminal))
        heed_signals(lambda: self.call_later(self._quit), None if self.is_headless else terminal)

    def _resume(self) -> None:
        textual_fixes.take_wheel(self._driver)
        self._write(ASK_KITTY)  # the parser is a new one

    def use_keys(self) -> tuple[str, ...]:
        """Let the keys hold that are chosen and written down; returns what is wrong with the files."""
        keymap = load(self.options.keymaps, vi=self.preferences.keys is Keys.VI)
        actions.use(keymap.keys)
        layouts.use(keymap.langmap)
        rebind(self, app_bindings())
        if self._chat is not None:
            self._chat.use_keys()
        return keymap.problems

    def on_unmount(self) -> None:
        self.notifier.end()

    async def _process_messages_loop(self) -> None:
        try:
            await super()._process_messages_loop()
        finally:  # nothing is drawn any more, and the second screen is still shown
            self._write(cursor_given_back(os.environ))
            textual_fixes.give_wheel_back(self._driver)
            self._graphics.clear()
            self._write(_CLEAR)

    def _write(self, sequence: str) -> None:
        if self._driver is not None:
            self._driver.write(sequence)

    async def _look_around(self, terminal: Watched) -> None:
        """Nobody is there to quit once the terminal is gone, and the profile would stay open."""
        if terminal.gone():
            terminal.forsake()
            await self._quit()
            return
        self._notice()
        if self._left_alone:
            self._lock_left()

    async def on_event(self, event: events.Event) -> None:
        """A key after the time to lock locks, and does nothing else: the machine may have slept meanwhile."""
        if isinstance(event, (events.InputEvent, events.Paste)):
            if self._left_alone:
                self._lock_left()
                return
            self._touched = self.options.monotonic()
        if self._is_dropped(event):
            return
        if self.input_queue.takes(event):
            await self.input_queue.put(event)
        else:
            await super().on_event(event)
        if isinstance(event, SIGNS):
            self._notice()  # a long absence may have ended before it was noticed
            self.attention.heed(event)
            self._notice()

    async def _deliver(self, event: events.Event) -> None:
        """Handle an event of the keyboard or the mouse, a key as what it means here."""
        if not isinstance(event, events.MouseMove):
            self.typed.note(event)
        if isinstance(event, (events.Key, events.Paste)) and self._is_held_back(event):
            return
        if isinstance(event, events.Key):
            with_alt, self._with_alt = self._with_alt, False
            if with_alt and event.key == "escape":
                self._say("")
                return  # it takes that back, and leaves nothing
            takes_text = getattr(self.focused, "TAKES_TEXT", False)
            event = layouts.meant(event, takes_text=takes_text, with_alt=with_alt)
        await super().on_event(event)

    def _is_held_back(self, event: events.Key | events.Paste) -> bool:
        """Whether a key is no answer to what is asked, as it is part of what was typed before."""
        top = next(iter(self.screen_stack[-1:]), None)
        if isinstance(top, Dialog):
            return top.holds_back(event)
        return top is not None and top is self._chat and self._chat.holds_back(event)

    def _is_dropped(self, event: events.Event) -> bool:
        """Whether a key belongs to what was typed while the profile opened by itself: a passphrase perhaps.

        It must not end up in a message. It ends with a pause.
        """
        if not isinstance(event, (events.Key, events.Paste)) or self._quits(event):
            return False
        before, self._typed_at = self._typed_at, self.options.monotonic()
        paused = before is None or self._typed_at - before >= self.options.quiet
        self._dropping = self._dropping and not paused
        return self._dropping

    def _notice(self) -> None:
        attended = self.attention.there
        if attended != self._attended:
            self._attended = attended
            if self._chat is not None:
                self._chat.attention_changed()

    @staticmethod
    def _quits(event: events.Event) -> bool:
        return isinstance(event, events.Key) and event.key in keys_of("quit")

    def _hurries(self, event: events.Event) -> bool:
        """Whether a key waits for no worker."""
        leaves = isinstance(event, events.Key) and event.key == "escape"
        top = self.screen_stack[-1:]  # none while the program ends
        return self._quits(event) or (leaves and any(getattr(one, "LEFT_AT_ONCE", False) for one in top))

    @property
    def _left_alone(self) -> bool:
        """Whether neither key nor mouse was used for so long that it locks."""
        patience = self.preferences.autolock * 60
        alone = self.options.monotonic() - self._touched
        return self.messenger is not None and 0 < patience <= alone

    def _lock_left(self) -> None:
        self._leave(_("Locked after inactivity."), locking=True)

    def on_opened(self, message: Opened) -> None:
        self.messenger = message.messenger
        self.notifier.opened()
        self.typed.forget()
        if message.unasked is not None:
            self.input_queue.drop_typed()
            self._dropping = self.typed.keeps = True
        start_worker(self, "enter", self._enter, message.messenger, Guard(message.unasked))

    async def _enter(self, messenger: Messenger, guard: Guard) -> None:
        self._touched = self.options.monotonic()
        from tui.screens.chat.chat import ChatScreen  # not needed for the first paint

        chosen = await attempt(Preferences.read(messenger))
        if self.messenger is messenger:
            early = self.preferences.unkept()
            self.preferences = Preferences(messenger) if isinstance(chosen, Problem) else chosen
            for name, value in early.items():  # on the first screen, which knows no profile's choices
                self.preferences.hold(name, value)
                self.prefer(name, value)
            self.apply_theme()
            await attempt(self.preferences.keep_words(self._words_read()))
            problems = self.use_keys()
            self._chat = ChatScreen(
                messenger,
                self.options,
                self.attention,
                self.preferences,
                guard,
                self.typed,
                last=self._last,
                key_problems=problems,
                graphics=self._graphics,
            )
            self.switch_screen(self._chat)
            self.set_timer(_SETTLED_AFTER, partial(self._settle_in, messenger))

    def _settle_in(self, messenger: Messenger) -> None:
        if self.messenger is messenger:  # after a lock keys may be among what is there
            self._settle()

    def _settle(self) -> None:
        if not self.is_headless:
            textual_fixes.resume_collection()

    def on_engine_event(self, message: EngineEvent) -> None:
        self.notifier.heed(message.event)
        if isinstance(message.event, Closed) and self.messenger is message.messenger:
            self._leave(told(message.event.reason), locking=False)

    def on_still_used(self, message: StillUsed) -> None:
        self._touched = self.options.monotonic()

    def on_notify_entry(self, message: NotifyEntry) -> None:
        if self.messenger is not None:
            self.notifier.notify(message, self.preferences)

    def on_unread_changed(self, message: UnreadChanged) -> None:
        if self.messenger is not None:
            self.notifier.count(message.unread)

    def push_screen(self, screen: Any, *arguments: Any, **named: Any) -> Any:
        """A question that a letter opens takes no answer before a pause: the letter may begin a word."""
        if isinstance(screen, Dialog) and self.typed.letter:
            screen.wait_for_pause(self.typed.quiet)
        return super().push_screen(screen, *arguments, **named)

    def action_help(self) -> None:
        from tui.screens.help import HelpDialog

        if isinstance(self.screen, HelpDialog):
            self.screen.action_leave()
        else:
            self.push_screen(HelpDialog())

    def action_mouse(self) -> None:
        self.prefer("mouse", switch(not self.preferences.mouse, default=True))

    def action_help_quit(self) -> None:
        """Ctrl+C where nothing is selected: it ends other programs, and one who wants that learns how."""
        key = actions.action("quit").key
        if not key:
            return
        said = _("{key} quits Parlour. Ctrl+C copies what is selected.").format(key=key)
        if isinstance(self.screen, UnlockScreen):
            self.screen.say(said)
        elif isinstance(self.screen, Dialog):
            self.screen.fail(said)
        else:
            self._say(said)

    def action_redraw(self) -> None:
        """Draw all of it, also what is as it was drawn last."""
        self._write(_CLEAR)
        self.refresh(layout=True)

    def action_suspend(self) -> None:
        """Stop the program with all of its job, so that its shell goes on."""
        if self.is_headless or not has_shell():
            if self._chat is not None:
                self._chat.surface.say(_("No shell is there to go to: Parlour is all that runs here."))
            return
        self._write(cursor_given_back(os.environ))
        textual_fixes.give_wheel_back(self._driver)
        self._write(_CLEAR)
        stop_job()

    def action_alt_key(self) -> None:
        self._with_alt = True
        self._say(_("Alt for the next key. Esc: for none."))

    def _say(self, text: str) -> None:
        if self._chat is not None:
            self._chat.surface.say(text)

    def action_theme(self) -> None:
        self.prefer("theme", following(self.preferences.theme))

    def on_preference_chosen(self, message: PreferenceChosen) -> None:
        self.prefer(message.name, message.value)

    def prefer(self, name: str, value: str) -> None:
        """Choose something of the interface; it holds at once and is kept in the profile."""
        start_worker(self, "prefer", self._prefer, name, value)

    async def _prefer(self, name: str, value: str) -> None:
        self.preferences.hold(name, value)
        self.apply_theme()
        if name == "mouse" and self._chat is not None:
            self._chat.mouse_changed()
        if name == "keys":
            self.use_keys()
        if name in ("language", "density"):
            await self._restyle(name)
        if name == "language":
            await attempt(self.preferences.keep_words(self._words_read()))
        kept = await attempt(self.preferences.set(name, value))
        if isinstance(kept, Problem) and self._chat is not None:
            self._chat.surface.say(kept.text, problem=True)

    async def _restyle(self, changed: str) -> None:
        for screen in self.screen_stack:
            if screen is self._chat:
                self._chat.restyle()
            elif changed == "language" and isinstance(screen, Dialog):
                await screen.recompose()

    def copy_to_clipboard(self, text: str) -> None:
        """One's own text too may hold controls, or halves of characters, which have no bytes."""
        super().copy_to_clipboard(without_controls(text))

    def on_text_dragged(self, message: TextDragged) -> None:
        """Copy it, and let the middle button of the mouse insert it, as under X11."""
        self.copy_to_clipboard(message.text)
        encoded = b64encode(self.clipboard.encode()).decode()
        self._write(f"\x1b]52;p;{encoded}\a")

    def apply_theme(self) -> None:
        """Use the language, the colours and the spacing that were chosen."""
        use(self._language())
        self.theme = COLOURS[self.preferences.theme].name
        self.set_class(self.preferences.density is Density.ROOMY, "-roomy")
        use_mouse(self._driver, self.preferences.mouse)

    def _language(self) -> str:
        return self.preferences.language or of_locale(os.environ)

    def _words_read(self) -> str:
        return WORDS.get(self._language(), "")

    def action_lock(self) -> None:
        """Lock at once, also where Esc and a letter look like Alt with it: the passphrase undoes it."""
        if self.messenger is not None:
            self._leave(_("Locked."), locking=True)

    async def action_quit(self) -> None:
        """Quit, but ask first where something is not finished. The second time nothing is asked."""
        if self._chat is None or not (unfinished := self._chat.unfinished()):
            await self._quit()
            return
        from tui.screens.dialog import QuitDialog

        if any(isinstance(screen, QuitDialog) for screen in self.screen_stack):
            await self._quit()
        else:
            self.push_screen(QuitDialog(unfinished), self._quit_if)

    async def _quit_if(self, yes: bool | None) -> None:
        if yes:
            await self._quit()

    async def _quit(self) -> None:
        messenger, self.messenger = self.messenger, None
        if messenger is not None:
            await self._close_chat()()
            await attempt(messenger.close())
        self.notifier.closed()
        self.exit()

    def on_wipe_wanted(self) -> None:
        start_worker(self, "wipe", self._ask_to_wipe, exclusive=True)

    async def _ask_to_wipe(self) -> None:
        from tui.screens.backup import WipeDialog

        archives = await attempt(self._door.archives())
        dialog = WipeDialog(() if isinstance(archives, Problem) else archives)
        self.push_screen(dialog, lambda yes: self._leave("", locking=True, wiping=True) if yes else None)

    def _leave(self, reason: str, *, locking: bool, wiping: bool = False) -> None:
        """Show the first screen at once, then let go of the messenger, and of all that was in memory.

        `wiping`: and destroy the profile.
        """
        messenger, self.messenger = self.messenger, None
        self.typed.forget()
        self._clipboard = ""  # what Ctrl+V inserts where the terminal gives no clipboard
        self.notifier.count(0)
        self.notifier.close_all()
        self.notifier.closed()
        self._graphics.clear()
        settle = self._close_chat()
        self.preferences = Preferences(None, self.preferences.looks())

        async def let_go() -> str:
            await settle()
            if self.options.outside is not None:
                await self.options.outside.end()
            if messenger is not None:
                if locking:
                    await attempt(messenger.lock())
                await attempt(messenger.close())
            said = await self._wiped() if wiping else reason
            if self.options.starts_again:
                await self._start_again(said)
            elif not self.is_headless:
                textual_fixes.collect_all()
            return said

        while len(self.screen_stack) > 2:  # the empty first one, and the one to change
            self.pop_screen()
        self.switch_screen(UnlockScreen(self._door, reason=reason, first=let_go, demo=self.options.demo))

    async def _wiped(self) -> str:
        wiped = await attempt(self._door.wipe())
        return wiped.text if isinstance(wiped, Problem) else _("The profile is destroyed.")

    async def _start_again(self, reason: str) -> None:
        """Go on in a new start of the program: of this one, keys and texts would stay in memory."""
        modes = await textual_fixes.let_go_of(self._driver)
        if self.return_code is not None:
            return  # somebody has quit meanwhile
        typed = self.input_queue.untaken()
        try:
            start_again(Handover(reason, self._last, self.preferences.looks(), modes, typed))
        except OSError:
            self.exit(message=Text(_(NOT_AGAIN)))  # the other way to leave nothing in memory

    def _close_chat(self) -> Callable[[], Awaitable[None]]:
        """Remember which conversation was open; what is returned stores what was not sent."""
        chat, self._chat = self._chat, None
        if chat is None:
            return _nothing
        self._last = chat.state.current
        chat.composer.leave()
        return chat.composer.settle

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if isinstance(renderable, CompositorUpdate):
            renderable = Anchored(renderable)
            # An input method opens its window there: Textual forgets it where a field moves with its cursor.
            self.cursor_position = self._focus_place() or self.cursor_position
            self._write(CURSOR_HIDDEN)
            super()._display(screen, renderable)
            self._write(cursor_shown(os.environ))
        else:
            super()._display(screen, renderable)

    def _focus_place(self) -> Offset | None:
        if self._chat is None:  # what it needs is not loaded before the first paint
            return getattr(self.focused, "cursor_screen_offset", None)
        from tui.widgets.focus import focus_place

        return focus_place(self.screen)

    def _fatal_error(self) -> None:
        """Say where the program failed. Textual's own report prints local variables: names, entries, keys."""
        self.panic(Text(fault(self._exception)))


async def _nothing() -> None:
    """No screen was left that writes."""


def wants_no_colour(environment: MutableMapping[str, str]) -> bool:
    """Whether NO_COLOR holds a value; an empty one asks for nothing (no-color.org), and is taken away."""
    if not environment.get("NO_COLOR", ""):
        environment.pop("NO_COLOR", None)
        return False
    return True


def fault(error: BaseException | None) -> str:
    """What may be said of an unexpected error: its kind and its place, never its text or a value."""
    if isinstance(error, WorkerFailed):
        error = error.error
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else _("an unknown place")
    return _(
        "Parlour stopped after an internal error ({kind} in {place}). What you wrote is saved. Start it "
        "again, and report this line."
    ).format(kind=type(error).__name__, place=place)
