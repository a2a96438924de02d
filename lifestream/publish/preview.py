"""The picture by which other sites show a link to here: words on the sky of their hour, 1200 by 630."""

import io
import textwrap
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from lifestream.places import top

SIZE = (1200, 630)
EDGE = 84
LINES = 4
SKY = (
    "343a8c 313687 313585 3c378d 553f98 82499e bb558f df6b74 e98a57 e2a54d 86aac4 4c9fd6 "
    "2c8fd4 288ad0 3a93cd 6ba5c2 c9ad6c e7a244 e8814a dc5f5c b44d7d 7f4591 553e93 3f3a90"
).split()
"""What the sky looks like at each hour: the colours of style.css."""
NIGHT = (10, 14, 24)
PAPER = (245, 247, 251)
DIMMED = 0.42
"""How much of the night is in the sky, so that words can be read at noon as well."""

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Preview:
    """`hours` are those of the sky from the left to the right."""

    site: str
    title: str
    below: str
    hours: tuple[int, ...]


def drawn(preview: Preview) -> bytes:
    """As PNG."""
    picture = _sky(preview.hours)
    draw = ImageDraw.Draw(picture)
    _draw_rail(draw, preview.hours)
    left = EDGE + 76
    draw.text((left, 76), _fitting(preview.site, _font(34), SIZE[0] - left - EDGE), PAPER, _font(34), anchor="ls")
    font, lines = _wrapped(_known(preview.title) or preview.site, SIZE[0] - left - EDGE)
    height = int(font.size * 1.14)
    top_line = (SIZE[1] - height * len(lines)) // 2 + int(font.size * 0.84)
    for number, line in enumerate(lines):
        draw.text((left, top_line + number * height), line, PAPER, font, anchor="ls")
    draw.text(
        (left, SIZE[1] - 62), _fitting(preview.below, _font(30), SIZE[0] - left - EDGE), PAPER, _font(30), anchor="ls"
    )
    out = io.BytesIO()
    picture.quantize(128, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def _sky(hours: tuple[int, ...]) -> Image.Image:
    """A gradient through the colours of the hours, dimmed."""
    row = Image.new("RGB", (len(hours), 1))
    row.putdata([_mixed(_colour(hour), NIGHT, DIMMED) for hour in hours])
    return row.resize(SIZE, Image.Resampling.BICUBIC) if len(hours) > 1 else row.resize(SIZE)


def _draw_rail(draw: ImageDraw.ImageDraw, hours: tuple[int, ...]) -> None:
    """The line that runs down the stream, and the bead on it."""
    middle, centre = EDGE + 8, SIZE[1] // 2
    colour = _mixed(_colour(hours[0]), PAPER, 0.25)
    draw.line((middle, 0, middle, SIZE[1]), colour, 8)
    draw.ellipse((middle - 30, centre - 30, middle + 30, centre + 30), PAPER, colour, 9)


def _wrapped(text: str, width: int) -> tuple[ImageFont.FreeTypeFont, list[str]]:
    """As large as fits; what does not fit when it is small is cut off."""
    for size in (84, 68, 54):
        font = _font(size)
        lines = _lines(text, font, width)
        if len(lines) <= LINES:
            return font, lines
    return font, [*lines[: LINES - 1], _fitting(" ".join(lines[LINES - 1 :]), font, width)]


def _lines(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        for piece in textwrap.wrap(word, 24) if font.getlength(word) > width else [word]:
            longer = f"{lines[-1]} {piece}".strip()
            if font.getlength(longer) <= width:
                lines[-1] = longer
            else:
                lines.append(piece)
    return [line for line in lines if line]


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    text = _known(text)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _known(text: str) -> str:
    """Without the characters that the font cannot draw: empty boxes say less than nothing."""
    return " ".join("".join(one for one in text[:600] if one.isspace() or _is_known(one)).split())


@lru_cache(4096)
def _is_known(character: str) -> bool:
    font = _font(34)
    return bytes(font.getmask(character)) != bytes(font.getmask("\U0010fffe"))


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(str(top("static") / "vendor/fonts/bricolage.woff2"), size)
    font.set_variation_by_axes([640])
    return font


def _colour(hour: int) -> Colour:
    red, green, blue = bytes.fromhex(SKY[hour % 24])
    return red, green, blue


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
