"""`pytest -p tests.support.platforms.plugin --system macos`: the tests on what another system offers.

What that lacks is gone before any module of the project is loaded, so that its imports are tested too.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final

import pytest

from tests.support.platforms.lacking import SYSTEMS, take_away

# Each looks at the system when it is loaded, and would choose parts that are not here.
_LOADED_FIRST: Final = (
    *("asyncio", "asyncio.subprocess", "concurrent.futures.thread", "concurrent.futures.process"),
    *("multiprocessing.connection", "multiprocessing.synchronize", "multiprocessing.util", "ctypes.util"),
    *("tempfile", "shutil", "getpass", "logging.handlers", "webbrowser", "pty", "termios", "tty"),
    *("click.testing", "cryptography", "hypothesis", "ifaddr", "msgspec", "nacl.bindings", "platformdirs"),
    *("nats.aio.client", "PIL.Image", "keyring", "segno", "sqlcipher3.dbapi2", "zeroconf.asyncio"),
    *("rich.console", "textual.app", "textual.pilot", "textual.widgets", "textual.drivers.headless_driver"),
    *("textual.drivers.linux_driver", "textual.drivers.linux_inline_driver", "xdist.scheduler"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--system", choices=SYSTEMS, default="linux", help="what to look like; linux: as it is")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: Sequence[str]) -> None:
    system = early_config.known_args_namespace.system
    if system == "linux":
        return
    for name in _LOADED_FIRST:
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # an optional one, which this environment does not have
    import _pytest.pathlib

    patch = pytest.MonkeyPatch()
    patch.setattr(_pytest.pathlib, "get_extended_length_path_str", str)  # pytest cleans up by real names
    take_away(system, patch)
    early_config.add_cleanup(patch.undo)
