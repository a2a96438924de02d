"""The earth as it looks from far away (orthographic projection): land, its grid and places on it, as paths of SVG.

`View` says from where. What is seen is a round piece of the surface: half the earth for the globe, a few degrees for
the map beside a check-in; land is cut off at its rim. A drawing has the centre at 0,0 and whole units. static/globe.js
does the same while the globe turns.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import acos, asin, atan2, ceil, cos, degrees, floor, pi, radians, sin, sqrt
from typing import NamedTuple

import orjson
from markupsafe import Markup

RADIUS = 1000
"""Of a drawing, in its units."""
POLE = 90.0
GLOBE_GRID = 15
LOCATOR_REACH = 6.0
LOCATOR_GRID = 5
LOCATOR_FINEST = 9
SLIVER = 1e-9


class Vector(NamedTuple):
    """A place on the earth, whose radius is 1. As a view turns it: right, down, and towards who looks."""

    x: float
    y: float
    z: float


@dataclass(frozen=True, slots=True)
class Ring:
    """A coast, clockwise around what it encloses; all of it is within `reach` (radians) of `centre`."""

    points: tuple[Vector, ...]
    centre: Vector
    reach: float


@dataclass(frozen=True, eq=False)
class Land:
    rings: tuple[Ring, ...]

    @classmethod
    def read(cls, document: bytes) -> "Land":
        """From static/vendor/land.json: a ring is a longitude, a latitude, and then the steps from point to point."""
        said = orjson.loads(document)
        return cls(tuple(_ring(steps, said["unit"]) for steps in said["rings"]))


@dataclass(frozen=True)
class View:
    """The earth from above `lat`, `lon`, as far as `reach` degrees around. Points nearer than `finest` are one."""

    lat: float
    lon: float
    reach: float = POLE
    finest: int = 3

    def point(self, lat: float, lon: float) -> tuple[int, int] | None:
        """Where a place is on the drawing, unless it is on the other side."""
        (point,) = self._turned([_vector(lat, lon)])
        return self._drawn(point) if point.z > self._rim else None

    def land(self, land: Land) -> str:
        """To be filled by the even-odd rule, for there are lakes."""
        return "".join(path for ring in land.rings if self._may_show(ring) for path in self._outlines(ring))

    def grid(self, step: int) -> str:
        """Meridians and parallels, `step` degrees apart."""
        return "".join(self._path(run) for line in self._lines(step) for run in self._runs(line))

    # -- the projection --

    @cached_property
    def _axes(self) -> tuple[Vector, Vector, Vector]:
        lat, lon = radians(self.lat), radians(self.lon)
        down = Vector(sin(lat) * cos(lon), sin(lat) * sin(lon), -cos(lat))
        return Vector(-sin(lon), cos(lon), 0.0), down, _vector(self.lat, self.lon)

    @cached_property
    def _rim(self) -> float:
        """How near, of the centre's 1, the rim is."""
        return cos(radians(self.reach)) if self.reach < POLE else 0.0

    @cached_property
    def _scale(self) -> float:
        return RADIUS / sin(radians(self.reach))

    def _turned(self, vectors: Iterable[Vector]) -> list[Vector]:
        (rx, ry, rz), (dx, dy, dz), (nx, ny, nz) = self._axes
        return [
            Vector(x * rx + y * ry + z * rz, x * dx + y * dy + z * dz, x * nx + y * ny + z * nz) for x, y, z in vectors
        ]

    def _drawn(self, point: Vector) -> tuple[int, int]:
        return round(point.x * self._scale), round(point.y * self._scale)

    def _path(self, points: Sequence[Vector], first: str = "M") -> str:
        return first + "L".join(f"{x},{y}" for x, y in _thinned([self._drawn(point) for point in points], self.finest))

    # -- cutting off at the rim --

    def _may_show(self, ring: Ring) -> bool:
        return _between(ring.centre, self._axes[2]) <= radians(self.reach) + ring.reach

    def _outlines(self, ring: Ring) -> Iterator[str]:
        points = self._turned(ring.points)
        outside = next((at for at, point in enumerate(points) if point.z <= self._rim), None)
        if outside is None:
            yield self._path(points) + "Z"
        elif runs := self._runs(points[outside:] + points[: outside + 1]):
            yield from self._joined(runs)
        elif self._rim and _goes_around(points):
            yield f"M0,{-RADIUS}A{RADIUS},{RADIUS},0,1,1,0,{RADIUS}A{RADIUS},{RADIUS},0,1,1,0,{-RADIUS}Z"

    def _runs(self, points: Sequence[Vector]) -> list[list[Vector]]:
        """The pieces of a line that are seen, each from where it comes over the rim to where it goes."""
        rim = self._rim
        runs: list[list[Vector]] = []
        run: list[Vector] = [points[0]] if points[0].z > rim else []
        for here, there in zip(points, points[1:], strict=False):
            if here.z > rim and there.z > rim:
                run.append(there)
            elif here.z > rim:
                runs.append([*run, self._crossing(here, there)])
            elif there.z > rim:
                run = [self._crossing(here, there), there]
            elif rim and here.z > 0 and there.z > 0 and (twice := self._crossings(here, there)):
                runs.append(twice)
        if points[-1].z > rim:
            runs.append(run)
        return runs

    def _crossing(self, here: Vector, there: Vector) -> Vector:
        """Where the line between two places, one of which is seen, meets the rim."""
        return self._on_rim(here, there, (self._rim - here.z) / (there.z - here.z))

    def _crossings(self, here: Vector, there: Vector) -> list[Vector]:
        """The same of two places that are not seen: on the chord between them, z² = rim² · (x² + y² + z²)."""
        x, y, z = there.x - here.x, there.y - here.y, there.z - here.z
        length, along = x * x + y * y + z * z, here.x * x + here.y * y + here.z * z
        rim = self._rim**2
        a, b, c = z * z - rim * length, here.z * z - rim * along, here.z**2 - rim
        if not a or b * b <= a * c:
            return []
        root = sqrt(b * b - a * c)
        shares = sorted([(-b - root) / a, (-b + root) / a])
        return [self._on_rim(here, there, share) for share in shares] if 0 < shares[0] and shares[1] < 1 else []

    def _on_rim(self, here: Vector, there: Vector, share: float) -> Vector:
        x, y = here.x + share * (there.x - here.x), here.y + share * (there.y - here.y)
        far = sin(radians(self.reach)) / (sqrt(x * x + y * y) or 1.0)
        return Vector(x * far, y * far, self._rim)

    def _joined(self, runs: list[list[Vector]]) -> Iterator[str]:
        """Closes runs along the rim: what a coast encloses lies to its right, so where it goes, on clockwise."""
        waiting = list(runs)
        while waiting:
            first = run = waiting.pop()
            path = self._path(run)
            while (following := _next_clockwise(run[-1], [first, *waiting])) is not first:
                waiting.remove(following)
                path += self._arc(run[-1], following[0]) + self._path(following[1:], "L")
                run = following
            yield f"{path}{self._arc(run[-1], first[0])}Z"

    def _arc(self, start: Vector, end: Vector) -> str:
        x, y = self._drawn(end)
        return f"A{RADIUS},{RADIUS},0,{int(_clockwise(start, end) > pi)},1,{x},{y}"

    # -- the grid --

    def _lines(self, step: int) -> Iterator[list[Vector]]:
        wide = self._width()
        every = 3 * step if self.reach < POLE < wide else step  # around a pole they are close
        south, north = max(self.lat - self.reach, -POLE), min(self.lat + self.reach, POLE)
        for lon in range(ceil((self.lon - wide) / every) * every, ceil(self.lon + wide), every):
            yield self._turned(_vector(lat, lon) for lat in _spread(south, north))
        for lat in range(ceil(south / step) * step, floor(north) + 1, step):
            yield self._turned(_vector(lat, lon) for lon in _spread(self.lon - wide, self.lon + wide))

    def _width(self) -> float:
        """How many degrees of longitude are seen to each side."""
        if abs(self.lat) + self.reach >= POLE:
            return 180.0
        return degrees(asin(sin(radians(self.reach)) / cos(radians(self.lat))))


