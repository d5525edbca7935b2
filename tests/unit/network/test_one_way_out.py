"""One function opens connections, and refuses what is not local: in the source, the imports and the calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.tools.prove.findings import Outcome
from chat.tools.prove.stage import Setting
from tests.architecture.imports import PACKAGES, ROOT, imports, sources
from tests.architecture.test_layers import all_loaded_by, modules_of
from tests.support.machine import needs_strace
from tests.support.prove.proof import look_at

# Modules whose purpose is to reach other machines, or that start programs which do.
NETWORK_LIBRARIES = {
    *("http", "urllib", "ssl", "ftplib", "smtplib", "poplib", "imaplib", "nntplib", "telnetlib", "xmlrpc"),
    *("socketserver", "webbrowser", "requests", "httpx", "aiohttp", "websockets", "urllib3"),
}

# Calls that open connections, send datagrams or look names up.
WAYS_OUT = {
    *("sock_connect", "connect_ex", "create_connection", "sendto", "sendmsg", "sock_sendto"),
    *("create_datagram_endpoint", "getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"),
    *("getnameinfo", "getfqdn", "gethostname", "start_tls"),
}

# file -> calls that it may make, and why.
ALLOWED = {
    # The one way out, after its check; a name is looked up only for a relay that its person named.
    "chat/network/transport.py": {"sock_connect", "create_connection", "getaddrinfo"},
    "chat/tools/bench/relay.py": {"create_connection"},  # to a relay that is measured, on loopback
    "chat/tools/bench/sending.py": {"create_connection"},  # to the server that it starts, on loopback
    "chat/network/probe.py": {"sendto", "create_datagram_endpoint"},  # one multicast question for the doctor
    "chat/platforms/loopback.py": {"create_connection"},  # to the engine of the profile, on loopback
}

# file -> libraries that it may use, and why.
ALLOWED_LIBRARIES = {
    "chat/tools/bench/sending.py": {"ssl"},  # what files are compared with, on loopback
    "tui/opening.py": {"urllib"},  # takes apart the links that a person opens
    "tui/text/paths.py": {"urllib"},  # takes apart the addresses of files that are dropped
}

# Sockets that cannot leave the machine: the profile's own, and questions to the kernel.
INWARD = {"AF_UNIX", "AF_NETLINK"}
LISTENS = {"chat/network/connection.py"}  # for terminals and relays: the socket listens, and dials nobody
LOOPBACK = {"chat/platforms/loopback.py"}  # the profile's own, where there are no unix sockets
MAKES_SOCKETS = {"chat/network/transport.py", "chat/network/probe.py"} | LISTENS | LOOPBACK


def calls(root: Path) -> Iterator[tuple[str, ast.Call, str]]:
    """(file, call, name of what is called) of every call in the project's packages."""
    for package in PACKAGES:
        for path in sources(root, package):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield path.relative_to(root).as_posix(), node, _name(node.func)


def _name(called: ast.expr) -> str:
    return str(getattr(called, "attr", getattr(called, "id", "")))


def libraries(root: Path) -> list[str]:
    return [
        str(found)
        for found in imports(root)
        if found.top in NETWORK_LIBRARIES and found.top not in ALLOWED_LIBRARIES.get(found.source, ())
    ]


def ways_out(root: Path) -> list[str]:
    """Calls that reach out from a place that may not; a stream over a given socket opens nothing."""
    return [
        f"{file}:{call.lineno} {name}"
        for file, call, name in calls(root)
        if (name in WAYS_OUT and name not in ALLOWED.get(file, ()))
        or (name == "open_connection" and "sock" not in {keyword.arg for keyword in call.keywords})
    ]


def sockets(root: Path) -> list[str]:
    """Sockets made elsewhere that are not of an inward family, whatever is done with them."""
    return [
        f"{file}:{call.lineno}"
        for file, call, name in calls(root)
        if name in ("socket", "socketpair", "fromfd") and file not in MAKES_SOCKETS
        if not call.args or _name(call.args[0]) not in INWARD
    ]


@pytest.mark.parametrize("rule", [libraries, ways_out, sockets])
def test_there_is_one_way_out(rule: object) -> None:
    assert callable(rule)
    assert rule(ROOT) == []


Functions = list[ast.FunctionDef | ast.AsyncFunctionDef]


