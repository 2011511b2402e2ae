"""Turns of jobs: as many run at a time as there are cores, the others wait in their order."""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator


class Turns:
    """Slots that jobs take; who came first is served first."""

    def __init__(self, slots: int) -> None:
        self._slots = self._free = slots
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, wanted: int, given_up: Callable[[], object]) -> Iterator[bool]:
        """Wait for that many slots and hold them; yields False where it was given up before."""
        place, wanted = object(), min(wanted, self._slots)
        with self._changed:
            self._queue.append(place)
            while not (given_up() or (self._queue[0] is place and self._free >= wanted)):
                self._changed.wait()
            self._queue.remove(place)
            taken = 0 if given_up() else wanted
            self._free -= taken
            self._changed.notify_all()
        try:
            yield taken > 0
        finally:
            with self._changed:
                self._free += taken
                self._changed.notify_all()

    def notice(self) -> None:
        """Have those that wait look whether they were given up."""
        with self._changed:
            self._changed.notify_all()


_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
#: Turns of this process's training and transform jobs; one instance takes one core.
TURNS = Turns(_CORES or 1)
