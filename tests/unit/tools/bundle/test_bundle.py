"""A bundle runs from an empty home without packages, and refuses what it cannot run on or trust."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock
from zipfile import ZIP_STORED, ZipFile

import pytest

from chat.tools.bundle import first, installed, launch, make
from tests.support.lab.programs import Program

VERSION = "9.8.7"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of what is installed here."""
    path = tmp_path_factory.mktemp("bundle") / "parlour.pyz"
    wheels = installed.wheels()
    make.write(path, VERSION, wheels, {launch.place(): tuple(wheels)})
    return path


def a_wheel(**members: str) -> bytes:
    content = BytesIO()
    with ZipFile(content, "w") as archive:
        for name, text in members.items():
            make.add(archive, f"{name}.py", text.encode(), ZIP_STORED)
    return content.getvalue()


def small(path: Path, **members: str) -> Path:
    """A bundle with one wheel of such modules."""
    make.write(path, VERSION, {"a.whl": a_wheel(**members)}, {launch.place(): ("a.whl",)})
    return path


def unpacked(bundle: Path, cache: Path) -> Path:
    return launch.unpacked(bundle, launch.read(bundle), cache, lambda text: None)


def unpacked_and_ended(bundle: Path, cache: Path) -> Path:
    """The same by a program that has ended since."""
    code = (
        "import pathlib, sys; from chat.tools.bundle.launch import read, unpacked; "
        "bundle, cache = map(pathlib.Path, sys.argv[1:]); print(unpacked(bundle, read(bundle), cache, id))"
    )
    command = [sys.executable, "-c", code, str(bundle), str(cache)]
    return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def start(bundle: Path, home: Path, *arguments: str) -> list[str]:
    """The line that starts a bundle where Python has no packages, with the environment of `home`."""
    python = str(getattr(sys, "_base_executable", sys.executable))
    clean = ["env", "-i", f"HOME={home}", "LANG=C.UTF-8", f"PYTHONPATH={home}"]
    return [*clean, python, "-s", "-S", str(bundle), *arguments]


