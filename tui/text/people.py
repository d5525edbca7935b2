"""What is said about people: for whom one could take them, their own names, where they are removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo

from chat.interface import ContactView, NearbyView, PairingView, TerminalView, label_parts
from tui.text.formatting import DEVICE_DIGITS, safe_label
from tui.text.safe import safe_name
from tui.text.translation import _


def namesake_lines(view: NearbyView | PairingView) -> list[str]:
    """For whom one could take somebody who pairs, or wants to."""
    lines = []
    if view.mine:
        lines.append(_("This name looks like yours, and it is not a device of yours."))
    if view.known:
        said = _(
            "You already know {names}. This is somebody else, or a new device that was set up as a new"
            " person."
        )
        lines.append(said.format(names=_(", ").join(map(safe_label, view.known))))
    return lines


def namesake_mark(view: NearbyView) -> str:
    """The same in a few words of a list; empty for a name that nobody else has."""
    if view.known:
        return _("new person or device")
    return _("not a device of yours") if view.mine else ""


def digits_line(label: str) -> str:
    """What the digits behind a name mean; empty for a name without them."""
    digits = label_parts(label)[1]
    said = _("{digits} is the start of the person's id: it tells apart people whose names look alike.")
    return said.format(digits=digits) if digits else ""


def called_lines(view: ContactView, zone: tzinfo | None = None) -> list[str]:
    """The digits of a contact, what it calls itself, and when it was last connected."""
    lines = [digits_line(view.label)]
    if view.called and view.called != view.name:
        lines.append(_("Calls itself {name}.").format(name=safe_name(view.called)))
    if view.present:
        lines.append(_("Connected now."))
    elif view.seen is not None:
        moment = f"{view.seen.astimezone(zone):%Y-%m-%d %H:%M}"
        lines.append(_("Last connected {time}.").format(time=moment))
    else:
        lines.append(_("Not connected from this device yet."))
    return [line for line in lines if line]


def renamed_line(before: str, now: str) -> str:
    """From what to what somebody was renamed; both safe."""
    return _("{before} is now called {name}.").format(before=before, name=now)


def _other_devices(devices: Iterable[TerminalView]) -> str:
    """The other devices of this person, by name; empty where there is none."""
    names = []
    for view in devices:
        if not view.this and view.is_live:
            start = _("{device}…").format(device=view.terminal[:DEVICE_DIGITS])
            names.append(_("“{text}”").format(text=safe_name(view.name)) if view.name else start)
    return _(", ").join(names)


def removal_line(devices: Sequence[TerminalView]) -> str:
    """What removing a contact does, and where. `devices`: of this person."""
    others = _other_devices(devices)
    where = _("on this device") if not others else _("on all your devices (this one, {names})")
    said = _(
        "Deletes the contact, their keys and the conversation permanently {where}. Only the ids of messages"
        " that you deleted stay: these do not come back if you pair again."
    )
    return said.format(where=where.format(names=others))


def clearing_line(name: str, devices: Sequence[TerminalView]) -> str:
    """What clearing the conversation with a contact (a safe name) does, and where; without name the notes."""
    said = _("Deletes your notes on this device permanently.")
    if name:
        said = _(
            "Deletes all messages with {name} on this device permanently. {name} keeps theirs and is not"
            " notified. The contact and the timer stay."
        ).format(name=name)
    others = _other_devices(devices)
    kept = _("Your other devices ({names}) keep their copies: clear them there.").format(names=others)
    return f"{said} {kept}" if others else said


def block_lines(name: str, *, on: bool) -> tuple[str, str]:
    """The question before a contact (a safe name) is blocked or not any more, and what follows."""
    if on:
        what = _(
            "A blocked contact gets no answer, and you see nothing from them. You can unblock them later."
        )
        return _("Block {name}?").format(name=name), what
    what = _("They can write to you again. What they wrote meanwhile arrives when they are online.")
    return _("Unblock {name}?").format(name=name), what


def unfinished_lines(sealed: str, waiting: Sequence[str]) -> list[str]:
    """What quitting leaves: the file that is being encrypted, and for whom messages wait; safe names."""
    lines = []
    if sealed:
        said = _("{name} is still being encrypted. If you quit, it is not sent: send it again later.")
        lines.append(said.format(name=sealed))
    if waiting:
        said = _(
            "Messages to {names} wait on this device. They are sent when Parlour runs again: nothing is lost."
        )
        lines.append(said.format(names=_(", ").join(waiting)))
    return lines
