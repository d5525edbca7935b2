"""What a shell completes: names of contacts and ids, from the engine that runs, or nothing.

Names are peer text, and a shell runs what it gets unquoted. So the scripts quote each word that they insert.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from chat.cli.output import find, labels, one_line, talks, timestamp
from chat.cli.session import Call, UnicodeText, command
from chat.interface import EntryKind, EntryView, Messenger, ParlourError

PROGRAM: Final = "parlour"
VARIABLE: Final = "_PARLOUR_COMPLETE"
"""The variable by which a script asks this program."""

WITHIN: Final = 2.0
"""Seconds after which a person at a prompt gets nothing rather than waits on."""

NEWEST: Final = 50  # entries whose ids are offered
HELP_MAX: Final = 48  # characters of a text that stand behind its id

Items = list[CompletionItem[str]]


@asynccontextmanager
async def _running(call: Call) -> AsyncIterator[Messenger]:
    """The engine that runs on the profile. Opens none, and so asks for no passphrase. Raises ParlourError."""
    opened = await call.door().attach()
    try:
        yield opened
    finally:
        await opened.close()


def offered(ctx: click.Context, look: Callable[[Messenger], Awaitable[Items]], typed: str) -> Items:
    """What `look` finds in the running engine and begins with what was typed; nothing where none answers."""

    async def ask(call: Call) -> Items:
        async with asyncio.timeout(WITHIN), _running(call) as opened:
            return await look(opened)

    try:
        found = asyncio.run(ask(ctx.ensure_object(Call)))
    except (ParlourError, OSError, TimeoutError):  # a prompt is no place for a failure
        return []
    begun = typed.casefold()
    return [item for item in found if item.value.casefold().startswith(begun)]


class Talk(UnicodeText):
    """The name of a contact, or of the notes where `notes` is set."""

    def __init__(self, *, notes: bool) -> None:
        self._notes = notes

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
        async def look(opened: Messenger) -> Items:
            views = await talks(opened) if self._notes else await opened.contacts()
            return [
                CompletionItem("notes" if view.notes else label, help=_of(view.unread))
                for label, view in labels(views).items()
            ]

        return offered(ctx, look, incomplete)


def _of(unread: int) -> str | None:
    return f"{unread} unread" if unread else None


class Entry(UnicodeText):
    """The id of one of the newest entries of the conversation that the argument before it names."""

    def __init__(self, fits: Callable[[EntryView], bool]) -> None:
        self._fits = fits

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
        name = ctx.params.get("name")
        if not isinstance(name, str):
            return []

        async def look(opened: Messenger) -> Items:
            contact = find(await talks(opened), name)[1]
            newest = await opened.history(contact.person, NEWEST)
            return [CompletionItem(one.id, help=_line(one)) for one in reversed(newest) if self._fits(one)]

        return offered(ctx, look, incomplete)


class EntryFirst(Entry):
    """The id of an entry as the first of several words, of which the others are a text."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
        return [] if ctx.params.get(str(param.name)) else super().shell_complete(ctx, param, incomplete)


def _line(entry: EntryView) -> str:
    said = entry.file.path if entry.file is not None else entry.text
    return f"{timestamp(entry.time)[11:16]} {one_line(entry.author)}: {one_line(said[:HELP_MAX])}"


class Relay(UnicodeText):
    """The address of a relay that was named."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
        async def look(opened: Messenger) -> Items:
            return [CompletionItem(view.address) for view in await opened.relays()]

        return offered(ctx, look, incomplete)


class Device(UnicodeText):
    """The id of a device of this person that can be removed."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
        async def look(opened: Messenger) -> Items:
            return [
                CompletionItem(view.terminal, help=one_line(view.name) or None)
                for view in await opened.terminals()
                if view.removable
            ]

        return offered(ctx, look, incomplete)


CONTACT: Final = Talk(notes=False)
TALK: Final = Talk(notes=True)
ENTRY: Final = Entry(lambda one: True)
FILE_ENTRY: Final = Entry(lambda one: one.file is not None)
OWN_TEXT: Final = EntryFirst(lambda one: one.own and one.kind is EntryKind.TEXT)
RELAY: Final = Relay()
DEVICE: Final = Device()


