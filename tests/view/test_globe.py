"""What is drawn is read back: a place lies on land if the drawing's outlines go around it an odd number of times."""

import math
import random
import re
from collections.abc import Iterator

import pytest

from lifestream.places import top
from lifestream.view import globe
from lifestream.view.globe import Land, View

LAND = Land.read((top("static") / "vendor" / "land.json").read_bytes())
ASHORE = {
    "Madrid": (40.4, -3.7), "Moscow": (55.8, 37.6), "Timbuktu": (16.8, -3.0), "Denver": (39.7, -105.0),
    "Manaus": (-3.1, -60.0), "Alice Springs": (-23.7, 133.9), "Lhasa": (29.6, 91.1), "Vostok": (-78.5, 106.9),
    "Greenland": (72.0, -40.0), "Nairobi": (-1.3, 36.8), "Chukotka": (67.0, 180.0), "South Pole": (-90.0, 0.0),
}  # fmt: skip
AT_SEA = {
    "Atlantic": (30.0, -40.0), "Gulf of Guinea": (0.0, 0.0), "Pacific": (0.0, -140.0), "date line": (30.0, 180.0),
    "South Pacific": (-40.0, -120.0), "Indian Ocean": (-20.0, 80.0), "North Pole": (90.0, 0.0),
    "Southern Ocean": (-60.0, 0.0), "Caspian Sea": (42.0, 50.7), "Ionian Sea": (35.0, 18.0), "Black Sea": (43.0, 34.0),
}  # fmt: skip
COMMAND = re.compile(r"([MLAZ])([-\d.,]*)")


def outlines(path: str) -> Iterator[list[tuple[float, float]]]:
    """Arcs, of which there are only those along the rim and clockwise, as many short pieces."""
    shape: list[tuple[float, float]] = []
    for command, said in COMMAND.findall(path):
        numbers = [float(number) for number in said.split(",") if number]
        match command:
            case "Z":
                yield shape
                shape = []
            case "A":
                radius, other, _, long, clockwise, x, y = numbers
                assert radius == other == globe.RADIUS and clockwise == 1
                start = math.atan2(shape[-1][1], shape[-1][0])
                turn = (math.atan2(y, x) - start) % math.tau
                assert long == (turn > math.pi) or math.isclose(turn, math.pi, rel_tol=0.01)
                steps = [start + turn * step / 90 for step in range(1, 91)]
                shape += [(radius * math.cos(angle), radius * math.sin(angle)) for angle in steps]
            case _:
                shape.append((numbers[0], numbers[1]))


def is_land(path: str, x: float, y: float) -> bool:
    inside = False
    for shape in outlines(path):
        for (ax, ay), (bx, by) in zip(shape, [*shape[1:], shape[0]], strict=True):
            if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
                inside = not inside
    return inside


def views() -> list[View]:
    chance = random.Random(41)
    some = [View(math.degrees(math.asin(chance.uniform(-1, 1))), chance.uniform(-180, 180)) for _ in range(12)]
    return [View(0, 0), View(0, 180), View(90, 0), View(-90, 0), View(41, -6), *some]


def name_of(view: View) -> str:
    return f"{view.lat:.0f},{view.lon:.0f}"


@pytest.mark.parametrize("view", views(), ids=name_of)
def test_from_everywhere_land_is_land_and_sea_is_sea(view: View) -> None:
    path = view.land(LAND)
    for places, ashore in ((ASHORE, True), (AT_SEA, False)):
        for name, place in places.items():
            point = view.point(*place)
            if point and math.hypot(*point) < 0.98 * globe.RADIUS:
                assert is_land(path, *point) == ashore, name


@pytest.mark.parametrize("view", views(), ids=name_of)
def test_nothing_is_drawn_beyond_the_rim(view: View) -> None:
    drawn = re.findall(r"[ML](-?\d+),(-?\d+)", view.land(LAND) + view.grid(15))
    assert drawn
    assert max(math.hypot(int(x), int(y)) for x, y in drawn) < globe.RADIUS + 1


def test_the_centre_is_in_the_middle_and_the_other_side_is_not_seen() -> None:
    view = View(38.38, -8.8)
    assert view.point(38.38, -8.8) == (0, 0)
    assert view.point(-38.38, 171.2) is None


def test_north_is_up_and_east_is_right() -> None:
    assert View(0, 0).point(30, 0) == (0, -500)
    assert View(0, 0).point(0, 30) == (500, 0)


@pytest.mark.parametrize("name", [*ASHORE, *AT_SEA])
def test_the_map_of_a_place_has_land_in_its_middle_or_sea(name: str) -> None:
    lat, lon = (ASHORE | AT_SEA)[name]
    path = View(lat, lon, globe.LOCATOR_REACH).land(LAND)
    assert is_land(path, 1, 1) == (name in ASHORE)


def test_a_map_deep_in_a_continent_is_all_land() -> None:
    path = View(23, 10, globe.LOCATOR_REACH).land(LAND)
    assert all(is_land(path, 990 * math.cos(turn), 990 * math.sin(turn)) for turn in range(6))


def test_a_map_shows_an_edge_of_land_whose_ends_lie_outside_it() -> None:
    """A coast without points in the map: a square of forty degrees that ends in the map's middle."""
    square = b'{"unit":1,"rings":[[0,-20,-40,0,0,40,40,0]]}'
    path = View(0, 0, globe.LOCATOR_REACH).land(Land.read(square))
    assert is_land(path, -500, 0)
    assert not is_land(path, 500, 0)


def test_a_locator_is_one_small_picture_with_words() -> None:
    drawing = globe.locator(LAND, 38.38, -8.8)
    assert drawing.startswith("<svg")
    assert 'role="img" aria-label="Map: 38.38° N 8.80° W"' in drawing
    assert "style=" not in drawing
    assert len(drawing) < 3000
    assert globe.locator(LAND, 38.38, -8.8) is drawing


@pytest.mark.parametrize(
    ("lat", "lon", "words"),
    [(38.379, -8.8, "38.38° N 8.80° W"), (-33.0, 151.2, "33.00° S 151.20° E"), (0, 0, "0.00° N 0.00° E")],
)
def test_coordinates_are_said_to_two_decimals(lat: float, lon: float, words: str) -> None:
    assert globe.coordinates(lat, lon) == words
