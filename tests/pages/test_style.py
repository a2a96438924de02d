"""The style sheets keep their promises: contrast, size, fonts of our own with their licences."""

import gzip
import re

import pytest

from lifestream.places import top

STYLE = (top("static") / "style.css").read_text("utf-8")
FONTS = top("static") / "vendor" / "fonts"
TOKENS = {found[1]: found.groups()[1:] for found in re.finditer(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", STYLE)}
TEXTS = "ink ink-2 ink-3 accent good warn bad".split()
PAIRS = [
    *((text, ground, 4.5) for text in TEXTS for ground in ("paper", "surface", "sunk")),
    *((said, f"{said}-bg", 4.5) for said in ("good", "warn", "bad")),
    ("ink", "warn-bg", 4.5), ("ink-2", "warn-bg", 4.5), ("accent-ink", "accent", 4.5), ("paper", "ink", 4.5),
    ("control", "paper", 3), ("control", "surface", 3),
]  # fmt: skip
"""What stands on what, and the least contrast that WCAG 2.2 asks for."""


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("text", "ground", "least"), PAIRS, ids=lambda given: str(given))
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_what_is_read_stands_out(text: str, ground: str, least: float, theme: int) -> None:
    dark, light = sorted(luminance(TOKENS[name][theme]) for name in (text, ground))
    assert (light + 0.05) / (dark + 0.05) >= least


def test_every_hour_has_its_colour_above_and_below() -> None:
    for hour in range(24):
        assert f"c{hour:02}" in TOKENS
        assert f".h{hour:02} {{ --sky: var(--c{hour:02}) }}" in STYLE
        assert f".t{hour:02} {{ --sky2: var(--c{hour:02}) }}" in STYLE


def test_the_style_is_small_and_so_are_its_fonts() -> None:
    assert len(gzip.compress(STYLE.encode())) <= 9 * 1024
    assert sum(font.stat().st_size for font in FONTS.glob("*.woff2")) <= 120 * 1024


def test_fonts_are_here_and_ours_to_give() -> None:
    named = re.findall(r'url\("(.*?)"\)', STYLE)
    assert sorted(named) == sorted(f"vendor/fonts/{font.name}" for font in FONTS.glob("*.woff2"))
    for face in ("bricolage", "newsreader", "jetbrains-mono"):
        assert "SIL OPEN FONT LICENSE" in (FONTS / f"{face}.LICENSE").read_text("utf-8")


@pytest.mark.parametrize("sheet", ["style.css", "admin.css"])
def test_pages_can_be_read_from_right_to_left(sheet: str) -> None:
    """Sides are named by the direction of reading; the few that are not are above and below."""
    css = (top("static") / sheet).read_text("utf-8")
    assert not re.search(
        r"(?:margin|padding|border|inset)-(?:left|right)|[{;]\s*(?:left|right):|text-align: (?:left|right)", css
    )


@pytest.mark.parametrize("sheet", ["style.css", "admin.css"])
def test_nothing_is_loaded_from_elsewhere(sheet: str) -> None:
    assert "//" not in re.sub(r"/\*.*?\*/", "", (top("static") / sheet).read_text("utf-8"), flags=re.S)


def test_every_icon_that_a_page_or_a_module_names_is_there() -> None:
    there = set(re.findall(r'<symbol id="(\w+)"', (top("static") / "icons.svg").read_text("utf-8")))
    for files in (top("templates").glob("*.html"), top("static").glob("*.js")):
        named = {name for file in files for name in re.findall(r'icon\("(\w+)"\)', file.read_text("utf-8"))}
        assert named and named <= there
