"""The guide takes the place of a conversation while none is open, and shows what can be done."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.style import Style
from textual.widgets import Static

from chat.interface import DiagnosisView, SelfView
from tui.actions import action, command
from tui.text.safe import safe_line, safe_name
from tui.text.translation import DEMO_ABOUT, DEMO_TITLE, DEMO_TRIES, N_, _, _n, filled, told
from tui.text.wrapping import cuts

_KEY = 8
_DOES = "does"  # what a click on these cells does; not Textual's own name for it, which is drawn as a link
_REASONS = N_(
    "No one was found within five seconds. The other person may be hidden or on another network, or a "
    "firewall or the access point keeps you apart. Try this:"
)

_RELAY = N_("On another network? Add a relay that both of you can reach with {key}, then invite.")


class Guide(Static):
    """The welcome of an empty or unopened Parlour, or of a demo."""

    def __init__(self, *, demo: bool = False) -> None:
        super().__init__("", id="guide", markup=False)
        self._demo = demo
        self._parts: list[Content] = []

    def show(
        self, me: SelfView, contacts: int, nearby: int, alone: bool, causes: Sequence[DiagnosisView]
    ) -> None:
        """`alone`: nobody was found in time; `causes`: what the doctor found wrong."""
        if self._demo:
            self._parts = _try_out()
        else:
            self._parts = _choose(contacts) if contacts else _welcome(me, nearby, alone, causes)
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    async def on_click(self, event: events.Click) -> None:
        does = event.style.meta.get(_DOES)
        if does is not None:
            await self.run_action(does)

    def _draw(self) -> None:
        width = self.content_size.width
        if width:
            self.update(Content("\n").join(row for part in self._parts for row in _rows(part, width)))


def _rows(part: Content, width: int) -> list[Content]:
    """A line in rows as `cuts` has them: no row begins with what closes a sentence."""
    return [part[start:end] for start, end in cuts(part.plain, width)]


def _try_out() -> list[Content]:
    mark = ("•", "bold $primary")
    tried = [Content.assemble(mark, f" {_(text)}") for text in DEMO_TRIES]
    keys = [_choice(name) for name in ("search", "verify", "invite", "lock", "help")]
    title = Content.assemble((_(DEMO_TITLE), "bold"))
    return [title, Content(""), Content(_(DEMO_ABOUT)), Content(""), *tried, Content(""), *keys]


def _choose(contacts: int) -> list[Content]:
    one = _n(
        "Select your contact on the left: Tab, the arrow keys, Enter.",
        "Select one of your {number} contacts on the left: Tab, the arrow keys, Enter.",
        contacts,
    )
    return [
        Content.assemble((_("No conversation is open"), "bold")),
        Content(""),
        Content(one.format(number=contacts)),
        Content(""),
        _choice("add"),
        _choice("help"),
    ]


def _welcome(me: SelfView, nearby: int, alone: bool, causes: Sequence[DiagnosisView]) -> list[Content]:
    """What can be done stands before what the doctor found: a small screen cuts the end."""
    lines = [Content.assemble((_("No contacts yet"), "bold")), _visibility(me), Content("")]
    if nearby:
        choose = _(
            "Select someone under Nearby: the arrow keys, then Enter. Both of you then compare five words."
        )
        lines.append(Content(choose))
    elif alone:
        lines.append(Content(_(_REASONS)))
    else:
        lines.append(Content(_("Looking for people nearby…")))
    lines += [Content(""), *_choices(alone or bool(nearby))]
    if alone and not nearby:
        lines += [Content(""), *map(_cause, causes), filled(_(_RELAY), key=(action("relays").key, "bold"))]
    return lines


def _choices(all_of_them: bool) -> list[Content]:
    names = ("invite", "join", "address", "visible", "relays", "doctor")  # the help is in the foot line
    return [_choice(name) for name in names if all_of_them or name not in ("relays", "doctor")]


def _visibility(me: SelfView) -> Content:
    name = (safe_name(me.name), "bold")
    if me.visible:
        return filled(_("People nearby see you as {name}."), name=name)
    return filled(_("You are not visible to people nearby, {name}."), name=name)


def _choice(name: str) -> Content:
    one = action(name)
    key = f"{one.key:<{_KEY}}" if len(one.key) < _KEY else f"{one.key} "
    line = Content.assemble((key, "bold $primary"), one.title)
    return line.stylize(Style.from_meta({_DOES: command(name)}))


def _cause(line: DiagnosisView) -> Content:
    said = _("{check}: {found}. Fix: {fix}") if line.fix else _("{check}: {found}.")
    check, found, fix = ((safe_line(told(text)), "") for text in (line.check, line.found, line.fix))
    mark = Content.assemble(("✗ ", "bold $error"))
    return mark + filled(said, check=(check[0], "bold"), found=found, fix=fix)