def test_it_runs_from_an_empty_home_and_unpacks_once_for_two_at_a_time(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit('a module from elsewhere')")
    two = [Program(start(whole, tmp_path, "--version")) for _ in range(2)]
    for program in two:
        with program:
            assert program.wait_exit(60) == 0, program.complained
            assert program.said == ["parlour, version 0.1.0"]
    assert sum(len(program.complained) for program in two) == 1, "one of the two unpacks"
    cache = tmp_path / ".cache" / "parlour"
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    assert folder.name.startswith(f"{VERSION}-")
    assert [path.stat().st_mode & 0o777 for path in (cache, folder)] == [0o700, 0o700]
    made = subprocess.run(
        start(whole, tmp_path, "init", "--name", "Ada", "--passphrase-file", "-"),
        input="correct horse battery\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr


def test_the_same_wheels_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (small(tmp_path / name, m="1") for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
    assert one.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    assert os.access(one, os.X_OK)
    assert {path.name for path in tmp_path.iterdir()} == {"one", "other"}


def test_what_is_damaged_is_not_unpacked(tmp_path: Path) -> None:
    bundle = small(tmp_path / "bundle", m="harmless = True")
    bundle.write_bytes(bundle.read_bytes().replace(b"harmless", b"harmful!"))
    with pytest.raises(launch.Refused, match="is damaged: copy it again"):
        unpacked(bundle, tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_whichever_byte_is_damaged_one_line_says_so(tmp_path: Path) -> None:
    whole = small(tmp_path / "bundle", m="1").read_bytes()
    directory = whole.index(b"PK\x01\x02")
    for place in (*range(whole.index(b'{\n "version"'), directory, 5), *range(directory, len(whole), 3)):
        damaged = tmp_path / f"{place}"
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
        with suppress(launch.Refused):
            launch.unpacked(damaged, launch.read(damaged), tmp_path / "cache", lambda text: None)


def test_a_wheel_that_was_exchanged_is_not_unpacked(tmp_path: Path) -> None:
    """The archive is whole, and the wheel is not the one that its contents name."""
    bundle, other = small(tmp_path / "bundle", m="good = 1"), small(tmp_path / "other", m="bad = 10")
    contents = launch.read(bundle)
    with pytest.raises(launch.Refused, match="is damaged"):
        launch.unpacked(other, contents, tmp_path / "cache", lambda text: None)


def test_what_is_no_bundle_says_so(tmp_path: Path) -> None:
    (tmp_path / "none").write_bytes(b"#!/usr/bin/env python3\nhalf")
    with pytest.raises(launch.Refused, match="no complete bundle"):
        launch.read(tmp_path / "none")


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_can_write_to_is_not_run_from(tmp_path: Path, mode: int) -> None:
    bundle = small(tmp_path / "bundle", m="1")
    folder = unpacked(bundle, tmp_path / "cache")
    folder.chmod(mode)
    with pytest.raises(launch.Refused, match="is not yours alone"):
        unpacked(bundle, tmp_path / "cache")
    folder.chmod(0o700)
    folder.parent.chmod(mode)
    with pytest.raises(launch.Refused, match="is not yours alone"):
        unpacked(bundle, tmp_path / "cache")


def test_a_cache_that_cannot_be_made_names_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(launch.Refused, match="set XDG_CACHE_HOME"):
        unpacked(small(tmp_path / "bundle", m="1"), tmp_path / "file" / "cache")


def test_only_the_standard_library_is_on_the_path_too(monkeypatch: pytest.MonkeyPatch) -> None:
    base = sys.base_prefix
    monkeypatch.setenv("PYTHONPATH", f"{base}/mine")
    path = [
        *("/x/parlour.pyz", "", f"{base}/mine", f"{base}/lib/python3.zip", f"{base}/lib/python3"),
        *(f"{base}/lib/python3/site-packages", f"{base}/lib/python3/dist-packages", "/x/elsewhere"),
    ]
    kept = ["/cache/one", f"{base}/lib/python3.zip", f"{base}/lib/python3"]
    assert launch.alone(Path("/cache/one"), Path("/x/parlour.pyz"), path) == kept


FITS: dict[str, Any] = {
    "version": VERSION,
    "fits": {
        "linux-x86_64 cpython-3.11": {"least": [2, 28], "wheels": ["a"]},
        "macos-arm64 cpython-3.12": {"least": [11, 0], "wheels": ["b"]},
    },
}


def test_a_place_gets_its_wheels_or_one_line() -> None:
    assert launch.fitting(FITS, "linux-x86_64 cpython-3.11", [2, 28]) == ["a"]
    with pytest.raises(launch.Refused) as refused:
        launch.fitting(FITS, "linux-x86_64 pypy-3.11", [2, 41])
    assert str(refused.value) == (
        "this file runs with Python 3.11, 3.12 (CPython) on linux-x86_64, macos-arm64; "
        "this is linux-x86_64 pypy-3.11."
    )
    with pytest.raises(launch.Refused, match=r"needs glibc 2\.28 or newer; this system has 2\.17"):
        launch.fitting(FITS, "linux-x86_64 cpython-3.11", [2, 17])
    with pytest.raises(launch.Refused, match=r"this system has none"):
        launch.fitting(FITS, "linux-x86_64 cpython-3.11", [0])
    with pytest.raises(launch.Refused, match=r"needs macOS 11\.0"):
        launch.fitting(FITS, "macos-arm64 cpython-3.12", [10, 15])


def test_an_old_python_gets_one_line() -> None:
    code = "import sys; sys.version_info = (2, 7, 18); exec(open(sys.argv[1]).read())"
    command = [sys.executable, "-c", code, str(first.__file__)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Parlour needs Python 3.11 or newer; this is Python ")
    assert done.stderr.count("\n") == 1


def test_systems_are_read_from_the_names_of_wheels() -> None:
    assert make.least(("a-1-py3-none-any.whl",)) == [0]
    names = ("b-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl",)
    assert make.least(names) == [2, 17]
    assert make.least((*names, "c-1-cp311-cp311-manylinux_2_28_x86_64.whl")) == [2, 28]
    assert make.least(("d-1-cp311-cp311-macosx_11_0_arm64.whl",)) == [11, 0]


def test_a_wheel_whose_modules_only_an_installer_places_is_refused(tmp_path: Path) -> None:
    with pytest.raises(make.Unfit, match=r"a\.whl"):
        small(tmp_path / "bundle", **{"a-1.data/purelib/m": "1"})
    assert not list(tmp_path.iterdir())


def test_what_nobody_started_for_a_month_goes_and_what_runs_stays(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    runs, fresh = (unpacked(small(tmp_path / name, m=name), cache) for name in ("runs", "fresh"))
    old = unpacked_and_ended(small(tmp_path / "old", m="old"), cache)
    for folder in (old, runs):
        os.utime(f"{folder}.used", (1, 1))
    (cache / ".new-killed").mkdir()
    newest = unpacked(small(tmp_path / "newest", m="newest"), cache)
    assert {path for path in cache.iterdir() if path.is_dir()} == {runs, fresh, newest}
    assert not Path(f"{old}.used").exists()


def test_without_locks_what_another_start_unpacks_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows. A folder that lost files meanwhile would get the name of a whole one."""
    cache = tmp_path / "cache"
    for name, time in ((".new-other", None), (".new-killed", (1, 1))):
        (cache / name).mkdir(parents=True, mode=0o700)
        (cache / name / "m").write_text("1")
        os.utime(cache / name, time)
    cache.chmod(0o700)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    unpacked(small(tmp_path / "bundle", m="1"), cache)
    assert (cache / ".new-other" / "m").exists()
    assert not (cache / ".new-killed").exists()


def test_the_hash_in_the_name_is_that_of_what_is_unpacked(tmp_path: Path) -> None:
    bundle = small(tmp_path / "bundle", m="1")
    sums = f"{hashlib.sha256(a_wheel(m='1')).hexdigest()}  a.whl\n"
    assert (
        unpacked(bundle, tmp_path / "cache").name
        == f"{VERSION}-{hashlib.sha256(sums.encode()).hexdigest()[:20]}"
    )


def test_a_copy_that_was_cut_off_says_so(tmp_path: Path) -> None:
    """Without the end of the archive Python takes it for a text, and shows the line that it cannot read."""
    bundle = small(tmp_path / "bundle", m="1")
    for size in (len(make.START), bundle.stat().st_size // 2, bundle.stat().st_size - 1):
        (tmp_path / "cut").write_bytes(bundle.read_bytes()[:size])
        done = subprocess.run(start(tmp_path / "cut", tmp_path), capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert '"This copy of Parlour is not complete: copy the file again.\n' in done.stderr
        assert "Traceback" not in done.stderr


def test_where_no_library_can_run_is_said_before_anything_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = small(tmp_path / "bundle", m="1")
    with pytest.raises(launch.Refused, match="is not UTF-8: set XDG_CACHE_HOME"):
        unpacked(bundle, tmp_path / "\udcff")
    monkeypatch.setattr(os, "ST_NOEXEC", 8, raising=False)
    monkeypatch.setattr(os, "statvfs", lambda path: mock.Mock(f_flag=8 | 1), raising=False)
    with pytest.raises(launch.Refused, match="with noexec: set XDG_CACHE_HOME"):
        unpacked(bundle, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_nobody_else_can_exchange_the_cache_whatever_the_umask(tmp_path: Path) -> None:
    bundle, linked = small(tmp_path / "bundle", m="1"), tmp_path / "linked"
    before = os.umask(0)
    try:
        unpacked(bundle, tmp_path / "home" / ".cache" / "parlour")
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "home").rglob("*.cache")] == [0o700]
    linked.symlink_to(tmp_path / "home" / ".cache")
    found = unpacked(bundle, linked / "parlour")
    linked.unlink()
    assert (found / "m.py").exists(), "no link that somebody turns elsewhere leads to what runs"
