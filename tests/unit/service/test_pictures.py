"""Pictures: the confined process, what it decodes and refuses, and metadata that does not stay."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from chat.interface import OnlyAsOriginal, ParlourError, UsageError
from chat.pictures import bounds, decoding
from chat.pictures.bounds import NotUnderstood, TooLarge, media_of
from chat.pictures.metadata import without_metadata
from chat.service import pictures
from chat.service.pictures import DAMAGED, NO_LIBRARY, NOT_A_PICTURE, STOPPED, TOO_LARGE, Pictures
from tests.architecture.imports import ROOT
from tests.support.pictures import (
    SECRET,
    apng,
    dressed,
    dressed_gif,
    dressed_png,
    dressed_webp,
    exif,
    gif,
    hostile,
    png,
    segment,
)

HOSTILE = hostile()


def noise(width: int = 900, height: int = 700) -> Image.Image:
    return Image.effect_noise((width, height), 80).convert("RGB")


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    held = io.BytesIO()
    picture.save(held, kind, **options)
    return held.getvalue()


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


def dressed_ones() -> dict[str, bytes]:
    small = noise(40, 30)
    return {
        "jpeg": dressed(encoded(small, "JPEG")),
        "jpeg-in-steps": dressed(encoded(small, "JPEG", progressive=True)),
        "png": dressed_png(),
        "gif": dressed_gif(encoded(small, "GIF")),
        "webp": dressed_webp(encoded(small, "WEBP"), 40, 30),
        "webp-without-loss": dressed_webp(encoded(small, "WEBP", lossless=True), 40, 30),
    }


# --- Shown ---


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_a_picture_is_shown_in_proportion_and_within_bounds(kind: str) -> None:
    shown = await Pictures().show(encoded(noise(), kind), 90, 1_000)
    assert (shown.width, shown.height, len(shown.pixels)) == (90, 70, 3 * 90 * 70)
    assert "pixels" not in repr(shown) or shown.pixels.hex() not in repr(shown)


async def test_a_small_picture_keeps_its_size_and_its_colours() -> None:
    shown = await Pictures().show(png(3, 2), 80, 80)
    assert (shown.width, shown.height, shown.pixels) == (3, 2, b"\xe0\x20\x20" * 6)


async def test_a_picture_is_turned_upright() -> None:
    turned = encoded(noise(40, 30), "JPEG")
    turned = turned[:2] + segment(0xE1, b"Exif\0\0" + exif(6)) + turned[2:]
    shown = await Pictures().show(turned, 80, 80)
    assert (shown.width, shown.height) == (30, 40)


async def test_only_the_first_of_many_frames_is_decoded() -> None:
    shown = await Pictures().show(gif(2, 2, 10_000), 80, 80)
    assert (shown.width, shown.height) == (2, 2)
    assert (await Pictures().show(apng(100_000), 80, 80)).width == 8


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_picture_is_shown_or_refused_with_a_reason(name: str) -> None:
    try:
        shown = await Pictures().show(HOSTILE[name], 80, 60)
    except ParlourError as refused:
        said = refused.phrase
    else:
        said = DAMAGED
        assert len(shown.pixels) == 3 * shown.width * shown.height <= 3 * 80 * 60
    assert said in (NOT_A_PICTURE, DAMAGED, TOO_LARGE, STOPPED)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("png-50000x50000", TOO_LARGE),
        ("gif-65535x65535", TOO_LARGE),
        ("jpeg-65500x65500", TOO_LARGE),
        ("png-truncated", DAMAGED),
        ("svg", NOT_A_PICTURE),
        ("eps-for-ghostscript", NOT_A_PICTURE),
        ("tiff", NOT_A_PICTURE),
        ("empty", NOT_A_PICTURE),
    ],
)
async def test_the_reason_is_the_right_one(name: str, reason: str) -> None:
    with pytest.raises(ParlourError) as refused:
        await Pictures().show(HOSTILE[name], 80, 60)
    assert refused.value.phrase == reason


async def test_a_process_that_is_killed_or_lies_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lying = tmp_path / "program.py"
    for does, reason in (
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", STOPPED),
        ("import os\nwhile True: os.write(1, bytes(65536))", STOPPED),
        ("import os; os.write(1, b'\\0\\x50\\0\\x50')", DAMAGED),
        ("import os; os.write(1, b'\\xff\\xff\\xff\\xff')", DAMAGED),
        ("import sys; sys.exit(42)", NO_LIBRARY),
    ):
        lying.write_text(does)
        monkeypatch.setattr("chat.pictures.program.__file__", str(lying))
        with pytest.raises(ParlourError) as refused:
            await Pictures().show(png(), 80, 60)
        assert refused.value.phrase == reason, does


# --- Confined ---

_TRIES = """
import ctypes, errno, os, socket, sys
sys.path[:] = sys.argv[1:]
from chat.pictures.confinement import confine
filtered = confine()
def opened(): os.open("/etc/passwd", os.O_RDONLY)
def written(): os.open("/tmp/planted", os.O_CREAT | os.O_WRONLY)
def connected(): socket.socket(socket.AF_INET, socket.SOCK_STREAM)
def started(): os.posix_spawn("/bin/true", ["true"], {})
def forked(): os.fork()
def killed(): os.kill(1, 0)
def large(): bytearray(2 << 30)
for attempt in (opened, written, connected, started, forked, killed, large):
    try:
        attempt()
        said = "did"
    except (OSError, MemoryError) as refused:
        said = type(refused).__name__
    os.write(1, f"{attempt.__name__} {said}\\n".encode())
