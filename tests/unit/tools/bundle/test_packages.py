"""The packages: the lists name what is there, and the deb installs, runs and leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest

from chat.tools.bundle import make
from release import deb, sbom, sources, sums, wheels
from release.bundle import is_current
from tests.support.e2e.programs import PARLOUR
from tests.support.machine import needs_dpkg

METADATA = "Metadata-Version: 2.4\nName: parlour\nVersion: 9.8.7\nLicense-Expression: Apache-2.0\n"
MAIN = "import chat, sys\ndef main(): print('hello from', chat.__file__, *sys.argv[1:])\n"


def a_bundle(path: Path) -> Path:
    """A bundle for two Pythons, whose program greets, with a module that only one of them can use."""
    members = {
        "chat/__init__.py": "",
        "chat/cli/__init__.py": "",
        "chat/cli/__main__.py": MAIN,
        "parlour-9.8.7.dist-info/METADATA": METADATA,
    }
    content = BytesIO()
    with ZipFile(content, "w") as archive:
        for name, text in members.items():
            make.add(archive, name, text.encode(), ZIP_STORED)
    here = f"3.{sys.version_info.minor}"
    names = ("parlour-9.8.7-py3-none-any.whl",)
    fits = {f"linux-x86_64 cpython-{python}": names for python in (here, "3.99")}
    make.write(path, "9.8.7", {names[0]: content.getvalue()}, fits)
    return path


def test_the_deb_installs_runs_and_leaves_nothing(tmp_path: Path) -> None:
    needs_dpkg()
    package = deb.deb(a_bundle(tmp_path / "parlour.pyz"), tmp_path, "amd64")
    root, tools = tmp_path / "root", tmp_path / "tools"
    for folder in (root / "var/lib/dpkg/updates", root / "var/lib/dpkg/info", tools):
        folder.mkdir(parents=True)
    for name in ("status", "available"):
        (root / "var/lib/dpkg" / name).touch()
    (tools / "python3").symlink_to(str(getattr(sys, "_base_executable", sys.executable)))
    options = ["--force-script-chrootless", "--force-depends", "--force-not-root", "--force-architecture"]
    dpkg = ["dpkg", f"--root={root}", *options, f"--log={tmp_path}/log"]
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}:/usr/sbin:/sbin"}
    subprocess.run([*dpkg, "--install", str(package)], env=environment, check=True, capture_output=True)
    program = root / "usr/bin/parlour"
    home = root / f"usr/lib/parlour/python3.{sys.version_info.minor}"
    assert os.access(program, os.X_OK)
    said = subprocess.run(
        [str(tools / "python3"), "-I", str(program), "x"], check=True, capture_output=True, text=True
    )
    assert said.stdout == f"hello from {home}/chat/__init__.py x\n"
    pages = {path.name for path in (root / "usr/share/man/man1").iterdir()}
    assert {"parlour.1.gz", "parlour-send.1.gz", "parlour-contacts-list.1.gz"} <= pages
    for shell, completion in deb.COMPLETIONS.items():
        printed = subprocess.run(
            [*PARLOUR, "completion", shell], check=True, capture_output=True, text=True
        ).stdout
        assert (root / completion).read_text("utf-8") == printed
    assert list((home / "chat/cli/__pycache__").iterdir()), "nobody else may write there"
    assert (home / "chat/__init__.py").samefile(root / "usr/lib/parlour/python3.99/chat/__init__.py")
    subprocess.run([*dpkg, "--purge", "parlour"], env=environment, check=True, capture_output=True)
    assert not (root / "usr/lib/parlour").exists()
    assert not program.exists()
    left = {path.relative_to(root).parts[0] for path in root.rglob("*") if path.is_file()}
    assert left == {"var"}, "dpkg's own notes"


def test_the_deb_names_what_it_depends_on(tmp_path: Path) -> None:
    needs_dpkg()
    package = deb.deb(a_bundle(tmp_path / "parlour.pyz"), tmp_path, "amd64")
    first = package.read_bytes()
    fields = subprocess.run(
        ["dpkg-deb", "--field", str(package)], check=True, capture_output=True, text=True
    ).stdout
    assert f"Depends: python3 (>= 3.{sys.version_info.minor}), python3 (<< 3.100), libc6 (>= 0)" in fields
    before = os.umask(0o077)
    try:
        assert deb.deb(tmp_path / "parlour.pyz", tmp_path, "amd64").read_bytes() == first
    finally:
        os.umask(before)


def test_a_bundle_of_other_sources_and_missing_systems_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = a_bundle(tmp_path / "parlour.pyz")
    assert deb.fitting(bundle) == ["amd64"]

    def built(root: Path, folder: Path) -> Path:
        path = folder / "parlour-9.8.7-py3-none-any.whl"
        with ZipFile(bundle) as archive:
            path.write_bytes(archive.read(f"wheels/{path.name}") + root.read_bytes())
        return path

    monkeypatch.setattr(sources, "wheel", built)
    change = tmp_path / "change"
    for content in (b"", b"1"):
        change.write_bytes(content)
        assert is_current(bundle, change) == (content == b"")


def test_the_list_of_the_lock_names_every_library_with_its_license_and_needs() -> None:
    listed = sbom.of_lock(wheels.LOCK.read_text("utf-8"))
    by_name = {component["name"]: component for component in listed["components"]}
    assert {"textual", "pynacl", "cryptography", "sqlcipher3", "cffi"} <= by_name.keys()
    assert all(component["properties"] for component in by_name.values())
    without = {name for name, component in by_name.items() if not component["licenses"]}
    assert without == set()
    needs = {one["ref"].partition("@")[0]: one["dependsOn"] for one in listed["dependencies"]}
    assert by_name["cffi"]["bom-ref"] in needs["pkg:pypi/pynacl"]
    assert sbom.of_lock(wheels.LOCK.read_text("utf-8")) == listed


def test_the_list_of_a_bundle_has_the_hash_of_each_wheel(tmp_path: Path) -> None:
    bundle = a_bundle(tmp_path / "parlour.pyz")
    sbom.write(tmp_path)
    listed = json.loads((tmp_path / "parlour.pyz.cdx.json").read_text("utf-8"))
    (component,) = listed["components"]
    with ZipFile(bundle) as archive:
        wheel = archive.read("wheels/parlour-9.8.7-py3-none-any.whl")
    assert component["hashes"] == [{"alg": "SHA-256", "content": sha256(wheel).hexdigest()}]
    assert component["licenses"] == [{"expression": "Apache-2.0"}]


def test_the_sums_are_those_that_the_system_computes(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    sums.write(tmp_path)
    sums.write(tmp_path)
    checked = subprocess.run(
        [str(shutil.which("sha256sum")), "--check", "SHA256SUMS"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert checked.stdout == "a: OK\nb: OK\n"


def test_the_lock_of_another_machine_is_asked_for_it() -> None:
    lock = (
        "# by a tool\n"
        "a==1 \\\n    --hash=sha256:aa\n    # via b\n"
        "b==2 ; sys_platform == 'win32' \\\n    --hash=sha256:bb\n"
        "c==3 ; python_version < '3.12' and platform_machine == 'aarch64' \\\n    --hash=sha256:cc\n"
    )
    assert wheels.locked(lock, "win-amd64", "3.13").count("==") == 2
    assert "b==2 \\\n    --hash=sha256:bb" in wheels.locked(lock, "win-amd64", "3.13")
    assert "c==3" in wheels.locked(lock, "linux-aarch64", "3.11")
    assert "c==3" not in wheels.locked(lock, "linux-aarch64", "3.12")


def test_the_bundle_is_for_the_pythons_that_are_promised() -> None:
    assert wheels.pythons() == ["3.11", "3.12", "3.13", "3.14"]
