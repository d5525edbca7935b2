"""Decodes a hostile picture into a few pixels. Only the confined process imports this."""

from __future__ import annotations

import io
import warnings

# What Pillow would import while it decodes, when no file can be opened any more.
from PIL import (
    GifImagePlugin,  # noqa: F401
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,  # noqa: F401
    MpoImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)

from chat.pictures.bounds import PIXELS_MAX, NotUnderstood, TooLarge


def _warm() -> None:
    """Let Pillow import what it puts off until its first picture, while files can still be opened."""
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        held = io.BytesIO()
        Image.new("P", (2, 2)).convert("RGB").save(held, kind)
        decode(held.getvalue(), 1, 1)


def decode(data: bytes, width: int, height: int) -> tuple[tuple[int, int], bytes]:
    """The first frame, upright, in at most so many pixels: width and height, three bytes for each.

    Transparent parts are black. Raises NotUnderstood, TooLarge.
    """
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(data, width, height)
    except Image.DecompressionBombError:
        raise TooLarge from None
    except (TooLarge, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - a decoder has errors of every kind for what is damaged
        raise NotUnderstood from None


def _decode(data: bytes, width: int, height: int) -> tuple[tuple[int, int], bytes]:
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP")) as picture:
        if picture.width * picture.height > PIXELS_MAX:
            raise TooLarge
        picture.draft("RGB", (2 * width, 2 * height))
        upright = ImageOps.exif_transpose(picture)
    ground = Image.new("RGB", _fitting(upright.size, width, height))
    small = upright.convert("RGBA").resize(ground.size, Image.Resampling.BOX)
    ground.paste(small, mask=small)
    return ground.size, ground.tobytes()


def _fitting(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """The size within bounds, in proportion; a picture is never made larger."""
    scale = min(1.0, width / size[0], height / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


_warm()
