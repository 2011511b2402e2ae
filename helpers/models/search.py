"""Find a film by what somebody types: by its letters, and then around it in the towers' space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.models.text import hashed_trigrams, typed_trigrams

LEAST = 0.34  # share of the query's trigrams that a title must have to be an answer
_SHARP = 12.0  # how much more a better match counts for the query's place in the space


class TitleSearch:
    """Two answers to a piece of a title, each fast enough to come while it is typed.

    ``by_letters`` ranks titles by the share of the query's trigrams they hold, then by the cosine of the two
    bags. ``by_taste`` places the query in the shared space, at the mean of the best matches weighted by how
    well they match, and ranks the films around it: films for the same people, whatever they are called.

    Parameters
    ----------
    titles : sequence of str
        All titles.
    vectors : numpy.ndarray
        (n_titles, k) rows of length 1, the item tower's.
    n_buckets : int
        Of the trigrams.
    """

    def __init__(
        self, titles: Sequence[Any], vectors: npt.NDArray[np.float32], n_buckets: int = 4096
    ) -> None:
        if len(titles) != len(vectors):
            raise ValueError(f"{len(titles)} titles, but {len(vectors)} vectors; expected one each")
        self.vectors, self.n_buckets = vectors, n_buckets
        self._postings = hashed_trigrams(
            titles, n_buckets
        ).tocsc()  # by trigram: which titles hold it
        self._last = (
            "",
            np.zeros(len(vectors), dtype=np.float32),
        )  # a query is asked for more than once

    def matches(self, query: str) -> npt.NDArray[np.float32]:
        """Return how well each title matches, (n_titles,) from 0 to 1; all 0 for an empty query."""
        if query == self._last[0]:
            return self._last[1]
        bag = hashed_trigrams([query], self.n_buckets, typed_trigrams)
        found = np.zeros(len(self.vectors), dtype=np.float32)
        if bag.nnz:
            held = self._postings[:, bag.indices]
            share = np.bincount(held.indices, minlength=len(found)) / bag.nnz
            found[:] = np.where(share >= LEAST, 0.8 * share + 0.2 * (held @ bag.data), 0)
        self._last = (query, found)
        return found

    def by_letters(self, query: str, n: int = 5) -> npt.NDArray[np.int64]:
        """Return the n best matching titles, best first; fewer, or none, if fewer match at all."""
        found = self.matches(query)
        best = _first(found, n)
        return best[found[best] > 0]

    def vector(self, query: str) -> npt.NDArray[np.float32] | None:
        """Return the query's place in the shared space, (k,) of length 1; None if no title matches."""
        found = self.matches(query)
        near = np.flatnonzero(found)
        if not len(near):
            return None
        weight = np.exp(_SHARP * (found[near] - found.max()))
        mean = weight @ self.vectors[near]
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)

    def by_taste(self, query: str, n: int = 5) -> npt.NDArray[np.int64]:
        """Return the n items nearest to the query's place, without its best matches; none without any."""
        place = self.vector(query)
        if place is None:
            return np.zeros(0, dtype=np.int64)
        named = self.by_letters(query, n)
        around = _first(self.vectors @ place, n + len(named))
        return around[~np.isin(around, named)][:n]


def _first(scores: npt.NDArray[Any], n: int) -> npt.NDArray[np.int64]:
    """Indices of the n largest, largest first; equal ones by index."""
    if n < 1:
        raise ValueError(f"n={n}: expected at least 1")
    n = min(n, len(scores))
    least = np.partition(scores, -n)[-n]
    pool = np.flatnonzero(scores >= least)
    return pool[np.argsort(-scores[pool], kind="stable")][:n]
