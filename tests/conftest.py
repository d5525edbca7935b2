"""What holds for every test: no way to the user's own data, one language, the same inputs in CI."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

# A deadline would make slow machines fail; a random seed would make a failure of CI hard to repeat.
hypothesis.settings.register_profile("parlour", deadline=None, derandomize=os.environ.get("CI") == "true")
hypothesis.settings.load_profile("parlour")

_XDG = [f"XDG_{kind}" for kind in ("DATA_HOME", "CONFIG_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR")]


@pytest.fixture(autouse=True, scope="session")
def _foreign_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Stand an empty folder in for the user's home, so that no test can touch a real profile."""
    home = str(tmp_path_factory.mktemp("home"))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", *_XDG):
            patch.setenv(name, home)
        patch.delenv("PARLOUR_PROFILE", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def _english() -> Iterator[None]:
    """Stand for a machine whose language is English, whatever it is here."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES"):
            patch.delenv(name, raising=False)
        patch.setenv("LANG", "C.UTF-8")
        yield


def pytest_configure() -> None:
    from tests.support.machine import make_folders_in_memory

    make_folders_in_memory()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Who runs which test, where `make test` runs them in several processes."""
    from tests.support.machine import Shares

    return Shares(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the collector off what the tests themselves consist of, which each of its rounds walks through."""
    gc.disable()
    done = yield
    gc.freeze()
    gc.enable()
    return done