os.write(1, f"filtered {filtered} /\\n".encode())
"""


def tried(code: str) -> dict[str, str]:
    command = [sys.executable, "-I", "-S", "-c", code, str(ROOT), *filter(None, sys.path)]
    done = subprocess.run(command, env={}, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return dict(line.split(" ", 1) for line in done.stdout.decode().splitlines())


def test_case_80_the_confined_process_opens_starts_and_reaches_nothing() -> None:
    did = tried(_TRIES)
    assert did.pop("filtered") == "True /"
    assert len(did) == 7
    assert set(did.values()) <= {"OSError", "PermissionError", "MemoryError"}


def test_without_the_confinement_the_same_attempts_succeed() -> None:
    did = tried(_TRIES.replace("filtered = confine()", "filtered = False").replace("killed, large", "large"))
    assert {did[name] for name in ("opened", "connected", "started")} == {"did"}
    Path("/tmp/planted").unlink(missing_ok=True)


# --- Metadata ---


@pytest.mark.parametrize("name", dressed_ones())
async def test_no_metadata_stays_and_every_pixel_does(name: str) -> None:
    data = dressed_ones()[name]
    assert SECRET in data
    clean = (await Pictures().cleaned(io.BytesIO(data))).read()
    assert SECRET not in clean
    assert b"xap" not in clean
    assert b"XMP" not in clean
    assert pixels(clean) == pixels(data)
    picture = Image.open(io.BytesIO(clean))
    assert set(picture.getexif()) <= {0x0112}
    if name != "gif":
        assert picture.getexif().get(0x0112) == 6
    assert without_metadata(clean) == clean


def test_a_thumbnail_in_the_header_and_a_second_picture_do_not_stay() -> None:
    plain = encoded(noise(16, 16), "JPEG")
    thumbnail = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1" + b"abc") + segment(0xE0, b"JFXX\0\x13" + SECRET)
    behind = without_metadata(plain[:2] + thumbnail + plain[20:] + plain)
    assert SECRET not in behind
    assert b"abc" not in behind
    assert behind.count(b"\xff\xd8") == 1
    assert pixels(behind) == pixels(plain)


def test_colours_stay() -> None:
    profile = b"ICC_PROFILE\0\1\1" + bytes(200)
    plain = encoded(noise(16, 16), "JPEG")
    assert profile in without_metadata(plain[:2] + segment(0xE2, profile) + plain[2:])


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_picture_is_cleaned_or_not_sent(name: str) -> None:
    source = io.BytesIO(HOSTILE[name])
    try:
        clean = await Pictures().cleaned(source)
    except UsageError:
        beginning = HOSTILE[name][: bounds.BEGINNING]
        assert media_of(beginning) or bounds.keeps_metadata(beginning)
    else:
        assert b"evil.sh" not in clean.read() or not media_of(HOSTILE[name][: bounds.BEGINNING])


@pytest.mark.parametrize("name", dressed_ones())
def test_a_picture_that_is_cut_anywhere_is_refused_or_has_no_metadata(name: str) -> None:
    data = dressed_ones()[name]
    whole = len(data) - len(SECRET) - (2 if name.startswith("jpeg") else 0)
    for end in range(0, whole, 7):
        with pytest.raises(NotUnderstood):
            without_metadata(data[:end])


async def test_what_is_no_picture_is_sent_as_it_is() -> None:
    source = io.BytesIO(b"%PDF-1.7 " + SECRET)
    assert await Pictures().cleaned(source) is source
    assert source.read().endswith(SECRET)


async def test_a_picture_too_large_to_be_cleaned_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "INPUT_MAX", 100)
    with pytest.raises(UsageError):
        await Pictures().cleaned(io.BytesIO(dressed_png()))


def test_the_decoder_alone_refuses_what_it_is_not_for() -> None:
    for name in ("bmp", "tiff", "eps-for-ghostscript", "svg"):
        with pytest.raises(NotUnderstood):
            decoding.decode(HOSTILE[name], 8, 8)
    for whole in (b"P6 1 1 255\nabc", encoded(noise(2, 2), "BMP"), encoded(noise(2, 2), "TIFF")):
        with pytest.raises(NotUnderstood):
            decoding.decode(whole, 8, 8)


def test_a_picture_of_a_few_pixels_too_many_is_refused_before_any_is_decoded() -> None:
    with pytest.raises(TooLarge):
        decoding.decode(png(8_000, 5_001, rows=b"\0"), 8, 8)
    with pytest.raises(NotUnderstood):
        decoding.decode(png(8_000, 5_000, rows=b"\0"), 8, 8)


_FAULTY = """
def without_metadata(data):
    try:
        open("/etc/passwd").close()
    except OSError:
        return b"refused"
    return b"opened"
