"""The lines around a conversation: header, banner, reply line, what was just said, status, and key line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from chat.interface import AlertView, ContactView, EntryView, HistoryMoving, QuestionView, SelfView
from tui.actions import HINTED, Action, action, command, with_keys
from tui.text.formatting import moving_line
from tui.text.safe import safe, safe_line, safe_name, shorten, widest
from tui.text.translation import DEMO_BADGE, _, told


class Banner(Static, can_focus=True):
    """Says why nothing is sent to a contact; a click compares the safety number."""

    def __init__(self) -> None:
        super().__init__("", id="banner", markup=False)
        self.display = False

    def show(self, name: str, causes: tuple[str, ...], *, unvouched: bool = False) -> None:
        """`name` is a safe name; `causes` are as the engine said them, or none where it did not.

        `unvouched`: only a removed device has paired with the contact.

        What ends it stands first: a small screen cuts the rest.
        """
        why = [_("{name}: {cause}").format(name=name, cause=safe_line(told(cause))) for cause in causes]
        if unvouched:
            why.append(_("Only a removed device of yours has paired with {name}.").format(name=name))
        why = why or [_("The identity of {name} has changed.").format(name=name)]
        what = _("Compare the safety number before you send: press {key} or click here.")
        first = Content.assemble(
            ("! ", "bold $error"), (what.format(key=action("verify").key), "bold $warning")
        )
        self.update(Content("\n").join([first, *map(Content, why)]))

    def check_consume_key(self, key: str, character: str | None = None) -> bool:
        return key == "enter" or (character is not None and character.isprintable())

    def on_key(self, event: events.Key) -> None:
        if self.check_consume_key(event.key, event.character):
            event.stop()
            event.prevent_default()

    async def on_click(self) -> None:
        await self.run_action(command("verify"))


class QuestionLine(Static):
    """Says that the own identity has changed, and not by this device; a click asks about it."""

    def __init__(self) -> None:
        super().__init__("", id="question", markup=False)
        self.display = False

    def show(self, questions: tuple[QuestionView, ...]) -> None:
        said = _("Your identity has changed. Was that you? Press {key} or click here.")
        text = said.format(key=action("own_changes").key)
        self.update(Content.assemble(("! ", "bold $error"), (text, "bold $warning")))
        self.display = bool(questions)

    async def on_click(self) -> None:
        await self.run_action(command("own_changes"))


class AlertLine(Static):
    """Says what happened to the profile until this person has seen it: that its device was removed first.

    A click shows all.
    """

    def __init__(self) -> None:
        super().__init__("", id="alert", markup=False)
        self.display = False

    def show(self, alerts: tuple[AlertView, ...]) -> None:
        if alerts:
            first = min(alerts, key=lambda alert: not alert.lasts)
            parts = [("! ", "bold $error"), (with_keys(safe_line(told(first.text))), "")]
            if not all(alert.lasts for alert in alerts):
                read = _("Press {key} or click here when you have read this.")
                parts += [(" ", ""), (read.format(key=action("doctor").key), "bold $warning")]
            self.update(Content.assemble(*parts))
        self.display = bool(alerts)

    async def on_click(self) -> None:
        await self.run_action(command("doctor"))


class Header(Static):
    def __init__(self) -> None:
        super().__init__("", id="header", markup=False)
        self._parts: tuple[Content, ...] = ()

    def show(self, view: ContactView, name: str) -> None:
        marks = [(_("✓ verified"), "$success") if view.verified else (_("not verified"), "$quiet")]
        if view.notes:
            marks = [(_("on your devices only"), "$quiet")]
        elif view.past:
            marks = [(_("from a backup: pair again"), "$quiet")]
        elif view.blocked:
            marks.append((_("⊘ blocked"), "$error"))
        elif view.typing:
            marks.append((_("typing…"), "$accent"))
        else:
            marks.append((_("● online"), "$success") if view.present else (_("○ offline"), "$quiet"))
        if view.relayed and view.present and not view.blocked:
            marks.append((_("⇄ relay"), "$quiet"))
        if view.bot:
            marks.insert(0, (_("bot"), "$accent"))
        if view.muted:
            marks.append((_("z muted"), "$quiet"))
        if view.pinned:
            marks.append((_("↑ pinned"), "$quiet"))
        self._parts = tuple(Content.styled(*part) for part in ((name, "bold"), *marks))
        self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        """Break a line that is too long between the parts, and never within one."""
        rows, gap, width = list[Content](), Content("  "), self.content_size.width
        for part in self._parts:
            # It has no width before the first layout.
            if rows and (not width or rows[-1].cell_length + len(gap) + part.cell_length <= width):
                rows[-1] = gap.join((rows[-1], part))
            else:
                rows.append(part)
        self.update(Content("\n").join(rows))

    async def on_click(self) -> None:
        await self.run_action(command("contact"))


_NOTICES_LONGER = 3  # as long as other news: nobody waits for a notice


class Said(Static):
    """One line of news or of a refusal; hidden while there is nothing to say.

    `seconds`: how long news is shown. `looked_at`: whether somebody looks at the screen now.
    """

    def __init__(self, seconds: float, looked_at: Callable[[], bool]) -> None:
        super().__init__("", id="said", markup=False)
        self._seconds, self._looked_at = seconds, looked_at
        self._waits = False  # for somebody who reads it
        self._person: str | None = None
        self._timer: Timer | None = None
        self.display = False

    def say(
        self, text: str, *, person: str | None = None, problem: bool = False, notice: bool = False
    ) -> None:
        """Show a safe line. `person` is whose conversation it belongs to, None for no conversation.

        A `notice` may come while nobody is there: its time begins when somebody looks.
        """
        self.clear()
        self._person = person
        self.set_class(problem, "-problem")
        self.update(Content(text))
        self.display = bool(text)
        if text and notice:
            self._waits = True
            self.look()
        elif text and not problem:
            self._timer = self.set_timer(self._seconds, self.clear)

    def look(self) -> None:
        """Somebody may look at the screen from now on."""
        if self._waits and self._looked_at():
            self._waits = False
            self._timer = self.set_timer(self._seconds * _NOTICES_LONGER, self.clear)

    def opened(self, person: str | None) -> None:
        """Another conversation is open now, or none: drop what belongs to the one before."""
        if self._person not in (None, person):
            self.clear()

    def clear(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer, self._person, self._waits = None, None, False
        self.display = False


class Status(Static):
    """This person, whether strangers see it, and its addresses; first of all, if so, that this is a demo.

    While history comes from another device of this person, how far that is stands where the addresses do.
    """

    def __init__(self, *, demo: bool = False) -> None:
        super().__init__("", id="status", markup=False)
        self._demo, self._moving = demo, ""

    def move(self, event: HistoryMoving) -> None:
        """Say from the next `show` on how far a move of history is, and no more where it has ended."""
        self._moving = moving_line(event) if event.moves else ""

    def show(self, me: SelfView) -> None:
        seen = (_("● visible nearby"), "$success") if me.visible else (_("○ not visible nearby"), "$quiet")
        where = self._moving or "  ".join(me.addresses[:2]) or _("no address")
        badge = [(f"{_(DEMO_BADGE)}  ", "bold $warning")] if self._demo else []
        self.update(
            Content.assemble(
                *badge, (safe_name(me.name, 20), "bold"), ("  ", ""), seen, ("  ", ""), (where, "$quiet")
            )
        )


_KEYS_APART = "   "
_KEYS_FIRST = ("help", "quit")


def _key_cells(one: Action) -> int:
    return widest(one.key) + 1 + widest(one.title)


class KeyLine(Static):
    """The keys of what has the focus."""

    def __init__(self) -> None:
        super().__init__("", id="keys", markup=False)
        self._places: list[tuple[int, int, str]] = []
        self._names: Sequence[str] = HINTED

    def on_mount(self) -> None:
        self.show()

    def on_resize(self) -> None:
        self.show()

    def show(self, names: Sequence[str] | None = None) -> None:
        """Show these actions, or those that are shown, with the keys that hold now."""
        self._names = self._names if names is None else names
        parts: list[tuple[str, str]] = []
        self._places, at = [], 0
        for one in self._fitting():
            end = at + _key_cells(one)
            parts += [(one.key, "bold $primary"), (f" {one.title}{_KEYS_APART}", "$quiet")]
            self._places.append((at, end, one.id))
            at = end + len(_KEYS_APART)
        self.update(Content.assemble(*parts).rstrip())

    def _fitting(self) -> list[Action]:
        """What fits, in their order; the way to the help and the way out come before all others."""
        known = [one for one in map(action, self._names) if one.key]
        left, fitting = self.size.width, set[str]()
        for one in sorted(known, key=lambda one: one.id not in _KEYS_FIRST):
            if _key_cells(one) > left:
                break
            left -= _key_cells(one) + len(_KEYS_APART)
            fitting.add(one.id)
        return [one for one in known if one.id in fitting]

    async def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        for start, end, name in self._places:
            if start <= offset.x < end:
                await self.run_action(command(name))


class ReplyLine(Static):
    """One row: whose entry, how it begins, and the key that drops it."""

    def __init__(self) -> None:
        super().__init__("", id="reply", markup=False)
        self.display = False
        self._name, self._quoted = "", ""
        self._edits = False

    def show(self, name: str, entry: EntryView | None, *, edits: bool = False) -> None:
        """Say whose entry is answered, or that one's own is edited; None hides the line. `name` is safe."""
        self._edits = edits
        lines = safe(entry.text).strip().split("\n") if entry is not None else [""]
        self._name, self._quoted = name, safe_line(lines[0])
        self.display = entry is not None
        self.refresh()

    def render(self) -> Content:
        """The quoted line takes the columns that the rest leaves."""
        way_out = _("Esc: leave it unchanged") if self._edits else _("Esc: cancel reply")
        begin = _("Editing: ") if self._edits else _("↩ {name}: ").format(name=self._name)
        left = self.content_size.width - cell_len(begin) - cell_len(way_out) - 2
        quoted = shorten(self._quoted, max(0, left))
        gap = " " * max(2, left + 2 - cell_len(quoted))
        return Content.assemble((begin, "bold $accent"), (quoted, "$quiet"), (gap, ""), (way_out, "$quiet"))
