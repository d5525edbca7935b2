"""The recovery words: shown, erased and used; and the other change of the own identity, the name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import dropwhile, takewhile
from typing import Final

from msgspec.structs import replace

from chat.interface import (
    RECOVERY_WORDS,
    Messenger,
    NotTypedBack,
    RecoveryView,
    Redacted,
    Redacting,
    TerminalView,
    UsageError,
    WordsReplaced,
)
from tui.linear.output import Output
from tui.linear.state import Questions, State
from tui.linear.wording import listed, plain_name
from tui.preferences import Options, Preferences
from tui.text.recovery import (
    NEW_KEYS,
    OLD_WORDS_END,
    RECOVERED,
    RECOVERY,
    RECOVERY_DUE,
    RECOVERY_ERASED,
    RECOVERY_NEW,
    RECOVERY_NEW_RISK,
    RECOVERY_RISK,
    RECOVERY_RIVAL,
    RECOVERY_USE,
    RECOVERY_WARNS,
    device_line,
    device_lines,
    foreseen_lines,
    gone_lines,
    numbered_words,
    picked_devices,
    removable_devices,
)
from tui.text.translation import N_, _, _n, told

_USE: Final = "use"
_NEW: Final = "new"
_SAME: Final = "same"
_NOT_MINE: Final = "not-mine"
_LOST: Final = "lost"
_CLEARED = N_("The screen and its scrollback were cleared, if the terminal allows it.")
_REPLACED = N_(
    "These words were replaced by a recovery that you confirmed here: use its words. If that recovery was not"
    " yours, type /recovery use not-mine before the numbers and the words."
)


class _Recovering(Redacting, frozen=True):
    """A recovery that its person has confirmed, and that waits until new words were typed back."""

    typed: Redacted[tuple[str, ...]]
    removed: tuple[str, ...]
    not_mine: bool
    stolen: bool


@dataclass
class Recovery:
    """Shows the recovery words, erases the seed once some of them were typed back, and uses the words. And
    signs the other change of the own identity, the name."""

    messenger: Messenger
    output: Output
    state: State
    questions: Questions
    options: Options
    _devices_shown: list[TerminalView] = field(init=False, default_factory=list)
    _waiting: _Recovering | None = field(init=False, default=None)

    async def remind(self, preferences: Preferences, options: Options) -> None:
        if self.state.me.keeps_seed and self.state.contacts and await preferences.reminds(options):
            await self.output.say(_(RECOVERY_DUE).format(key="/recovery"))

    async def rename_self(self, typed: str) -> None:
        if not typed:
            raise UsageError(_("Type /name and the new name."))
        said = _("Your contacts see {name} now.").format(name=plain_name(typed))
        await self._sign(partial(self.messenger.rename_self, typed), said)

    async def _use(self, typed: str) -> None:
        """List the devices, or use the words after the numbers of those to remove.

        The numbers are those of the list that was shown: another device may have come since.
        """
        parts = typed.split()
        if not parts:
            self._devices_shown = removable_devices(await self.messenger.terminals())
            devices = device_lines(self._devices_shown)
            how = _(
                "Type /recovery use, the numbers of the devices to remove, and all {total} words in one line."
                " New words replace them. Type /recovery use same instead if nobody else has seen them."
            )
            await self.output.say(_(RECOVERY_USE), *devices, how.format(total=RECOVERY_WORDS))
            return
        self.output.private = True
        wishes = set(takewhile((_SAME, _NOT_MINE, _LOST).__contains__, parts))
        parts = list(dropwhile((_SAME, _NOT_MINE, _LOST).__contains__, parts))
        numbers = list(takewhile(str.isdecimal, parts))
        picked = picked_devices(" ".join(numbers), self._devices_shown)
        chosen = _Recovering(
            *(tuple(parts[len(numbers) :]), tuple(one.terminal for one in picked)),
            *(_NOT_MINE in wishes, _LOST not in wishes),
        )
        try:
            await self.messenger.check_recovery(chosen.typed, chosen.not_mine)
        except WordsReplaced:
            raise UsageError(_(_REPLACED)) from None
        foreseen = await self.messenger.foresee_recovery(chosen.typed, chosen.removed, chosen.not_mine)
        known = await self.messenger.terminals()
        await self.output.clear()
        asked = _n("Remove {number} device?", "Remove {number} devices?", len(picked))
        otherwise = _(
            "If they were lost, sold or broken, type /no, and the same with lost before the numbers."
        )
        lines = (
            *(asked.format(number=len(picked)), *map(device_line, picked)),
            *foreseen_lines(foreseen, known, self.state.name_of, self.options.zone),
            *(gone_lines(chosen.stolen, otherwise) if picked else ()),
            *(_(RECOVERY_WARNS), *([_(RECOVERY_RIVAL)] if chosen.not_mine else [])),
        )
        follows = partial(self._recover, chosen, ()) if _SAME in wishes else partial(self._show_new, chosen)
        await self.questions.confirm(_USE, lines, follows)

    async def _show_new(self, chosen: _Recovering) -> None:
        """Show new words. Nothing is signed before some of them were typed back."""
        self._waiting = chosen
        view = await self.messenger.begin_recovery()
        how = _("Then type /recovery new and the words with the numbers {numbers}: that signs the recovery.")
        await self._say_words(view, (RECOVERY_NEW, RECOVERY_NEW_RISK), how)

    async def _typed_back(self, typed: str) -> None:
        chosen = self._waiting
        self.output.private = True
        if chosen is None:
            raise UsageError(_("Type /recovery use first: it shows new words."))
        try:
            await self._recover(chosen, tuple(typed.split()))
        except NotTypedBack as refused:
            await self.output.say(told(refused.phrase))
            await self._show_new(chosen)

    async def _recover(self, chosen: _Recovering, answers: tuple[str, ...]) -> None:
        """Sign the recovery; without answers the words stay."""
        wishes = chosen.not_mine, chosen.stolen
        sign = partial(self.messenger.recover, chosen.typed, chosen.removed, answers, not answers, *wishes)
        said = [_(OLD_WORDS_END), _(_CLEARED)] if answers else []
        await self._sign(sign, _(RECOVERED), *said)
        self._waiting = None

    async def _sign(self, sign: Callable[[], Awaitable[None]], said: str, *more: str) -> None:
        """Sign a change of the own identity, and say so. `more`: said of words, which are cleared."""
        await self.output.say(_("Signing…"))
        await sign()
        before, self.state.me = self.state.me.terminal, await self.messenger.me()
        if more:
            await self.output.clear()
        await self.output.say(said, *more, *([_(NEW_KEYS)] if self.state.me.terminal != before else []))

    async def recovery(self, typed: str) -> None:
        order, _space, rest = typed.partition(" ")
        if order == _USE:
            await self._use(rest)
        elif order == _NEW:
            await self._typed_back(rest)
        elif typed:
            self.output.private = True
            await self.messenger.confirm_recovery(tuple(typed.split()))
            self.state.me = replace(self.state.me, keeps_seed=False)
            await self.output.clear()
            await self.output.say(_(RECOVERY_ERASED), _(_CLEARED))
        else:
            how = _("Then type /recovery and the words with the numbers {numbers}: that erases all here.")
            await self._say_words(await self.messenger.recovery_words(), (RECOVERY, RECOVERY_RISK), how)

    async def _say_words(self, view: RecoveryView, about: tuple[str, ...], how: str) -> None:
        self.output.private = True
        asked = listed(str(place + 1) for place in view.asked)
        await self.output.say(*map(_, about), *numbered_words(view.words, 1), how.format(numbers=asked))
