"""Values that are packed are the same values."""

import pickle

import pytest

from lifestream.parse.packed import SLICE, Packed
from lifestream.types import Author, Location, Media, RawEntry, Text

NUMBERS = list(range(2 * SLICE + 3))


def test_they_come_out_as_they_went_in() -> None:
    packed = Packed.of(NUMBERS)
    assert list(packed) == NUMBERS
    assert [packed[place] for place in reversed(range(len(packed)))] == NUMBERS[::-1]
    assert (list(Packed.of([])), len(Packed.of([]))) == ([], 0)


def test_behind_the_last_there_is_nothing() -> None:
    for place in (len(NUMBERS), -1):
        with pytest.raises(IndexError):
            Packed.of(NUMBERS)[place]


def test_a_part_is_a_list() -> None:
    assert Packed.of(NUMBERS)[SLICE - 1 : SLICE + 2] == [SLICE - 1, SLICE, SLICE + 1]


def test_what_is_not_wanted_does_not_travel() -> None:
    values = [f"{number} " + "x" * 1000 for number in NUMBERS]
    packed = Packed.of(values)
    some = pickle.loads(pickle.dumps(packed.only({SLICE + 1})))
    assert some[SLICE + 1] == values[SLICE + 1]
    assert len(some) == len(values)
    assert len(pickle.dumps(some)) < len(pickle.dumps(packed)) / 2


def test_a_raw_entry_travels_whole() -> None:
    entry = RawEntry(
        id="1", title=Text("t", html=True, base="b"), author=Author("A"), media=(Media("image", "u", 1, None, "alt"),),
        location=Location(1.5, 2.5, "there"), tags=("a", "b"), data={"n": [1, {"x": None}]},
    )  # fmt: skip
    assert list(Packed.of([entry])) == [entry]