@lru_cache(maxsize=16)
def globe(land: Land, view: View) -> tuple[str, str]:
    """The paths of the land and of the grid."""
    return view.land(land), view.grid(GLOBE_GRID)


@lru_cache(maxsize=512)
def locator(land: Land, lat: float, lon: float) -> Markup:
    """The round map beside a check-in: the land around, and a dot where it was. Its colours are the page's."""
    view = View(lat, lon, LOCATOR_REACH, LOCATOR_FINEST)
    return Markup(
        '<svg class="locator" viewBox="-1000 -1000 2000 2000" width="112" height="112" role="img" aria-label="Map: {}">'
        '<circle r="1000" fill="var(--sky)" opacity=".26"/>'
        '<path d="{}" fill="none" stroke="var(--sky)" stroke-width="11" opacity=".5"/>'
        '<path d="{}" fill="var(--ink-2)" fill-rule="evenodd" opacity=".34"/>'
        '<circle r="196" fill="var(--ink)" opacity=".16"/><circle r="89" fill="var(--ink)"/></svg>'
    ).format(coordinates(lat, lon), view.grid(LOCATOR_GRID), view.land(land))


def coordinates(lat: float, lon: float) -> str:
    """As people write them, to a kilometre: 38.38° N 8.80° W."""
    return f"{abs(lat):.2f}° {'S' if lat < 0 else 'N'} {abs(lon):.2f}° {'W' if lon < 0 else 'E'}"