@pytest.fixture
def functions() -> Functions:
    tree = ast.parse((ROOT / "chat/network/transport.py").read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def only(functions: Functions, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    (function,) = [each for each in functions if each.name == name]
    return function


def test_the_one_way_out_is_one_function_that_only_local_targets_reach(functions: Functions) -> None:
    assert _callers(functions, "sock_connect") == _callers(functions, "create_connection") == ["_open"]
    assert _callers(functions, "_open") == ["_first"]
    assert _callers(functions, "_first") == ["connect", "connect_relay"]
    called = _called(only(functions, "connect"))
    assert called.index("_targets") < called.index("_first")


def test_names_are_looked_up_for_named_relays_alone(functions: Functions) -> None:
    assert _callers(functions, "getaddrinfo") == ["look_up", "ask"], "the second is a part of the first"
    assert _callers(functions, "look_up") == ["_relay_targets"]
    assert _callers(functions, "_relay_targets") == ["connect_relay"]
    check = only(functions, "connect_relay").body[1]
    raising = ast.parse("if relay not in self._named:\n    raise NotNamed").body[0]
    assert ast.dump(check) == ast.dump(raising), "what is not named is refused before anything else"


def _called(function: ast.AST) -> list[str]:
    made = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    return [_name(call.func) for call in sorted(made, key=lambda call: (call.lineno, call.col_offset))]


def _callers(functions: Functions, name: str) -> list[str]:
    return [each.name for each in functions if name in _called(each)]


PLANTED = [
    (libraries, "chat/service/preview.py", "import urllib.request"),
    (libraries, "tui/fonts.py", "def f():\n    from http.client import HTTPConnection"),
    (ways_out, "chat/engine.py", "import asyncio\nasyncio.open_connection('8.8.8.8', 80)"),
    (ways_out, "chat/engine.py", "loop.sock_connect(s, a)"),
    (ways_out, "chat/network/links.py", "loop.create_connection(P, '8.8.8.8', 80)"),
    (ways_out, "chat/tools/doctor/machine.py", "s.sendto(b'', a)"),
    (ways_out, "chat/network/connection.py", "socket.getaddrinfo('x', 1)"),
    (sockets, "chat/engine.py", "import socket\nsocket.socket()"),
    (sockets, "chat/engine.py", "from socket import *\nsocket(AF_INET, SOCK_STREAM).connect(a)"),
]


@pytest.mark.parametrize(("rule", "file", "lines"), PLANTED)
def test_planted_violation_is_seen(rule: object, file: str, lines: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(lines + "\n", encoding="utf-8")
    assert callable(rule)
    assert len(rule(tmp_path)) == 1


def test_what_stays_inside_is_not_reported(tmp_path: Path) -> None:
    path = tmp_path / "chat" / "control.py"
    path.parent.mkdir()
    path.write_text(
        "import socket, asyncio\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)\n"
        "s.connect('engine.sock')\n"
        "asyncio.open_connection(sock=s)\n"
        "asyncio.open_unix_connection('engine.sock')\n",
        encoding="utf-8",
    )
    assert [rule(tmp_path) for rule in (libraries, ways_out, sockets)] == [[], [], []]


# What asyncio brings along and what only takes addresses of pages apart: neither reaches anybody by itself.
HARMLESS = {"ssl", "urllib", "urllib.parse"}
ENGINE = ("chat/service", "chat/storage", "chat/network")


def test_an_engine_loads_nothing_that_reaches_other_machines_by_itself() -> None:
    modules = [name for package in ENGINE for name in modules_of(package)]
    loaded = all_loaded_by(["chat.engine", "chat.ipc.server", "chat.ipc.client", *modules])
    assert "chat.network.transport" in loaded
    assert {name for name in loaded if name.split(".")[0] in NETWORK_LIBRARIES} <= HARMLESS


async def test_an_engine_that_is_traced_reaches_only_what_python_tells_of() -> None:
    needs_strace()
    finding = await look_at("C3", Setting())
    measured = finding.row()["measured"]
    assert isinstance(measured, dict)
    assert finding.outcome is Outcome.HOLDS, finding.reason
    assert measured["calls_traced"] == measured["calls_by_both"] == measured["connections"] > 0
    assert measured["programs_started"] == measured["names_looked_up"] == 0
