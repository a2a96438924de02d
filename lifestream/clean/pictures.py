"""Strangers' pictures made safe to show: only pixels are taken over, upright, in sRGB, as WebP in the widths of
`protocol/pictures.py`. EXIF (and with it where it was taken), profiles and comments stay behind; of an animation its
first frame is kept.

Decoders are large and old. This runs in a process of its own (`darkroom.py`), which may be killed.
"""

import warnings
from io import BytesIO

from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.Image import Resampling, Transpose

from lifestream.errors import UnfitPicture
from lifestream.protocol.pictures import WIDTHS, Developed, kept_widths

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
MOST_PIXELS = 50_000_000
MOST_HEIGHT = 16_383
"""WebP has no more."""
QUALITY = 80

_ORIENTATION = 0x0112
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""EXIF: what turns a picture of this orientation upright."""
_LYING = 5
"""From this orientation on, what is stored as width is the height."""


def developed(body: bytes) -> Developed:
    """Raises UnfitPicture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is odd about a file; what is too large is refused below
        try:
            with Image.open(BytesIO(body), formats=FORMATS) as picture:
                return _developed(picture)
        except UnfitPicture:
            raise
        except UnidentifiedImageError:
            raise UnfitPicture("It is no JPEG, PNG, WebP, GIF or AVIF.") from None
        except (MemoryError, Image.DecompressionBombError):
            raise UnfitPicture("It takes too much memory.") from None
        except Exception as error:  # decoders raise whatever they meet
            raise UnfitPicture(f"It is damaged ({type(error).__name__}).") from None


def _developed(picture: Image.Image) -> Developed:
    if picture.width * picture.height > MOST_PIXELS:
        raise UnfitPicture(f"It has {picture.width} × {picture.height} pixels; {MOST_PIXELS:,} are the most.")
    orientation = _orientation(picture)
    width, height = picture.size if orientation < _LYING else picture.size[::-1]
    widest = _fitting(width, height, WIDTHS[-1])
    lying = widest if orientation < _LYING else widest[::-1]
    picture.draft(None, lying)  # a JPEG may be read at a half, a quarter or an eighth of its size
    small = _coloured(_plain(picture)).resize(lying, Resampling.LANCZOS, reducing_gap=3.0)
    upright = small.transpose(_TURNS[orientation]) if orientation in _TURNS else small
    return Developed(width, height, tuple(_file(upright, width, height, one) for one in kept_widths(width)))


def _file(upright: Image.Image, width: int, height: int, wanted: int) -> bytes:
    size = _fitting(width, height, wanted)
    made = upright if size == upright.size else upright.resize(size, Resampling.LANCZOS, reducing_gap=3.0)
    out = BytesIO()
    made.save(out, "WEBP", quality=QUALITY)
    return out.getvalue()


def _fitting(width: int, height: int, widest: int) -> tuple[int, int]:
    scale = min(1.0, widest / width, MOST_HEIGHT / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _orientation(picture: Image.Image) -> int:
    try:
        found = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # EXIF that cannot be read says nothing
        return 1
    return found if found in _TURNS else 1


def _plain(picture: Image.Image) -> Image.Image:
    """In a mode that can be made smaller: no palette, eight bits a channel."""
    if picture.mode.startswith("I"):
        return picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture.convert("RGB") if picture.mode in ("1", "P", "PA", "LA") else picture


def _coloured(picture: Image.Image) -> Image.Image:
    """In sRGB, as far as the picture says what its colours are."""
    profile = picture.info.get("icc_profile")
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    if profile:
        try:
            theirs = ImageCms.ImageCmsProfile(BytesIO(profile))
            made = ImageCms.profileToProfile(picture, theirs, ImageCms.createProfile("sRGB"), outputMode=mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            made = None
        if made is not None:
            return made
    return picture.convert(mode)
