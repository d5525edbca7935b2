"""A Debian package that carries its libraries: `python -m release.deb BUNDLE FOLDER [amd64|arm64]`.

It takes the wheels of a bundle. Each supported Python has a folder below /usr/lib/parlour, and the program
chooses: another Python of the system needs no other package. What they share is there once, as hard links.
Debian's own packages of these libraries are older than Parlour needs.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

from chat.tools.bundle.launch import read
from release.bundle import OTHER, is_current
from release.sources import DATE, ROOT

ARCHITECTURES: Final = {"amd64": "linux-x86_64", "arm64": "linux-aarch64"}
HOME: Final = "usr/lib/parlour"

COMPLETIONS: Final = {
    "bash": "usr/share/bash-completion/completions/parlour",
    "zsh": "usr/share/zsh/vendor-completions/_parlour",
    "fish": "usr/share/fish/vendor_completions.d/parlour.fish",
}
_FIXED: Final = {**os.environ, "SOURCE_DATE_EPOCH": str(DATE), "LC_ALL": "C.UTF-8"}

PROGRAM: Final = """\
#!/usr/bin/python3 -I
import sys
from pathlib import Path

python = f"python3.{sys.version_info[1]}"
own = Path(__file__).resolve().parents[1] / "lib" / "parlour" / python
if not own.is_dir():
    sys.exit(f"parlour: this package has no libraries for {python}: install a newer one.")
standard = [one for one in sys.path if not one.endswith(("site-packages", "dist-packages"))]
sys.path[:] = [str(own), *standard]
from chat.cli.__main__ import main

main()
"""

CONTROL: Final = """\
Package: parlour
Version: {version}
Section: net
Priority: optional
Architecture: {architecture}
Maintainer: Parlour <parlour@localhost>
Installed-Size: {kilobytes}
Depends: python3 (>= 3.{first}), python3 (<< 3.{too_new}), libc6 (>= {libc})
Description: end-to-end encrypted messenger for people on one network
 A terminal messenger with an encrypted history that only the devices of the
 people who talk store. It has no server, no account and no phone number.
 .
 This package contains all libraries that it needs.
"""

# Only root may write there, so nobody's start could keep what it compiled.
COMPILE: Final = """\
#!/bin/sh
set -e
case "$1" in
configure | triggered)
    minor=$(python3 -c 'import sys; print(sys.version_info[1])')
    python3 -I -m compileall -q -f "$DPKG_ROOT/usr/lib/parlour/python3.$minor" || true
    ;;
esac
"""
FORGET: Final = """\
#!/bin/sh
set -e
find "$DPKG_ROOT/usr/lib/parlour" -name __pycache__ -type d -prune -exec rm -r {} +
"""
TRIGGERS: Final = "interest-noawait /usr/bin/python3\n"
"""Another Python of the system needs the modules compiled again."""


def deb(bundle: Path, folder: Path, architecture: str) -> Path:
    """Write the package into a folder; its path. Raises CalledProcessError, OSError, KeyError."""
    contents, platform = read(bundle), ARCHITECTURES[architecture]
    with tempfile.TemporaryDirectory() as work:
        tree = Path(work, "tree")
        with ZipFile(bundle) as archive:
            minors = _unpack(archive, contents, platform, tree)
        _file(tree, "usr/bin/parlour", PROGRAM, 0o755)
        _file(tree, "usr/share/doc/parlour/copyright", (ROOT / "LICENSE").read_text("utf-8"))
        _packed(tree / "usr/share/doc/parlour/changelog.gz", (ROOT / "CHANGELOG.md").read_bytes())
        _help(tree)
        size = sum(path.stat().st_size / path.stat().st_nlink for path in tree.rglob("*") if path.is_file())
        least = max(fit["least"] for name, fit in contents["fits"].items() if name.startswith(f"{platform} "))
        control = CONTROL.format(
            version=contents["version"],
            architecture=architecture,
            kilobytes=round(size / 1024),
            first=min(minors),
            too_new=max(minors) + 1,
            libc=".".join(map(str, least)),
        )
        _sums(tree)
        _file(tree, "DEBIAN/control", control)
        _file(tree, "DEBIAN/postinst", COMPILE, 0o755)
        _file(tree, "DEBIAN/prerm", FORGET, 0o755)
        _file(tree, "DEBIAN/triggers", TRIGGERS)
        for path in (tree, *tree.rglob("*")):
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            os.utime(path, (DATE, DATE))
        made = folder / f"parlour_{contents['version']}_{architecture}.deb"
        # Ubuntu's own choice is zstd, which gives other bytes.
        command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(made)]
        subprocess.run(command, check=True, env=_FIXED, stdout=subprocess.DEVNULL)
    return made


def fitting(bundle: Path) -> list[str]:
    """The architectures that a bundle has wheels for: it may have been made for some systems alone."""
    systems = {place.split()[0] for place in read(bundle)["fits"]}
    return [architecture for architecture, system in ARCHITECTURES.items() if system in systems]


def _help(tree: Path) -> None:
    """Manual pages, and the completions that each shell finds by itself."""
    with tempfile.TemporaryDirectory() as pages:
        _run("chat.cli.manual", pages)
        for page in Path(pages).iterdir():
            _packed(tree / f"usr/share/man/man1/{page.name}.gz", page.read_bytes())
    for shell, name in COMPLETIONS.items():
        _file(tree, name, _run("chat.cli", "completion", shell))


def _run(module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, env=_FIXED, check=True, stdout=subprocess.PIPE, text=True).stdout


def _packed(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0))


def _unpack(archive: ZipFile, contents: dict[str, Any], platform: str, tree: Path) -> list[int]:
    """Unpack the wheels of a platform into a folder for each Python; the minor versions."""
    fits = {
        int(name.rpartition(".")[2]): set(fit["wheels"])
        for name, fit in contents["fits"].items()
        if name.startswith(f"{platform} ")
    }
    for name in sorted(set().union(*fits.values())):
        first, *others = (tree / HOME / f"python3.{minor}" for minor, names in fits.items() if name in names)
        with ZipFile(BytesIO(archive.read(f"wheels/{name}"))) as wheel:
            wheel.extractall(first)
            for member in (one for one in wheel.namelist() if not one.endswith("/")):
                for other in others:
                    (other / member).parent.mkdir(parents=True, exist_ok=True)
                    (other / member).hardlink_to(first / member)
    return list(fits)


def _file(tree: Path, name: str, text: str, mode: int = 0o644) -> None:
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)


def _sums(tree: Path) -> None:
    """What `dpkg --verify` compares the installed files with."""
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    sums = [
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n"
        for path in files
    ]
    _file(tree, "DEBIAN/md5sums", "".join(sums))


if __name__ == "__main__":
    if shutil.which("dpkg-deb") is None:
        sys.exit("dpkg-deb is not here: install dpkg.")
    made_from = Path(sys.argv[1])
    if not is_current(made_from):
        sys.exit(OTHER)
    for each in sys.argv[3:] or fitting(made_from):
        package = deb(made_from, Path(sys.argv[2]), each)
        print(f"{package}: {package.stat().st_size / 1_000_000:.0f} MB")  # noqa: T201
