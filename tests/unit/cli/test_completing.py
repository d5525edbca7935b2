"""Completion in real shells: what is offered, and that nothing of a peer's name is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.cli.completing import SHELLS, Bash, script_of
from chat.interface import EntryState, UsageError
from chat.looks import label
from tests.support import machine as needs
from tests.support.cli.line import Line
from tests.support.cli.running import running_engine
from tests.support.cli.terminals import heard_until, terminal
from tests.support.fakes.messenger import FakeMessenger

NAMES = {
    "An": "Ann Smith",
    "Be": "Ben$(touch RAN)`touch RAN`",
    "Cl": "Cleo'; touch RAN; '",
    "Ev": "Eva * ~ \\ [a] {b,c} <d> !!",
    "Fa": "Fay: a, b",
}
"""What is typed, and the name of the contact, which has digits where it has a sign of digits."""

_SAYS = """#!{python}
import json, os, sys
if "_PARLOUR_COMPLETE" in os.environ:
    sys.path.insert(0, {root!r})
    from chat.cli.__main__ import main
    main()
with open({said!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
"""


class Shell:
    """A shell in which `parlour` completes as it does, and otherwise only writes what it was given."""

    def __init__(self, folder: Path) -> None:
        self.said = folder / "said"
        program = folder / "bin" / "parlour"
        program.parent.mkdir()
        root = str(Path(__file__).parents[3])
        program.write_text(_SAYS.format(python=sys.executable, root=root, said=str(self.said)))
        program.chmod(0o755)
        self.home = folder / "home"
        self.home.mkdir()
        self.profile = folder / "p"
        self.profile.mkdir()
        self.environment = {
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "PARLOUR_PROFILE": str(self.profile),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
        }

    def typed(self, start: list[str], prepare: str, lines: list[str]) -> list[list[str]]:
        """Type lines at a real prompt; what the program was then given."""
        with terminal() as (person, program):
            shell = subprocess.Popen(
                [*start], stdin=program, stdout=program, stderr=program, env=self.environment, cwd=self.home,
                start_new_session=True,
            )  # fmt: skip
            try:
                os.write(person, f"{prepare}; echo rea''dy\r".encode())
                heard_until(person, b"ready\r\n")
                for number, line in enumerate(lines):
                    os.write(person, f"{line}\t\recho do''ne{number}\r".encode())
                    heard_until(person, f"done{number}\r\n".encode())
            finally:
                os.write(person, b"exit\r")
                shell.kill()
                shell.wait()
        return [json.loads(line) for line in self.said.read_text().splitlines()]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def engine(shell: Shell) -> Iterator[FakeMessenger]:
    messenger = FakeMessenger()
    for name in NAMES.values():
        messenger.add_contact(name)
    with running_engine(shell.profile, messenger) as running:
        yield running


def _labels(engine: FakeMessenger) -> list[str]:
    """What the contacts are called, as a command takes it."""
    contacts = engine._contacts.values()
    return [label(name, one.person, 0, "") for name, one in zip(NAMES.values(), contacts, strict=True)]


def _asked(shell: Shell, *words: str, kind: str = "bash") -> list[str]:
    """What the program offers for these words, of which the last is not complete."""
    asked = {"COMP_WORDS": "\n".join(("parlour", *words)), "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        ["parlour"],
        env={**shell.environment, **asked, "_PARLOUR_COMPLETE": f"{kind}_complete"},
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_peers_name_stays_one_word_in_bash(shell: Shell, engine: FakeMessenger) -> None:
    needs.needs_bash()
    script = shell.home / "script"
    script.write_text(script_of("bash"))
    prepare = f"bind 'set enable-bracketed-paste off'; source {script}"
    typed = [f"parlour send {start}" for start in NAMES]
    given = shell.typed(["bash", "--norc", "--noprofile", "-i"], prepare, typed)
    assert given == [["send", name] for name in _labels(engine)]
    shell.said.unlink()
    # Between quotation marks a name is whole or not offered at all.
    (quoted,) = shell.typed(["bash", "--norc", "--noprofile", "-i"], prepare, ['parlour send "An'])
    assert quoted == ["send", "Ann Smith"]
    assert not (shell.home / "RAN").exists()


def test_a_peers_name_stays_one_word_in_zsh(shell: Shell, engine: FakeMessenger) -> None:
    needs.needs_zsh()
    (shell.home / "_parlour").write_text(script_of("zsh"))
    prepare = f"fpath=({shell.home} $fpath); autoload -Uz compinit && compinit -u -D; bindkey -e"
    for one in list(engine._contacts)[::2]:
        engine.change_contact(one, unread=1)  # so that some have a help
    given = shell.typed(["zsh", "-f", "-i"], prepare, [f"parlour send {start}" for start in NAMES])
    assert given == [["send", name] for name in _labels(engine)]
    assert not (shell.home / "RAN").exists()


def test_fish_has_the_names_with_what_is_unread(shell: Shell, engine: FakeMessenger) -> None:
    needs.needs_fish()
    script = shell.home / "script"
    script.write_text(script_of("fish"))
    for name in NAMES.values():
        if name.startswith("Ann"):
            (person,) = [one.person for one in engine._contacts.values() if one.name == name]
            engine.change_contact(person, unread=3)
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script}; complete -C 'parlour send '"],
        env=shell.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    offered = dict(line.partition("\t")[::2] for line in done.stdout.splitlines())
    assert set(offered) == {*_labels(engine), "notes"}
    assert offered["Ann Smith"] == "3 unread"
    assert not (shell.home / "RAN").exists()


@pytest.mark.parametrize("kind", SHELLS)
def test_without_an_engine_nothing_is_offered_and_nothing_asked(shell: Shell, kind: str) -> None:
    if kind != "fish":
        assert [one for one in _asked(shell, "send", "A", kind=kind) if one] == []
    assert f"plain,{'history'}" in _asked(shell, "hist")


def test_ids_come_with_what_they_stand_for(shell: Shell, engine: FakeMessenger) -> None:
    (ann,) = [one.person for one in engine._contacts.values() if one.name == "Ann Smith"]
    theirs = engine.receive(ann, "first\nplain,second\x1b[31m")
    own = engine.say_as_me(ann, "mine", EntryState.SENT)
    assert theirs is not None
    offered = _asked(shell, "delete", "Ann\\ Smith", "")
    assert offered[0] == f"plain,{own.id}"
    assert f"plain,{theirs.id}" in offered
    assert _asked(shell, "edit", "Ann\\ Smith", "") == [f"plain,{own.id}"]
    said = _asked(shell, "delete", "Ann\\ Smith", theirs.id[:6], kind="zsh")
    assert said[:2] == ["plain", theirs.id]
    assert len(said) == 3
    assert "\x1b" not in said[2]


def test_the_profile_on_the_line_is_asked(shell: Shell, engine: FakeMessenger) -> None:
    before = shell.environment.pop("PARLOUR_PROFILE")
    for way in (["--profile", before], [f"--profile={before}"], ["--profile", "=", before]):
        assert _asked(shell, *way, "send", "An") == ["plain,Ann Smith"]
    shell.environment["PARLOUR_PROFILE"] = before


def test_an_unknown_command_or_contact_offers_nothing(shell: Shell, engine: FakeMessenger) -> None:
    assert [one for one in _asked(shell, "delete", "Nobody", "") if one] == []


def test_a_name_that_hides_a_line_is_one_line() -> None:
    from click.shell_completion import CompletionItem

    item = CompletionItem("a\nplain,b\x1b", help="c\nd")
    for shell in SHELLS.values():
        written = shell.format_completion(shell.__new__(shell), item)
        assert "\x1b" not in written
        assert written.count("\n") == (2 if shell.name == "zsh" else 0)
    assert Bash.name == "bash"


def test_the_script_is_printed_without_a_profile(line: Line) -> None:
    for name in SHELLS:
        assert "_PARLOUR_COMPLETE" in line.run("completion", name, passphrase=False).out
        (said,) = line.run("completion", name, "--json", passphrase=False).objects
        assert said["shell"] == name
    assert line.opened == []
    assert line.run("completion", "tcsh", passphrase=False).failed(UsageError.exit_status)
