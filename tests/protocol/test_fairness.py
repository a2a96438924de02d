"""Who is served next: hosts in turn, and never only those that hang."""

from hypothesis import given
from hypothesis import strategies as st

from lifestream.protocol.fairness import Lanes


def lanes(at_once: int = 4, per_host: int = 2, doubtful: int = 2, crowd: int = 5) -> Lanes[str]:
    return Lanes(at_once=at_once, per_host=per_host, doubtful=doubtful, crowd=crowd)


def taken(waiting: Lanes[str]) -> list[str]:
    found = []
    while one := waiting.take():
        found.append(one)
    return found


def test_hosts_are_served_in_turn() -> None:
    waiting = lanes(at_once=10, per_host=10)
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        waiting.put(item, item[0], False)
    assert taken(waiting) == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_no_host_has_more_than_its_share_of_the_places() -> None:
    waiting = lanes()
    for item in ("a1", "a2", "a3", "a4", "b1"):
        waiting.put(item, item[0], False)
    assert sorted(taken(waiting)) == ["a1", "a2", "b1"]
    waiting.done("a", False)
    assert taken(waiting) == ["a3"]


def test_no_more_are_served_than_there_are_places() -> None:
    waiting = lanes(at_once=3)
    for host in "abcdef":
        waiting.put(host, host, False)
    assert taken(waiting) == ["a", "b", "c"]
    waiting.done("b", False)
    assert taken(waiting) == ["d"]


def test_the_doubtful_leave_places_for_the_others() -> None:
    waiting = lanes()
    for host in "abcdef":
        waiting.put(host, host, True)
    waiting.put("good", "z", False)
    assert taken(waiting) == ["a", "b", "good"]
    assert not waiting.takes_doubtful
    waiting.done("a", True)
    assert taken(waiting) == ["c"]


def test_a_host_of_which_many_wait_is_crowded() -> None:
    waiting = lanes()
    for number in range(5):
        waiting.put(f"a{number}", "a", False)
    waiting.put("b", "b", False)
    waiting.put("c", "c", True)
    assert waiting.crowded() == ["a"]
    assert waiting.soon() == 1, "the one of b: c is doubtful"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60), st.data())
def test_everybody_is_served_once_and_no_bound_is_passed(items: list[tuple[str, bool]], data: st.DataObject) -> None:
    waiting: Lanes[int] = Lanes(at_once=4, per_host=2, doubtful=2, crowd=5)
    for number, (host, doubtful) in enumerate(items, 1):
        waiting.put(number, host, doubtful)
    served: list[int] = []
    inside: list[int] = []
    while len(served) < len(items):
        while one := waiting.take():
            served.append(one)
            inside.append(one)
        now = [items[number - 1] for number in inside]
        assert len(now) <= 4 and sum(doubtful for _, doubtful in now) <= 2
        assert all(sum(host == one for one, _ in now) <= 2 for host in "abc")
        waiting.done(*items[inside.pop(data.draw(st.integers(0, len(inside) - 1))) - 1])
    assert sorted(served) == list(range(1, len(items) + 1))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()) | st.none(), max_size=60))
def test_what_is_kept_count_of_is_what_there_is(moves: list[tuple[str, bool] | None]) -> None:
    """A move puts somebody in, or takes the next one and gives the place back."""
    lane = lanes(at_once=1, crowd=3)
    there: list[str] = []
    for number, move in enumerate(moves):
        if move:
            host, doubtful = move
            there.append(f"{host}{'?' if doubtful else '!'}{number}")
            lane.put(there[-1], host, doubtful)
        elif item := lane.take():
            there.remove(item)
            lane.done(item[0], item[1] == "?")
        crowded = {host for host in "ab" if sum(item[0] == host for item in there) >= 3}
        assert set(lane.crowded()) == crowded
        assert lane.soon() == sum(item[1] == "!" and item[0] not in crowded for item in there)
        assert lane.served == 0
