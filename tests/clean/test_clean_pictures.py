"""Strangers' pictures: what is kept of them, and what is refused."""

from io import BytesIO

import pytest
from PIL import Image, ImageCms

from lifestream.clean.pictures import MOST_PIXELS, developed
from lifestream.errors import UnfitPicture
from tests.paintings import BLUE, RED, bomb, is_like, largest, opened, painted, saved

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_a_picture_is_kept_in_three_widths(form: str) -> None:
    made = developed(painted(2000, 1000, form))
    assert (made.width, made.height) == (2000, 1000)
    assert [opened(file).size for file in made.files] == [(480, 240), (960, 480), (1600, 800)]
    assert {opened(file).format for file in made.files} == {"WEBP"}
    assert is_like(largest(made).convert("RGB").getpixel((10, 10)), RED)


@pytest.mark.parametrize(
    ("width", "kept"),
    [(300, [300]), (480, [480]), (481, [480, 481]), (960, [480, 960]), (1200, [480, 960, 1200]), (1, [1])],
    ids=str,
)
def test_none_is_made_larger_than_it_came(width: int, kept: list[int]) -> None:
    assert [opened(file).width for file in developed(painted(width, 100)).files] == kept


def test_nothing_but_pixels_is_taken_over() -> None:
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8825)[2] = (38.0, 41.0, 24.0)  # GPS: the latitude
    exif.get_ifd(0x8825)[4] = (9.0, 25.0, 12.0)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    body = painted(exif=exif, icc_profile=profile, comment=b"at home", xmp=b"<x:xmpmeta>at home</x:xmpmeta>")
    assert opened(body).getexif().get_ifd(0x8825) and b"at home" in body
    for file in developed(body).files:
        picture = opened(file)
        assert not picture.getexif() and not {"exif", "icc_profile", "xmp", "comment"} & picture.info.keys()
        assert b"at home" not in file and b"EXIF" not in file and b"ICCP" not in file


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_whatever_way_the_camera_was_held(orientation: int) -> None:
    """Each is the same scene, red on the left, stored the way EXIF then says."""
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    scene = opened(painted(600, 400))
    stored = scene.transpose(turned[orientation]) if orientation in turned else scene
    exif = Image.Exif()
    exif[0x0112] = orientation
    made = developed(saved(stored, "JPEG", exif=exif))
    assert (made.width, made.height) == (600, 400)
    picture = largest(made).convert("RGB")
    assert is_like(picture.getpixel((50, 200)), RED) and is_like(picture.getpixel((550, 200)), BLUE)


def test_of_an_animation_the_first_frame_is_kept() -> None:
    frames = [Image.new("RGB", (50, 50), colour) for colour in (RED, BLUE)]
    picture = largest(developed(saved(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    assert not getattr(picture, "is_animated", False)
    assert is_like(picture.convert("RGB").getpixel((25, 25)), RED)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_pixel_can_be_read(mode: str) -> None:
    source = (
        Image.new("I;16", (64, 48), 65535) if mode == "I;16" else Image.new("RGBA", (64, 48), "white").convert(mode)
    )
    picture = largest(developed(saved(source, "PNG"))).convert("RGB")
    assert picture.size == (64, 48) and is_like(picture.getpixel((5, 5)), (255, 255, 255))


def test_what_can_be_seen_through_stays_so() -> None:
    picture = largest(developed(saved(Image.new("RGBA", (50, 50), (200, 30, 30, 0)), "PNG")))
    assert picture.mode == "RGBA" and picture.getpixel((5, 5))[3] == 0


def test_the_colours_of_print_become_those_of_screens() -> None:
    picture = largest(developed(saved(Image.new("CMYK", (50, 50), (255, 0, 0, 0)), "JPEG"))).convert("RGB")
    assert is_like(picture.getpixel((5, 5)), (0, 255, 255))


@pytest.mark.parametrize("profile", [b"", b"no profile", b"\0" * 128], ids=["none", "text", "zeros"])
def test_a_profile_that_cannot_be_read_changes_nothing(profile: bytes) -> None:
    assert is_like(largest(developed(painted(icc_profile=profile))).convert("RGB").getpixel((10, 10)), RED)


def test_a_very_tall_picture_fits_into_the_format() -> None:
    made = developed(painted(400, 20_000, "PNG"))
    assert (made.width, made.height) == (400, 20_000)
    assert largest(made).height == 16_383


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (bomb(8000, 8000), "8000 × 8000 pixels"),
        (bomb(40_000, 40_000)[:2000], "too much memory"),
        (SVG, "no JPEG"),
        (b"<!doctype html><title>Not found</title>", "no JPEG"),
        (b"", "no JPEG"),
        (saved(Image.new("RGB", (9, 9)), "TIFF"), "no JPEG"),
        (saved(Image.new("RGB", (9, 9)), "BMP"), "no JPEG"),
        (painted()[:-2000], "damaged"),
        (painted(form="PNG")[:-100], "damaged"),
        (painted(form="WEBP")[:60], "damaged"),
    ],
    ids=["bomb", "huge", "svg", "html", "empty", "tiff", "bmp", "half a jpeg", "half a png", "half a webp"],
)
def test_what_is_no_picture_for_us_is_refused_in_words(body: bytes, why: str) -> None:
    with pytest.raises(UnfitPicture, match=why):
        developed(body)


def test_a_bomb_is_small_and_what_it_would_be_is_not() -> None:
    assert len(bomb(8000, 8000)) < 20_000 and 8000 * 8000 > MOST_PIXELS


def test_whatever_is_wrong_with_a_file_it_ends_in_words() -> None:
    """Every byte of a small picture changed, one at a time."""
    whole = painted(24, 16)
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        try:
            made = developed(bytes(damaged))
        except UnfitPicture:
            continue
        assert Image.open(BytesIO(made.files[0])).size