_BASH: Final = r"""
%(complete_func)s() {
    local typed=${COMP_WORDS[COMP_CWORD]} kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames; continue ;;
            file) compopt -o default; continue ;;
            plain) ;;
            *) continue ;;
        esac
        # What is inserted may come from a peer: it stays one word, and nothing in it is run.
        case $typed in
            \'*) [[ $value == *\'* ]] && continue ;;
            \"*) [[ $value == *[\"\\\$\`\!]* ]] && continue ;;
            *) printf -v value %%q "$value" ;;
        esac
        COMPREPLY+=("$value")
    done < <(COMP_WORDS=$(IFS=$'\n'; printf %%s "${COMP_WORDS[*]}") COMP_CWORD=$COMP_CWORD \
        %(complete_var)s=bash_complete "$1" 2>/dev/null </dev/null)
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

# From a folder of $fpath the file is the function `_parlour`; sourced, it only defines.
_ZSH: Final = r"""
#compdef %(prog_name)s

%(complete_func)s() {
    local -a response plain described
    local kind value said
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
        %(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null </dev/null)}")
    for kind value said in "${response[@]}"; do
        case $kind in
            dir) _path_files -/ ;;
            file) _path_files ;;
            plain) if [[ $said == _ ]]; then plain+=("$value"); else described+=("$value:$said"); fi ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -V unsorted -a plain
}

if [[ $funcstack[1] == _%(prog_name)s ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH: Final = r"""
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp | string collect) \
        COMP_CWORD=(commandline -t | string collect) %(prog_name)s 2>/dev/null </dev/null)
    for completion in $response
        set -l parts (string split -m 1 , -- $completion)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                printf '%%s\n' $parts[2]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments '(%(complete_func)s)'
"""


def _joined(words: list[str]) -> list[str]:
    """Words that Bash took apart at `=`, as one again."""
    whole: list[str] = []
    for word in words:
        if whole and (word == "=" or whole[-1].endswith("=")) and whole[-1].startswith("--"):
            whole[-1] += word
        else:
            whole.append(word)
    return whole


class Bash(BashComplete):
    source_template = _BASH

    def source(self) -> str:
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        words, typed = super().get_completion_args()
        return _joined(words), typed

    def format_completion(self, item: CompletionItem[str]) -> str:
        return f"{item.type},{one_line(str(item.value))}"


class Zsh(ZshComplete):
    source_template = _ZSH

    def format_completion(self, item: CompletionItem[str]) -> str:
        # The script reads three lines for each.
        value, said = one_line(str(item.value)), one_line(item.help or "")
        if said:
            value = value.replace("\\", r"\\").replace(":", r"\:")
        return f"{item.type}\n{value}\n{said or '_'}"


class Fish(FishComplete):
    source_template = _FISH

    def format_completion(self, item: CompletionItem[str]) -> str:
        value, said = one_line(str(item.value)), one_line(item.help or "")
        return f"{item.type},{value}\t{said}" if said else f"{item.type},{value}"


SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def use() -> None:
    """Complete by these scripts from now on."""
    for name, shell in SHELLS.items():
        add_completion_class(shell, name)


@command("completion")
@click.argument("shell", type=click.Choice(tuple(SHELLS)))
@click.pass_obj
def completion(call: Call, shell: str) -> None:
    """Print the script with which SHELL completes commands, contacts and ids.

    \b
      bash   parlour completion bash > ~/.local/share/bash-completion/completions/parlour
      zsh    parlour completion zsh > a folder of $fpath/_parlour
      fish   parlour completion fish > ~/.config/fish/completions/parlour.fish

    Contacts and ids come from the engine that runs, so they are completed while Parlour is open. None is
    opened for it, and no passphrase is asked for.
    """
    script = script_of(shell)
    call.result({"shell": shell, "script": script}, script)


def script_of(shell: str) -> str:
    """The script for one of SHELLS."""
    return SHELLS[shell](click.Command(PROGRAM), {}, PROGRAM, VARIABLE).source().strip()
