"""The layers of ARCHITECTURE.md, as contracts over every import statement and over fresh processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.imports import ROOT, Import, imports, sources, within

# What would let the protocol reach out, wait or differ from run to run: it takes these as arguments instead.
OUTSIDE_WORLD = {
    "asyncio",
    "socket",
    "threading",
    "time",
    "sqlite3",
    "logging",
    "random",
    "subprocess",
    "ssl",
    "select",
}

# A program next to the protocol: it checks vectors, and nothing of the protocol imports it.
PROGRAMS = ("protocol.vectors",)

# The places that may import each library, mostly one. A row's value is a module or a package, or some.
HOMES: dict[str, str | tuple[str, ...]] = {
    "nacl": "protocol.primitives",
    # And what looks into a database, since the library that wrote it must not be what looks.
    "cryptography": ("protocol.primitives", "chat.storage.pages", "chat.tools.prove.search"),
    "sqlcipher3": "chat.storage",
    "zeroconf": ("chat.network.mdns", "chat.network.mdns_browser"),
    "nats": "chat.relay.cluster.nats",
    "apsw": "chat.storage.second_reader",
    "PIL": "chat.pictures.decoding",
    "resource": (
        "chat.platforms.descriptors",
        "chat.pictures.confinement",
        "chat.storage.folder",
        "chat.relay.sandbox",
        "chat.tools.bench.relay",
    ),
    "ctypes": (
        "chat.pictures.confinement",
        "chat.storage.folder",
        "chat.relay.sandbox",
        "chat.network.clock_steps",
        "chat.platforms.files",
        "chat.platforms.memory",
    ),
    "keyring": "chat.storage.system_keyring",
    "click": "chat.cli",
    "textual": "tui",
    "rich": "tui",
}

# The engine from the bottom up: a module imports from an earlier row, or in its own entry.
ENGINE_ROWS = (
    ("chat.platforms",),
    (
        "chat.interface",
        "chat.errors",  # which the door offers as its own
        "chat.views",
        "chat.looks",
        "chat.searching",
        "chat.outgoing",
        "chat.notifying",
        "chat.guarding",
        "chat.session_bus",
        "chat.recording",
        "chat.ports",
        "chat.errors",
        "chat.config",
        "chat.tasks",
    ),
    ("chat.storage", "chat.network", "chat.pictures"),
    ("chat.relay", "chat.tools.doctor", "chat.tools.bundle"),
    ("chat.tools.share",),
    ("chat.service",),
    ("chat.engine",),
    ("chat.archive",),
    ("chat.ipc.wire",),
    ("chat.ipc.server", "chat.ipc.client"),
    ("chat.api",),
    ("chat.client",),
    ("chat.tools.bench",),
    ("chat.assemble",),
    ("chat.tools.demo", "chat.tools.prove"),
    ("chat.cli",),
)
RANK = {name: rank for rank, row in enumerate(ENGINE_ROWS) for name in row}
FOUNDATION = ENGINE_ROWS[1]  # these may use each other; a cycle among them is still one


def _is_program(module: str) -> bool:
    return any(within(module, program) for program in PROGRAMS)


def protocol_is_closed(found: Import) -> bool:
    """The protocol imports itself, its three libraries and what of the standard library only computes."""
    if not within(found.module, "protocol") or _is_program(found.module):
        return True
    if found.top in ("protocol", "nacl", "cryptography", "msgspec"):
        return not _is_program(found.target)
    return found.top in sys.stdlib_module_names and found.top not in OUTSIDE_WORLD


def programs_stand_below_the_engine(found: Import) -> bool:
    return not _is_program(found.module) or found.top not in ("chat", "tui")


def nothing_installed_imports_the_tests(found: Import) -> bool:
    """What makes the vectors is there: an installation has none of it."""
    return found.top != "tests"


def libraries_have_one_home(found: Import) -> bool:
    homes = HOMES.get(found.top, found.module)
    homes = (homes,) if isinstance(homes, str) else homes
    return any(within(found.module, home) for home in homes) or _is_program(found.module)


def engine_does_not_know_the_interface(found: Import) -> bool:
    """One permitted exception: the command opens the terminal interface, from inside a function."""
    if not within(found.module, "chat") or found.top != "tui":
        return True
    return found.source == "chat/cli/__main__.py" and bool(found.in_function)


def clients_use_the_door(found: Import) -> bool:
    """Both clients import `chat.interface` alone; the command's entry also calls the composition root.

    The command starts the programs that check, measure, show, serve and relay: where it runs them, no others.
    """
    client = next((name for name in ("tui", "chat.cli") if within(found.module, name)), None)
    if client is None or found.top not in ("chat", "protocol") or within(found.target, client):
        return True
    if found.source == "chat/cli/__main__.py" and found.target == "chat.assemble":
        return True
    if client == "chat.cli" and _is_started(found.target):
        return bool(found.in_function) or found.for_types_only
    return found.target == "chat.interface" or (client == "chat.cli" and found.target == "chat")


def _is_started(module: str) -> bool:
    """A program of its own: checks, measures, shows, serves programs, or is a relay."""
    own = (
        "chat.api",
        "chat.tools.bench",
        "chat.tools.demo",
        "chat.tools.prove",
        "chat.tools.share",
        "chat.relay",
        "protocol.relay.rendezvous",
    )
    return _is_program(module) or any(within(module, program) for program in own)


def only_the_command_assembles(found: Import) -> bool:
    """And the demo and the proof, which put engines together on a network of their own."""
    return (
        found.target != "chat.assemble"
        or found.source == "chat/cli/__main__.py"
        or within(found.module, "chat.tools.demo")
        or within(found.module, "chat.tools.prove")
    )


# The protocol's own rows, and what those of others are compared with.
MEASURED_BELOW = (
    "chat.tools.bench.crypto",
    "chat.tools.bench.measure",
    "chat.tools.bench.peers",
    "chat.tools.bench.report",
)
# A stored burst is measured inside, on the protocol and the storage, and shown with the protocol's rows.
# A history that nobody could wait for to be written is written there too.
MEASURED_INSIDE = (*("chat.tools.bench.commit", "chat.tools.bench.long_history", "chat.tools.bench.storage"),)
# A history that moves, and a large file, are made inside, and looked at through the profile's socket.
MEASURED_BY_A_CLIENT = (
    *("chat.tools.bench.moving", "chat.tools.bench.resuming", "chat.tools.bench.sending"),
)
# A relay is measured by terminals of the protocol alone; a function puts one without limits together.
MEASURED_AT_A_RELAY = "chat.tools.bench.relay"


def the_benchmark_looks_from_outside(found: Import) -> bool:
    """What people wait for is measured on the program that they use, so nothing of it is loaded."""
    if not within(found.module, "chat.tools.bench") or found.top not in ("chat", "tui", "protocol"):
        return True
    if found.module in MEASURED_INSIDE:
        return (
            found.top == "protocol"
            or within(found.target, "chat.storage")
            or within(found.target, "chat.tools.bench")
            or found.target in ("chat.searching", "chat.views")
        )
    if found.module in (MEASURED_AT_A_RELAY, *MEASURED_BELOW) and found.top == "protocol":
        return True
    if found.module in MEASURED_BY_A_CLIENT and (
        found.top == "protocol" or within(found.target, "chat.storage")
    ):
        return True
    if found.module in MEASURED_BY_A_CLIENT and found.target == "chat.ipc.client":
        return True
    if found.module == MEASURED_AT_A_RELAY and found.in_function:
        return found.target in ("chat.ports", "chat.relay.quotas", "chat.relay.run", "chat.relay.server")
    return found.target in ("chat", "chat.interface") or within(found.target, "chat.tools.bench")


def relay_stores_nothing(found: Import) -> bool:
    return not (within(found.module, "chat.relay") and within(found.target, "chat.storage"))


DOOR = (
    *("chat.interface", "chat.errors", "chat.views", "chat.searching", "chat.outgoing"),
    *("chat.recording", "chat.ports", "chat.notifying", "chat.session_bus", "chat.looks"),
    "chat.guarding",
)


def the_door_stands_alone(found: Import) -> bool:
    """But for the phrases that it speaks in and the views that it shows, which stand alone themselves."""
    if found.module not in DOOR or found.top in sys.stdlib_module_names:
        return True
    if found.top == "msgspec":  # what values are made of, which costs less to load than it saves
        return True
    below = {
        "chat.interface": (
            *("chat.errors", "chat.views", "chat.searching"),
            *("chat.outgoing", "chat.recording", "chat.notifying", "chat.looks", "chat.guarding"),
        ),
        "chat.views": ("chat.errors",),
        "chat.searching": ("chat.errors", "chat.views"),
        "chat.outgoing": ("chat.errors",),
        "chat.ports": ("chat.platforms",),
        "chat.recording": ("chat.errors", "chat.views"),
        "chat.notifying": ("chat.errors", "chat.session_bus"),
        "chat.session_bus": ("chat.errors",),
        "chat.guarding": ("chat.errors",),
    }
    return any(within(found.target, one) for one in below.get(found.module, ()))


def engine_rows_keep_their_order(found: Import) -> bool:
    source, target = _entry(found.module), _entry(found.target)
    if source is None or target is None or source == target:
        return True
    return RANK[target] < RANK[source] or (source in FOUNDATION and target in FOUNDATION)


def _entry(module: str) -> str | None:
    return next((name for name in RANK if within(module, name)), None)


def every_engine_module_has_a_row(found: Import) -> bool:
    return not found.module.startswith("chat.") or _entry(found.module) is not None


CONTRACTS: tuple[Callable[[Import], bool], ...] = (
    protocol_is_closed,
    programs_stand_below_the_engine,
    nothing_installed_imports_the_tests,
    libraries_have_one_home,
    engine_does_not_know_the_interface,
    clients_use_the_door,
    only_the_command_assembles,
    the_benchmark_looks_from_outside,
    relay_stores_nothing,
    the_door_stands_alone,
    engine_rows_keep_their_order,
    every_engine_module_has_a_row,
)


def broken(contract: Callable[[Import], bool], found: Iterable[Import]) -> list[str]:
    return [str(one) for one in found if not contract(one)]


def cycles(found: Iterable[Import]) -> list[str]:
    """Modules that import each other, also around a corner; imports for type checkers do not count."""
    edges: dict[str, set[str]] = {}
    for one in found:
        if not one.for_types_only and one.module != one.target:
            edges.setdefault(one.module, set()).add(one.target)
    return sorted(module for module in edges if module in _reachable(module, edges))


def _reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting.extend(edges.get(module, ()))
    return seen


@cache
def project_imports() -> tuple[Import, ...]:
    """Those of the project itself, which every contract is about: read once."""
    return tuple(imports(ROOT))


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.__name__)
def test_contract(contract: Callable[[Import], bool]) -> None:
    assert broken(contract, project_imports()) == []


def test_no_module_imports_itself_around_a_corner() -> None:
    assert cycles(project_imports()) == []


PLANTED = [
    (protocol_is_closed, "protocol/noise.py", "import asyncio"),
    (protocol_is_closed, "protocol/noise.py", "def f():\n    from time import monotonic"),
    (protocol_is_closed, "protocol/noise.py", "import requests"),
    (programs_stand_below_the_engine, "protocol/vectors/rows.py", "import chat.engine"),
    (nothing_installed_imports_the_tests, "protocol/vectors/own.py", "from tests.vectors import codec"),
    (libraries_have_one_home, "protocol/keys.py", "from nacl import bindings"),
    (libraries_have_one_home, "chat/engine.py", "from rich.text import Text"),
    (engine_does_not_know_the_interface, "chat/engine.py", "def f():\n    import tui"),
    (engine_does_not_know_the_interface, "chat/cli/__main__.py", "import tui"),
    (clients_use_the_door, "tui/app.py", "from chat.engine import Engine"),
    (clients_use_the_door, "tui/app.py", "import chat"),
    (clients_use_the_door, "chat/cli/send.py", "from chat.storage.profile import open"),
    (clients_use_the_door, "chat/cli/send.py", "from protocol.vectors import own"),
    (clients_use_the_door, "tui/app.py", "def f():\n    from protocol.vectors import own"),
    (only_the_command_assembles, "tui/app.py", "from chat.assemble import assemble"),
    (clients_use_the_door, "chat/cli/send.py", "from chat.tools.bench import flows"),
    (clients_use_the_door, "tui/app.py", "def f():\n    from chat.tools.demo.door import DemoDoor"),
    (engine_does_not_know_the_interface, "chat/tools/demo/door.py", "def f():\n    import tui"),
    (the_benchmark_looks_from_outside, "chat/tools/bench/flows.py", "from chat.storage import vault"),
    (
        the_benchmark_looks_from_outside,
        "chat/tools/bench/flows.py",
        "from chat.tools.bench import commit\nimport protocol.noise",
    ),
    (the_benchmark_looks_from_outside, "chat/tools/bench/commit.py", "from chat.service import store"),
    (the_benchmark_looks_from_outside, "chat/tools/bench/long_history.py", "from chat.engine import Engine"),
    (the_benchmark_looks_from_outside, "chat/tools/bench/interface.py", "from tui.app import ParlourApp"),
    (relay_stores_nothing, "chat/relay/server.py", "from chat.storage import entries"),
    (the_door_stands_alone, "chat/interface.py", "from protocol.keys import Secret32"),
    (the_door_stands_alone, "chat/views.py", "from chat.interface import Ready"),
    (engine_rows_keep_their_order, "chat/storage/entries.py", "from chat.engine import Engine"),
    (engine_rows_keep_their_order, "chat/network/links.py", "from chat.storage import contacts"),
    (every_engine_module_has_a_row, "chat/helpers.py", "import os"),
]


@pytest.mark.parametrize(("contract", "file", "line"), PLANTED)
def test_planted_violation_is_seen(
    contract: Callable[[Import], bool], file: str, line: str, tmp_path: Path
) -> None:
    _plant(tmp_path, file, line)
    assert len(broken(contract, imports(tmp_path))) == 1


ALLOWED = [
    ("protocol/primitives.py", "from nacl import bindings\nimport hashlib\nimport msgspec"),
    ("chat/tools/bench/report.py", "import time\nfrom protocol import keys"),
    ("chat/cli/__main__.py", "from chat.assemble import assemble\ndef f():\n    from tui import run"),
    (
        "chat/cli/send.py",
        "from chat.interface import Messenger\nfrom chat.cli.output import say\nimport click",
    ),
    ("chat/storage/database.py", "from sqlcipher3 import dbapi2\nfrom protocol.keys import Secret32"),
    (
        "tui/app.py",
        "from textual.app import App\nfrom tui.actions import ACTIONS\nfrom chat.interface import Ready",
    ),
]


@pytest.mark.parametrize(("file", "lines"), ALLOWED)
def test_what_the_layers_allow_is_not_reported(file: str, lines: str, tmp_path: Path) -> None:
    _plant(tmp_path, file, lines)
    assert [broken(contract, imports(tmp_path)) for contract in CONTRACTS] == [[]] * len(CONTRACTS)


def test_planted_cycle_is_seen(tmp_path: Path) -> None:
    _plant(tmp_path, "protocol/a.py", "from protocol import b")
    _plant(tmp_path, "protocol/b.py", "from protocol.c import x")
    _plant(tmp_path, "protocol/c.py", "def f():\n    import protocol.a")
    assert cycles(imports(tmp_path)) == ["protocol.a", "protocol.b", "protocol.c"]
    _plant(tmp_path, "protocol/c.py", "if TYPE_CHECKING:\n    import protocol.a")
    assert cycles(imports(tmp_path)) == []


def _plant(root: Path, file: str, lines: str) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lines + "\n")


# Loads its arguments in order and prints what the ones after "--" added to the loaded modules.
LOADED = """
import importlib, sys
split = sys.argv.index("--")
for name in sys.argv[1:split]:
    importlib.import_module(name)
