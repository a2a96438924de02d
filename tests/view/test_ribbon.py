from datetime import UTC, datetime

from lifestream.view.ribbon import FULL, HEIGHTS, SLIM, Tick, ribbon


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 21, hour, minute, tzinfo=UTC)


def test_each_minute_of_the_day_is_one_unit_wide() -> None:
    shown = ribbon([Tick(at(0), "article"), Tick(at(23, 59), "article")])
    assert shown.lines[0].path == "M0 80V6M1439 80V6"


def test_ticks_of_one_height_are_one_path_and_a_minute_is_drawn_once() -> None:
    many = [Tick(at(hour, minute), "listen") for hour in range(24) for minute in range(60) for _ in range(3)]
    shown = ribbon(many)
    assert len(shown.lines) == 1
    assert shown.lines[0].path.count("M") == 1440
    assert shown.lines[0].opacity < 1


def test_more_telling_kinds_are_higher() -> None:
    tops = [int(line.path.partition("V")[2]) for line in ribbon([Tick(at(1), kind) for kind in HEIGHTS]).lines]
    assert tops == sorted(tops)
    assert len(tops) == len(set(HEIGHTS.values()))
    assert ribbon([Tick(at(1), "a kind of tomorrow")]).lines


def test_the_ribbon_is_told_in_one_sentence() -> None:
    assert ribbon([Tick(at(9, 5), "note"), Tick(at(22), "note", 2)]).label == "3 entries between 09:05 and 22:00"
    assert ribbon([Tick(at(9, 5), "note")]).label == "1 entry at 09:05"
    assert ribbon([]).label == "No entries"


def test_only_a_day_that_has_not_ended_has_a_needle() -> None:
    assert ribbon([], now=at(14, 31)).now == 871
    past = ribbon([Tick(at(9), "note")], height=SLIM)
    assert past.now is None and past.slim
    assert ribbon([], height=FULL).slim is False
