"""A bucket for each name."""

import pytest

from lifestream.protocol import limits
from lifestream.protocol.limits import Buckets, one_caller


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


def test_of_too_many_names_those_that_did_nothing_for_longest_are_forgotten() -> None:
    buckets = Buckets(at_once=1, per_second=0.01)
    for number in range(limits.MOST_NAMES):
        buckets.take(number, 0.0)
    buckets.take(0, 10.0)
    buckets.take("you", 10.0)
    assert [buckets.wait(name, 10.0) > 0 for name in ("you", 0, 1, 2)] == [True, True, False, True]
    assert len(buckets._left) == limits.MOST_NAMES


@pytest.mark.parametrize(
    ("address", "known_by"),
    [
        ("198.51.100.7", "198.51.100.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"), ("::ffff:198.51.100.7", "198.51.100.7"),
        ("fe80::1%eth0", "fe80::/64"), ("", ""), ("testclient", "testclient"),
    ],
)  # fmt: skip
def test_a_caller_is_known_by_the_network_that_is_his(address: str, known_by: str) -> None:
    assert one_caller(address) == known_by
