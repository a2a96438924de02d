"""Who is served next when many wait and few can be served at once: hosts in turn, none with more than its share.

Whoever was slow or unknown so far is doubtful, and the doubtful together never hold more than a part of the places:
so callbacks that hang, however many there are and at however many hosts, leave room for those that answer.
"""

from collections import Counter, OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")
Lane = tuple[str, bool]


class Lanes(Generic[Item]):
    """Items wait in a lane for each host, and one for its doubtful ones. `take` and `done` keep count of the places.

    All that is asked for at each delivery is kept count of, since there may be hundreds of hosts.
    """

    def __init__(self, *, at_once: int, per_host: int, doubtful: int, crowd: int) -> None:
        self._at_once = at_once
        self._per_host = per_host
        self._most_doubtful = doubtful
        self._crowd = crowd
        self._lanes: OrderedDict[Lane, deque[Item]] = OrderedDict()
        self._waiting: Counter[str] = Counter()
        self._waiting_doubtful = 0
        self._crowded: set[str] = set()
        self._soon = 0
        self._served: Counter[str] = Counter()
        self._served_doubtful = 0
        self.served = 0

    @property
    def takes_doubtful(self) -> bool:
        """Whether there are fewer doubtful ones here than can be served at once."""
        return self._waiting_doubtful + self._served_doubtful < self._most_doubtful

    def crowded(self) -> list[str]:
        """Hosts of which so many wait that no more need come for now."""
        return list(self._crowded)

    def soon(self) -> int:
        """How many wait that are not doubtful, at hosts that are not crowded."""
        return self._soon

    def put(self, item: Item, host: str, doubtful: bool) -> None:
        self._lanes.setdefault((host, doubtful), deque()).append(item)
        self._waiting[host] += 1
        self._waiting_doubtful += doubtful
        self._soon += not doubtful and host not in self._crowded
        if self._waiting[host] == self._crowd:
            self._soon -= self._sound(host)
            self._crowded.add(host)

    def take(self) -> Item | None:
        """The next to be served; None while nobody may be. `done` gives the place back."""
        if self.served >= self._at_once:
            return None
        for lane in self._lanes:
            if self._may_be_served(lane):
                return self._from(lane)
        return None

    def done(self, host: str, doubtful: bool) -> None:
        self.served -= 1
        self._served_doubtful -= doubtful
        self._served[host] -= 1
        if not self._served[host]:
            del self._served[host]

    def _may_be_served(self, lane: Lane) -> bool:
        host, doubtful = lane
        if self._served[host] >= self._per_host:
            return False
        return not doubtful or self._served_doubtful < self._most_doubtful

    def _from(self, lane: Lane) -> Item:
        host, doubtful = lane
        waiting = self._lanes[lane]
        item = waiting.popleft()
        if waiting:
            self._lanes.move_to_end(lane)
        else:
            del self._lanes[lane]
        self._soon -= not doubtful and host not in self._crowded
        if self._waiting[host] == self._crowd:
            self._crowded.discard(host)
            self._soon += self._sound(host)
        self._waiting[host] -= 1
        if not self._waiting[host]:
            del self._waiting[host]
        self._waiting_doubtful -= doubtful
        self.served += 1
        self._served[host] += 1
        self._served_doubtful += doubtful
        return item

    def _sound(self, host: str) -> int:
        return len(self._lanes.get((host, False), ()))
