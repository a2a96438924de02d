"""A bucket for each name."""

from lifestream.protocol import limits
from lifestream.protocol.limits import Buckets


def test_so_many_at_once_and_then_one_after_the_other() -> None:
    buckets = Buckets(at_once=3, per_second=0.5)
    for _ in range(3):
        assert buckets.wait("you", 100.0) == 0
        buckets.take("you", 100.0)
    assert buckets.wait("you", 100.0) == 2
    assert buckets.wait("you", 101.5) == 1
    assert buckets.wait("you", 102.0) == 0


def test_each_name_has_its_own() -> None:
    buckets = Buckets(at_once=1, per_second=1)
    buckets.take("you", 0.0)
    assert buckets.wait("you", 0.0) == 1
    assert buckets.wait("me", 0.0) == 0


def test_a_bucket_holds_no_more_than_it_can() -> None:
    buckets = Buckets(at_once=2, per_second=1)
    buckets.take("you", 0.0)
    for _ in range(2):
        buckets.take("you", 1000.0)
    assert buckets.wait("you", 1000.0) == 1


def test_names_that_may_again_as_they_like_are_forgotten() -> None:
    buckets = Buckets(at_once=1, per_second=1)
    for number in range(limits.MOST_NAMES):
        buckets.take(number, 0.0)
    buckets.take("you", 10.0)
    assert buckets.wait("you", 10.0) == 1
    assert len(buckets._left) == 1
