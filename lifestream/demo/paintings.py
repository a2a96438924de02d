"""Pictures for the demo, painted here: hills by the sea at some hour of the day, covers of records. No file to ship."""

import math
import random
from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageDraw, ImageOps

SHAPES = ((1600, 1067), (1600, 900), (1200, 1500), (1500, 1500))
HOURS = (
    ("#1d2b53", "#f4b183", "#ffd9a0"),
    ("#7fb2d6", "#e9f1f4", "#fff6d8"),
    ("#3d4f7c", "#f08a5d", "#ffe08a"),
    ("#10162b", "#3c4a73", "#f2f0e4"),
)
"""The sky above, the sky at the horizon, the sun or moon."""
GROUND = "#16241f"
COVER = 600


@lru_cache(maxsize=64)
def landscape(seed: int) -> bytes:
    """As JPEG."""
    dice = random.Random(seed)
    width, height = dice.choice(SHAPES)
    above, horizon, sun = dice.choice(HOURS)
    picture = ImageOps.colorize(Image.linear_gradient("L").resize((width, height)), above, horizon)
    draw = ImageDraw.Draw(picture)
    x, y, radius = dice.uniform(0.2, 0.8) * width, dice.uniform(0.2, 0.55) * height, dice.uniform(0.03, 0.08) * width
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=sun)
    for hill in range(1, 5):
        colour = Image.blend(Image.new("RGB", (1, 1), horizon), Image.new("RGB", (1, 1), GROUND), hill / 5)
        draw.polygon(_hill(dice, width, height, 0.4 + 0.13 * hill), fill=colour.getpixel((0, 0)))
    return _jpeg(picture)


@lru_cache(maxsize=64)
def cover(seed: int) -> bytes:
    """Of a record, as JPEG: rings in two colours."""
    dice = random.Random(seed)
    dark, light, _ = dice.choice(HOURS)
    picture = Image.new("RGB", (COVER, COVER), dark)
    draw = ImageDraw.Draw(picture)
    x, y = dice.randrange(COVER), dice.randrange(COVER)
    for ring in range(12, 0, -1):
        radius = ring * COVER / 12
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=light if ring % 2 else dark)
    return _jpeg(picture)


def _hill(dice: random.Random, width: int, height: int, level: float) -> list[tuple[float, float]]:
    waves = [(dice.uniform(0.5, 4), dice.uniform(0, math.tau), dice.uniform(0.01, 0.05)) for _ in range(3)]
    steps = range(0, width + 20, 20)
    line = [
        (x, height * (level + sum(size * math.sin(turn + many * math.tau * x / width) for many, turn, size in waves)))
        for x in steps
    ]
    return [(0, height), *line, (width + 20, height)]


def _jpeg(picture: Image.Image) -> bytes:
    out = BytesIO()
    picture.save(out, "JPEG", quality=88)
    return out.getvalue()
