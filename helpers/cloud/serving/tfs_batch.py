"""One run of a model for all the requests that wait: a call costs nearly the same for 800 rows as for 100.

Nobody waits for company: a lone request runs at once, and what comes in during a run shares the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

Tensors = Mapping[str, np.ndarray]
Call = Callable[[Tensors], dict[str, np.ndarray]]
MOST_ROWS = 4096  # of one run; a request with more runs alone, beside the others


@dataclass
class _Job:
    arrays: Tensors
    rows: int
    woken: threading.Event = field(default_factory=threading.Event)
    answer: dict[str, np.ndarray] | None = None
    failure: Exception | None = None
    leads: bool = False  # woken to run what waits, not with an answer

    def result(self) -> dict[str, np.ndarray]:
        if self.failure is not None:
            raise self.failure
        assert self.answer is not None
        return self.answer


class Together:
    """Runs the requests of any number of threads, those that wait for a run in one.

    Parameters
    ----------
    call : callable
        From arrays by input name to arrays by output name; each row of an output must follow from the same
        row of the inputs alone (see `is_by_row`).
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._lock = threading.Lock()
        self._waiting: list[_Job] = []
        self._busy = False

    def __call__(self, arrays: Tensors) -> dict[str, np.ndarray]:
        """Run one request.

        Parameters
        ----------
        arrays : mapping of str to numpy.ndarray
            Inputs by name.

        Returns
        -------
        dict of str to numpy.ndarray
            Outputs by name, of this request's rows.

        Raises
        ------
        Exception
            What ``call`` raises for this request by itself; others in the same run get their answers.
        """
        rows = _rows(arrays)
        if not 0 < rows <= MOST_ROWS:
            return self._call(arrays)
        job = _Job(arrays, rows)
        with self._lock:
            self._waiting.append(job)
            job.leads, self._busy = not self._busy, True
        if not job.leads:
            job.woken.wait()
            if not job.leads:
                return job.result()
        try:
            self._run(self._take(job))
        finally:
            with self._lock:  # the next one leads; this one has its answer
                self._busy = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].leads = True
                    self._waiting[0].woken.set()
        return job.result()

    def _take(self, leader: _Job) -> list[_Job]:
        """Take the leader's request and those that fit to it, in the order of their coming."""
        taken, left, rows = [leader], [], leader.rows
        with self._lock:
            for job in self._waiting:
                if job is leader:
                    continue
                if rows + job.rows <= MOST_ROWS and _alike(leader.arrays, job.arrays):
                    taken.append(job)
                    rows += job.rows
                else:
                    left.append(job)
            self._waiting = left
        return taken

    def _run(self, jobs: list[_Job]) -> None:
        if len(jobs) == 1 or not self._run_as_one(jobs):
            for (
                job
            ) in jobs:  # each by itself, so that the one that is wrong hears of it and no other
                try:
                    job.answer = self._call(job.arrays)
                except Exception as failure:
                    job.failure = failure
        for job in jobs[1:]:
            job.woken.set()

    def _run_as_one(self, jobs: list[_Job]) -> bool:
        names = jobs[0].arrays
        try:
            found = self._call({n: np.concatenate([job.arrays[n] for job in jobs]) for n in names})
        except Exception:  # whose fault it is shows when each runs alone
            return False
        total = sum(job.rows for job in jobs)
        if any(values.ndim == 0 or len(values) != total for values in found.values()):
            return False
        begin = 0
        for job in jobs:
            job.answer = {name: values[begin : begin + job.rows] for name, values in found.items()}
            begin += job.rows
        return True


def _rows(arrays: Tensors) -> int:
    """Count the rows that all inputs have in common; 0 where they differ or there are none."""
    sizes = {len(values) if values.ndim else 0 for values in arrays.values()}
    return sizes.pop() if len(sizes) == 1 else 0


def _alike(one: Tensors, other: Tensors) -> bool:
    return all(
        values.shape[1:] == other[name].shape[1:] and values.dtype == other[name].dtype
        for name, values in one.items()
    )


def is_by_row(call: Call, one: Tensors, other: Tensors) -> bool:
    """Find out by trial whether a model treats each row by itself.

    Parameters
    ----------
    call : callable
        The model, from arrays by input name to arrays by output name.
    one, other : mapping of str to numpy.ndarray
        Two requests whose rows differ.

    Returns
    -------
    bool
        Whether both together, in either order, are answered as each alone, and with different rows: where
        all rows are answered alike, nothing is proved. Sampling models and those that compare the rows of a
        request fail.
    """
    alone = [call(one), call(other)]
    sizes = (_rows(one), _rows(other))
    if not alone[0] or not all(sizes):
        return False
    differ = False
    for first, second in ((0, 1), (1, 0)):
        asked = (one, other)
        whole = call({n: np.concatenate([asked[first][n], asked[second][n]]) for n in one})
        for name, values in whole.items():
            parts = [alone[first][name], alone[second][name]]
            shapes = [(sizes[i], *values.shape[1:]) for i in (first, second)]
            if values.ndim == 0 or values.dtype.kind not in "fiub":
                return False
            if [part.shape for part in parts] != shapes or len(values) != sum(sizes):
                return False
            if not np.allclose(values, np.concatenate(parts), rtol=1e-4, atol=1e-6, equal_nan=True):
                return False
            differ |= bool((values[0] != values[-1]).any())
    return differ