# -- shapes -----------------------------------------------------------------------------------


def _next_clockwise(end: Vector, runs: Sequence[list[Vector]]) -> list[Vector]:
    return min(runs, key=lambda run: _clockwise(end, run[0]))


def _clockwise(start: Vector, end: Vector) -> float:
    turn = (atan2(end.y, end.x) - atan2(start.y, start.x)) % (2 * pi)
    return 0.0 if turn > 2 * pi - SLIVER else turn


def _goes_around(points: Sequence[Vector]) -> bool:
    """Whether a coast that is not seen encloses what is seen; what lies opposite it would enclose the other way."""
    turns = 0.0
    for here, there in zip(points, [*points[1:], points[0]], strict=True):
        turns += atan2(here.x * there.y - here.y * there.x, here.x * there.x + here.y * there.y)
    return turns > pi


def _thinned(points: Sequence[tuple[int, int]], finest: int) -> Iterator[tuple[int, int]]:
    """Both ends, and between them what is far enough from the one before."""
    last = points[0]
    yield last
    for point in points[1:-1]:
        if abs(point[0] - last[0]) + abs(point[1] - last[1]) >= finest:
            yield point
            last = point
    yield points[-1]


def _spread(start: float, end: float) -> Iterator[float]:
    """Steps of six degrees, or eight steps."""
    count = max(8, ceil((end - start) / 6))
    return (start + (end - start) * step / count for step in range(count + 1))


def _ring(steps: Sequence[int], unit: float) -> Ring:
    points = tuple(_vector(lat * unit, lon * unit) for lon, lat in _walk(steps))
    centre = _middle(points)
    return Ring(points, centre, max(_between(centre, point) for point in points))


def _walk(steps: Sequence[int]) -> Iterator[tuple[int, int]]:
    lon = lat = 0
    for east, north in zip(steps[::2], steps[1::2], strict=True):
        lon, lat = lon + east, lat + north
        yield lon, lat


def _middle(points: Sequence[Vector]) -> Vector:
    x, y, z = (sum(axis) for axis in zip(*points, strict=True))
    length = sqrt(x * x + y * y + z * z)
    return Vector(x / length, y / length, z / length)


def _between(one: Vector, other: Vector) -> float:
    """The angle, in radians."""
    return acos(max(-1.0, min(1.0, one.x * other.x + one.y * other.y + one.z * other.z)))


def _vector(lat: float, lon: float) -> Vector:
    lat, lon = radians(lat), radians(lon)
    return Vector(cos(lat) * cos(lon), cos(lat) * sin(lon), sin(lat))
