"""Pictures for tests, harmless and hostile, made on the spot."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image

from lifestream.protocol.pictures import Developed

RED, BLUE = (200, 30, 30), (30, 30, 200)


def painted(width: int = 900, height: int = 600, form: str = "JPEG", **more: Any) -> bytes:
    """The left half red, the right half blue."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return saved(picture, form, **more)


def saved(picture: Image.Image, form: str, **more: Any) -> bytes:
    out = BytesIO()
    picture.save(out, form, **more)
    return out.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is this large, and is: as many zeros as that takes, packed."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    zeros = zlib.compressobj(9)
    rows = [zeros.compress(bytes(1 + (width + 7) // 8)) for _ in range(height)]
    chunks = ((b"IHDR", header), (b"IDAT", b"".join(rows) + zeros.flush()), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def opened(file: bytes) -> Image.Image:
    return Image.open(BytesIO(file))


def largest(made: Developed) -> Image.Image:
    return opened(made.files[-1])


def is_like(pixel: Any, colour: tuple[int, int, int]) -> bool:
    """After lossy packing."""
    return all(abs(one - other) < 40 for one, other in zip(pixel, colour, strict=False))
