"""Pictures: the confined process, what it decodes and refuses, and metadata that does not stay."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from chat.interface import OnlyAsOriginal, ParlourError, Unconfined, UsageError
from chat.pictures import bounds, decoding, program
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

PROGRAM = program.__file__

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


_ELSEWHERE = """
import os, platform, sys
sys.path[:] = sys.argv[1:]
import chat.pictures.confinement as confinement
if {system!r} == "Windows":
    confinement.sys = type("System", (), {{"platform": "win32"}})
else:
    platform.machine = lambda: "riscv64"
from chat.pictures.bounds import NotConfined
try:
    confinement.confine()
    said = "confined"
except NotConfined:
    said = "refused"
filtered = confinement.confine(required=False)
import resource
bounds = [resource.getrlimit(getattr(resource, "RLIMIT_" + one))[0] for one in ("NOFILE", "NPROC")]
os.write(1, f"{{said}} {{filtered}} {{bounds}}".encode())
"""


@pytest.mark.parametrize(("system", "bounded"), [("riscv64", True), ("Windows", False)])
def test_where_no_filter_is_known_the_process_refuses_and_keeps_what_bounds_there_are(
    system: str, bounded: bool
) -> None:
    command = [sys.executable, "-I", "-S", "-c", _ELSEWHERE.format(system=system), str(ROOT)]
    done = subprocess.run([*command, *filter(None, sys.path)], env={}, capture_output=True, check=True)
    said, filtered, bounds = done.stdout.decode().split(" ", 2)
    assert (said, filtered) == ("refused", "False")
    assert (bounds == "[0, 0]") is bounded


async def test_a_picture_is_decoded_unconfined_only_where_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The process of a system without a filter, by a program that takes the filter away."""
    elsewhere = tmp_path / "program.py"
    elsewhere.write_text(
        "import platform, runpy, sys\nplatform.machine = lambda: 'riscv64'\n"
        f"sys.argv[0] = {PROGRAM!r}\nrunpy.run_path({PROGRAM!r}, run_name='__main__')\n"
    )
    monkeypatch.setattr("chat.pictures.program.__file__", str(elsewhere))
    with pytest.raises(Unconfined, match="cannot confine"):
        await Pictures().show(png(), 80, 60)
    shown = await Pictures().show(png(3, 2), 80, 80, unconfined=True)
    assert (shown.width, shown.height) == (3, 2)
    clean = await Pictures().cleaned(io.BytesIO(dressed_png()))  # an own picture, and no library
    assert clean.read() == without_metadata(dressed_png())


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


def profile_of_a_screen(version: int = 4) -> bytes:
    """sRGB with the tags that name a screen, its maker and its owner, in more bytes than a segment has."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (count,) = struct.unpack_from(">I", plain, 128)
    found = [struct.unpack_from(">4sII", plain, 132 + 12 * number) for number in range(count)]
    tags = [(name, plain[at : at + size]) for name, at, size in found]
    tags += [(b"mmod", b"mmod" + bytes(4) + SECRET), (b"prv1", b"text" + bytes(70_000) + SECRET)]
    tags.append((b"bkpt", b"text" + bytes(4) + SECRET))  # the name of a colour, and none in it
    table, body = b"", b""
    for name, content in tags:
        table += name + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = struct.pack(">I", 132 + len(table) + len(body))
    head = size + plain[4:8] + bytes((version,)) + plain[9:48] + SECRET[:8].ljust(8) + plain[56:128]
    return head + struct.pack(">I", len(tags)) + table + body


def in_lab(profile: bytes) -> bytes:
    """How colours look by a profile."""
    lab, colours = ImageCms.createProfile("LAB"), Image.frombytes("RGB", (8, 8), bytes(range(192)))
    seen = ImageCms.profileToProfile(colours, io.BytesIO(profile), lab, outputMode="LAB")
    assert seen is not None
    return seen.tobytes()


@pytest.mark.parametrize("version", [2, 4])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_of_a_colour_profile_the_colours_alone_stay(kind: str, version: int) -> None:
    profile, held = profile_of_a_screen(version), io.BytesIO()
    noise(8, 8).save(held, kind, icc_profile=profile)
    clean = without_metadata(held.getvalue())
    left = Image.open(io.BytesIO(clean)).info["icc_profile"]
    for mark in (SECRET, SECRET[:8], b"mmod", b"prv1", b"bkpt", profile[24:36]):
        assert mark in profile
        assert mark not in left
    assert len(left) < 700
    assert in_lab(profile) == in_lab(left)
    assert without_metadata(clean) == clean


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_damaged_colour_profile_does_not_stay(kind: str) -> None:
    for profile in (SECRET * 30, profile_of_a_screen()[:140], bytes(200)):
        held = io.BytesIO()
        noise(8, 8).save(held, kind, icc_profile=profile)
        clean = without_metadata(held.getvalue())
        assert SECRET not in clean
        assert not Image.open(io.BytesIO(clean)).info.get("icc_profile")
        assert pixels(clean) == pixels(held.getvalue())


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
    "TIFF": (b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II*\0\x10\0\0\0CR\x02\0"),  # the last one is a CR2
    "BigTIFF": (b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"),
    "Canon CR3": (b"\0\0\0\x18ftypcrx \0\0\0\1",),
    "Canon CRW": (b"II\x1a\0\0\0HEAPCCDR",),
    "Fujifilm RAF": (b"FUJIFILMCCD-RAW 0201",),
    "Olympus ORF": (b"IIRO\x08\0\0\0", b"IIRS\x08\0\0\0", b"MMOR\0\0\0\x08"),
    "Panasonic RW2": (b"IIU\0\x18\0\0\0",),
    "Minolta MRW": (b"\0MRM\0\1\0\0",),
    "Sigma X3F": (b"FOVb\0\0\2\0",),
    "JPEG XL": (b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a\xfa\x1f"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\0\x29"),
    "PSD": (b"8BPS\0\1\0\0",),
    "HEIF": tuple(b"\0\0\0\x24ftyp" + one for one in (b"heic", b"mif1", b"mif2", b"avci", b"hevx", b"j2ki")),
    "AVIF": (b"\0\0\0\x20ftypavif\0\0\0\0", b"\0\0\0\x20ftypavis"),
}


@pytest.mark.parametrize("kind", bounds.OTHER_KINDS)
async def test_a_picture_whose_metadata_nobody_here_can_remove_goes_as_the_original_alone(kind: str) -> None:
    for beginning in KINDS[kind]:
        with pytest.raises(OnlyAsOriginal, match="HEIC"):
            await Pictures().cleaned(io.BytesIO(beginning + SECRET))


@pytest.mark.parametrize("data", [b"\0\0\0\x18ftypisom", b"\0\0\0\x18ftypM4A ", b"%PDF-1.7\n%", b"II", b""])
async def test_other_kinds_of_files_go_as_they_are(data: bytes) -> None:
    source = io.BytesIO(data)
    assert await Pictures().cleaned(source) is source
    assert source.read() == data