"""


def test_case_80_a_faulty_decoder_in_the_real_process_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "__init__.py").touch()
    shutil.copytree(ROOT / "chat" / "pictures", tmp_path / "chat" / "pictures")
    (tmp_path / "chat" / "pictures" / "metadata.py").write_text(_FAULTY)
    program = str(ROOT / "chat" / "pictures" / "program.py")
    modules = [str(tmp_path), *filter(None, sys.path)]
    command = [sys.executable, "-I", "-S", program, "clean", "0", "0", *modules]
    assert subprocess.run(command, env={}, input=b"", capture_output=True, check=True).stdout == b"refused"


KINDS = {
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0",
    "heic-with-another-brand": b"\0\0\0\x24ftypmif1\0\0\0\0",
    "avif": b"\0\0\0\x20ftypavif\0\0\0\0",
    "tiff": b"II*\0\x08\0\0\0",
    "tiff-of-the-other-order": b"MM\0*\0\0\0\x08",
    "jpeg-xl": b"\0\0\0\x0cJXL \r\n\x87\n",
    "jpeg-xl-without-a-box": b"\xff\x0a\xfa\x1f",
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_picture_whose_metadata_nobody_here_can_remove_goes_as_the_original_alone(kind: str) -> None:
    with pytest.raises(OnlyAsOriginal, match="HEIC"):
        await Pictures().cleaned(io.BytesIO(KINDS[kind] + SECRET))


@pytest.mark.parametrize("data", [b"\0\0\0\x18ftypisom", b"\0\0\0\x18ftypM4A ", b"%PDF-1.7\n%", b"II", b""])
async def test_other_kinds_of_files_go_as_they_are(data: bytes) -> None:
    source = io.BytesIO(data)
    assert await Pictures().cleaned(source) is source
    assert source.read() == data