before = set(sys.modules)
for name in sys.argv[split + 1:]:
    importlib.import_module(name)
print("\\n".join(set(sys.modules) - before))
"""


def loaded_by(modules: Iterable[str], *, beyond: Iterable[str] = (), root: Path = ROOT) -> set[str]:
    """Top names of the modules that a fresh process loads for `modules`, beyond those that `beyond` loads."""
    return {name.split(".")[0] for name in all_loaded_by(modules, beyond=beyond, root=root)}


def all_loaded_by(modules: Iterable[str], *, beyond: Iterable[str] = (), root: Path = ROOT) -> set[str]:
    """The whole names of those modules."""
    command = [sys.executable, "-c", LOADED, *beyond, "--", *modules]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def modules_of(package: str) -> list[str]:
    """Every module of a package."""
    files = (path.relative_to(ROOT).as_posix() for path in sources(ROOT, package))
    return [file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in files]


def test_importing_the_command_loads_no_interface() -> None:
    """Not even in passing: a command must start fast, and run where no terminal is."""
    assert not loaded_by(["chat.cli"]) & {"tui", "textual", "rich"}


def test_the_whole_interface_loads_nothing_of_the_engine_but_its_door() -> None:
    """Whichever way a module is imported: a name put together, say, is seen by no reading of the source."""
    loaded = all_loaded_by(modules_of("tui"))
    assert "tui.screens.chat.chat" in loaded
    assert {name for name in loaded if name.split(".")[0] in ("chat", "protocol")} == {
        "chat",
        "chat.interface",
        "chat.errors",  # which the door offers as its own
        "chat.views",  # and these
        "chat.looks",
        "chat.searching",
        "chat.outgoing",
        "chat.notifying",
        "chat.guarding",
        "chat.recording",
    }


def test_importing_the_protocol_loads_nothing_of_the_outside_world() -> None:
    """Beyond what its libraries load by themselves."""
    libraries = [
        "nacl.bindings",
        "msgspec",
        "cryptography.hazmat.primitives.asymmetric.mlkem",
        "dataclasses",
        "hmac",
    ]
    loaded = loaded_by((name for name in modules_of("protocol") if not _is_program(name)), beyond=libraries)
    assert "protocol" in loaded
    assert not loaded & (OUTSIDE_WORLD | {"chat", "tui"})


def test_a_fresh_process_shows_what_is_loaded(tmp_path: Path) -> None:
    _plant(tmp_path, "planted.py", "import sqlite3")
    assert "sqlite3" in loaded_by(["planted"], beyond=["json"], root=tmp_path)
