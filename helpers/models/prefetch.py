"""Batches made ready in a second thread, so that NumPy prepares while a framework computes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def one_ahead(batches: Iterator[T]) -> Iterator[T]:
    """Yield what an iterator gives, in its order, while its next element is being made.

    Parameters
    ----------
    batches : iterator
        Runs in a thread of its own, never more than one element ahead. What it yields must not be changed
        by it afterwards.

    Yields
    ------
    T
        The elements; what making one raises is raised where it would have been yielded.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        coming = thread.submit(next, batches, end)
        while (batch := coming.result()) is not end:
            coming = thread.submit(next, batches, end)
            yield batch  # type: ignore[misc]
